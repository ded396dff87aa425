/** Where Pings go inside messages, and what goes to peers that owe answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frameFrom, KEEPALIVE, TunnelHarness } from '../support/core-harness.ts';
import { OPCODE } from '../support/frames.ts';

const OFF = Number.POSITIVE_INFINITY;
const QUIET = { interval: OFF, timeout: OFF, mode: 'idle' } as const;
const CLIENT_ONLY = { keepalive: { ...KEEPALIVE, upstream: QUIET } };
const UPSTREAM_ONLY = { keepalive: { ...KEEPALIVE, client: QUIET } };

test('a Ping waits for the end of the message under way', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  const first = harness.frame('upstream', OPCODE.text, 'a', { fin: false });
  harness.pass(10_000);
  assert.deepEqual(harness.wire('client'), first);
  const last = harness.frame('upstream', OPCODE.continuation, 'b');
  const [one, two, ping, ...rest] = harness.frames('client');
  assert.deepEqual([one?.raw, two?.raw, ping?.opcode, rest.length], [first, last, OPCODE.ping, 0]);
});

test('for at most half of its interval, and then it goes between two fragments', () => {
  const harness = new TunnelHarness(CLIENT_ONLY, () => 0);
  harness.frame('upstream', OPCODE.text, 'a', { fin: false });
  harness.pass(14_999);
  assert.equal(harness.pings('client').length, 0);
  harness.pass(1);
  assert.equal(harness.pings('client').length, 1);
});

test('inside a frame it then goes to the end of that', () => {
  const harness = new TunnelHarness(CLIENT_ONLY, () => 0);
  const frame = frameFrom('upstream', OPCODE.text, 'abc', { fin: false });
  harness.receive('upstream', frame.subarray(0, 4));
  harness.pass(20_000);
  harness.receive('upstream', frame.subarray(4));
  assert.deepEqual(
    harness.frames('client').map(({ opcode }) => opcode),
    [OPCODE.text, OPCODE.ping],
  );
});

test('a side that no Ping reaches, since the other one has stopped inside a frame, is not judged', () => {
  const harness = new TunnelHarness(UPSTREAM_ONLY);
  harness.frame('client', OPCODE.ping, 'app');
  harness.frame('upstream', OPCODE.pong, 'app');
  assert.equal(harness.tunnel.upstream.keepalive.answersPings, true);
  harness.receive('client', frameFrom('client', OPCODE.text, 'abc').subarray(0, 7));
  harness.pass(3_600_000);
  assert.equal(harness.cause(), null);
});

/** The client owes answers to four Pings of the proxy. */
function owing(side: 'client' | 'upstream'): TunnelHarness {
  const harness = new TunnelHarness(side === 'client' ? CLIENT_ONLY : UPSTREAM_ONLY);
  while (harness.pings(side).length < 4) harness.pass(side === 'client' ? 10_000 : 30_000);
  return harness;
}

/** It sends something each second, for so many. */
function upload(harness: TunnelHarness, side: 'client' | 'upstream', seconds: number): void {
  for (let second = 0; second < seconds; second += 1) {
    harness.pass(1000);
    harness.frame(side, OPCODE.binary, 'x', { fin: false });
  }
}

test('a client that owes four answers and goes on sending gets an empty Pong each interval in the place of Pings', () => {
  const harness = owing('client');
  upload(harness, 'client', 35);
  assert.equal(harness.pings('client').length, 4);
  const pongs = harness.frames('client').filter(({ opcode }) => opcode === OPCODE.pong);
  assert.deepEqual(
    pongs.map(({ raw }) => raw.toString('hex')),
    ['8a00', '8a00', '8a00'],
  );
  assert.equal(harness.tunnel.client.unsolicitedPongs, 3);
  harness.frame('client', OPCODE.pong, harness.pings('client')[0]?.payload);
  harness.pass(10_000);
  assert.equal(harness.pings('client').length, 5, 'one was answered, so there is room for another');
});

test('a Ping that has waited for the end of a message is not followed at once by a Pong in its place', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  while (harness.pings('client').length < 3) harness.pass(1000);
  harness.frame('upstream', OPCODE.text, 'half', { fin: false });
  harness.pass(1);
  harness.frame('client', OPCODE.binary, 'x', { fin: false });
  while (harness.pings('client').length < 4) harness.pass(100);
  assert.equal(harness.frames('client').at(-1)?.opcode, OPCODE.ping);
});

test('an upstream gets neither', () => {
  const harness = owing('upstream');
  upload(harness, 'upstream', 100);
  assert.equal(harness.frames('upstream').length, 4);
  assert.equal(harness.tunnel.upstream.unsolicitedPongs, 0);
});

test('nor does a client that waits for an answer of its own, or is inside a frame', () => {
  for (const stop of [() => undefined, frameFrom('upstream', OPCODE.text, 'abc').subarray(0, 3)]) {
    const harness = owing('client');
    if (typeof stop === 'function') harness.frame('client', OPCODE.ping, 'mine');
    else harness.receive('upstream', stop);
    upload(harness, 'client', 35);
    assert.ok(harness.frames('client').every(({ opcode }) => opcode === OPCODE.ping));
  }
});

test('once it is silent the newest Ping is sent again', () => {
  const harness = owing('client');
  upload(harness, 'client', 5);
  harness.pass(11_000);
  assert.deepEqual(harness.pings('client').at(-1)?.payload, harness.pings('client').at(-2)?.payload);
});

test('an answer with the wrong masking is swallowed like any other', () => {
  const harness = new TunnelHarness();
  harness.pass(30_000);
  for (const side of ['client', 'upstream'] as const) {
    const payload = harness.pings(side).at(-1)?.payload;
    harness.frame(side, OPCODE.pong, payload, { mask: side === 'client' ? null : Buffer.of(1, 2, 3, 4) });
    assert.equal(harness.tunnel.side(side).keepalive.answersPings, true);
  }
  assert.ok([...harness.frames('client'), ...harness.frames('upstream')].every(({ opcode }) => opcode === OPCODE.ping));
});
