import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identify, withRequestId } from '../../src/http/request-identity.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const idOf = (headers: readonly string[], isTrusted = true): string => identify(headers, isTrusted).requestId;
const MADE = /^[0-9a-f]{32}$/;

test('host and user agent are shown as they came', () => {
  const { host, userAgent } = identify(['HOST', 'rooms.example.com', 'user-agent', 'Mozilla/5.0 (X11)'], false);
  assert.deepEqual([host, userAgent], ['rooms.example.com', 'Mozilla/5.0 (X11)']);
});

test('without them they are empty', () => {
  const { host, userAgent } = identify([], true);
  assert.deepEqual([host, userAgent], ['', '']);
});

test('what they carry is printable, bounded, and hides secrets', () => {
  const { host, userAgent } = identify(['Host', 'a\u001b[31m', 'User-Agent', `x?token=abc ${'y'.repeat(400)}`], true);
  assert.equal(host, String.raw`a\u{1b}[31m`);
  assert.match(userAgent, /^x\?token=\[redacted\] y+…$/);
  assert.equal(userAgent.length, 257);
});

test('the id of a trusted peer is taken', () => {
  assert.equal(idOf(['X-Request-Id', 'abc-123_./+=~']), 'abc-123_./+=~');
  assert.equal(idOf(['X-Request-Id', 'i'.repeat(128)]), 'i'.repeat(128));
});

test('else the trace id of its traceparent', () => {
  assert.equal(idOf(['Traceparent', `00-${TRACE}-00f067aa0ba902b7-01`]), TRACE);
  assert.equal(idOf(['X-Request-ID', 'mine', 'traceparent', `00-${TRACE}-00f067aa0ba902b7-01`]), 'mine');
});

test('an id that is none, or several, is made anew', () => {
  for (const bad of ['', 'a b', 'ä', 'x'.repeat(129), 'a\u0007']) assert.match(idOf(['X-Request-ID', bad]), MADE, bad);
  assert.match(idOf(['X-Request-ID', 'a', 'X-Request-ID', 'b']), MADE);
  for (const bad of [`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, `ff-${TRACE}-00f067aa0ba902b7-01`, `00-${TRACE}`]) {
    assert.match(idOf(['traceparent', bad]), MADE, bad);
  }
});

test('no two requests get the same made id', () => {
  const ids = Array.from({ length: 2000 }, () => idOf([]));
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, MADE);
});

test('a stranger names nothing', () => {
  assert.match(idOf(['X-Request-ID', 'forged', 'traceparent', `00-${TRACE}-00f067aa0ba902b7-01`], false), MADE);
});

test('the upstream gets the id where none came', () => {
  assert.deepEqual(withRequestId(['Host', 'a'], 'r1'), ['Host', 'a', 'X-Request-ID', 'r1']);
  assert.deepEqual(withRequestId(['x-request-id', 'theirs'], 'r1'), ['x-request-id', 'theirs']);
});
