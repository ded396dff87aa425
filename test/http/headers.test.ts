import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  elementsOf,
  endToEnd,
  FieldNames,
  formatFields,
  tokensOf,
  valuesOf,
  withoutFields,
} from '../../src/http/headers.ts';

const FIELDS = ['Host', 'a', 'Set-Cookie', 'x=1', 'set-cookie', 'y=2', '__proto__', 'host'];

test('values are found by name in any casing, in order, and never among values', () => {
  assert.deepEqual(valuesOf(FIELDS, 'set-cookie'), ['x=1', 'y=2']);
  assert.deepEqual(valuesOf(FIELDS, 'host'), ['a']);
  assert.deepEqual(valuesOf(FIELDS, '__proto__'), ['host']);
  assert.deepEqual(valuesOf(FIELDS, 'x=1'), []);
});

test('a list is joined over its lines, in lower case, without empty members', () => {
  assert.deepEqual(tokensOf(['Connection', 'Keep-Alive, ,', 'connection', ' UPGRADE '], 'connection'), [
    'keep-alive',
    'upgrade',
  ]);
});

test('fields are taken out by name, the others stay as they are', () => {
  assert.deepEqual(withoutFields(FIELDS, new FieldNames(['set-cookie', 'a'])), ['Host', 'a', '__proto__', 'host']);
});

test('hop-by-hop fields and those that Connection names do not pass', () => {
  const fields = ['Connection', 'Upgrade, X-Hop', 'x-hop', '1', 'Keep-Alive', '5', 'TE', 'trailers', 'Server', 's'];
  assert.deepEqual(endToEnd([...fields, 'Proxy-Connection', 'x', 'Upgrade', 'h2c']), ['Server', 's']);
});

for (const name of [
  'Host',
  'Content-Length',
  'Transfer-Encoding',
  'Sec-WebSocket-Protocol',
  'X-Forwarded-For',
  'X-Real-IP',
]) {
  test(`Connection cannot take ${name} off`, () => {
    assert.deepEqual(endToEnd(['Connection', name, name, '1']), [name, '1']);
  });
}

test('fields are written one a line', () => {
  assert.equal(formatFields(['A', '1', 'a', '']), 'A: 1\r\na: \r\n');
  assert.equal(formatFields([]), '');
});

test('the elements of a list keep their case, over all its lines', () => {
  assert.deepEqual(elementsOf(['A', 'x, Y,,', 'b', 'z', 'a', ' W '], 'a'), ['x', 'Y', 'W']);
});
