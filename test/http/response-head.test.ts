import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HeadError, type HeadErrorCode, parseResponseHead } from '../../src/http/response-head.ts';

const LIMIT = 16 * 1024;
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function parse(text: string, limit = LIMIT): ReturnType<typeof parseResponseHead> {
  return parseResponseHead(bytesOf(text), limit);
}

/** The first verdict that a caller gets who asks after every chunk: a head, an error code, or none. */
function verdictOf(bytes: Uint8Array, cuts: readonly number[], limit: number): unknown {
  for (const cut of [...cuts, bytes.length]) {
    try {
      const head = parseResponseHead(bytes.subarray(0, cut), limit);
      if (head !== 'incomplete') return head;
    } catch (error) {
      assert.ok(error instanceof HeadError, String(error));
      return error.code;
    }
  }
  return 'incomplete';
}

test('a head gives status, reason, its fields as sent, and its length', () => {
  assert.deepEqual(parse(`${SWITCHING}\x81\x02hi`), {
    version: '1.1',
    status: 101,
    reason: 'Switching Protocols',
    rawHeaders: ['Upgrade', 'websocket', 'Connection', 'Upgrade'],
    length: SWITCHING.length,
  });
});

test('a repeated field stays repeated, in order and casing', () => {
  assert.deepEqual(parse('HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n'), {
    version: '1.1',
    status: 200,
    reason: 'OK',
    rawHeaders: ['Set-Cookie', 'a=1', 'set-cookie', 'b=2'],
    length: 53,
  });
});

for (const [line, reason] of [
  ['HTTP/1.1 404 ', ''],
  ['HTTP/1.1 404', ''],
  ['HTTP/1.0 404 Nicht gef\xfcnden', 'Nicht gef\xfcnden'],
] as const) {
  test(`the status line "${line}" is taken`, () => {
    const head = parse(`${line}\r\n\r\n`);
    assert.ok(head !== 'incomplete');
    assert.deepEqual([head.status, head.reason, head.version], [404, reason, line.slice(5, 8)]);
  });
}

for (const [written, value] of [
  ['x:1', '1'],
  ['x: \t 1 \t ', '1'],
  ['x:', ''],
  ['x:   ', ''],
  ['x: a b\tc', 'a b\tc'],
  ['x: \xa0caf\xe9\xa0', '\xa0caf\xe9\xa0'],
  ['x: a:b', 'a:b'],
] as const) {
  test(`the value in ${JSON.stringify(written)} is ${JSON.stringify(value)}`, () => {
    const head = parse(`HTTP/1.1 200 OK\r\n${written}\r\n\r\n`);
    assert.ok(head !== 'incomplete');
    assert.deepEqual(head.rawHeaders, ['x', value]);
  });
}

const REFUSED: readonly (readonly [what: string, text: string, code: HeadErrorCode])[] = [
  ['an HTTP/2 status line', 'HTTP/2 200\r\n\r\n', 'ERR_HEAD_STATUS'],
  ['an HTTP/1.2 status line', 'HTTP/1.2 200 OK\r\n\r\n', 'ERR_HEAD_STATUS'],
  ['another protocol', 'SSH-2.0-OpenSSH_9\r\n', 'ERR_HEAD_STATUS'],
  ['an empty first line', '\r\n', 'ERR_HEAD_STATUS'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n', 'ERR_HEAD_STATUS'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n', 'ERR_HEAD_STATUS'],
  ['a status outside 100 to 599', 'HTTP/1.1 600 Odd\r\n', 'ERR_HEAD_STATUS'],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\n', 'ERR_HEAD_STATUS'],
  ['a bare LF behind the status line', 'HTTP/1.1 200 OK\n', 'ERR_HEAD_LINE'],
  ['a bare LF behind a field', 'HTTP/1.1 200 OK\r\nx: 1\n', 'ERR_HEAD_LINE'],
  ['a bare LF as the last line', 'HTTP/1.1 200 OK\r\n\n', 'ERR_HEAD_LINE'],
  ['a bare CR inside a value', 'HTTP/1.1 200 OK\r\nx: 1\r2\r\n', 'ERR_HEAD_LINE'],
  ['a NUL', 'HTTP/1.1 200 OK\r\nx: \x00\r\n', 'ERR_HEAD_LINE'],
  ['a DEL', 'HTTP/1.1 200 OK\r\nx: \x7f\r\n', 'ERR_HEAD_LINE'],
  ['a folded field', 'HTTP/1.1 200 OK\r\nx: 1\r\n y: 2\r\n', 'ERR_HEAD_FIELD'],
  ['a folded field without a colon', 'HTTP/1.1 200 OK\r\nx: 1\r\n\t2\r\n', 'ERR_HEAD_FIELD'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nx : 1\r\n', 'ERR_HEAD_FIELD'],
  ['a field without a name', 'HTTP/1.1 200 OK\r\n: 1\r\n', 'ERR_HEAD_FIELD'],
  ['a field without a colon', 'HTTP/1.1 200 OK\r\nx\r\n', 'ERR_HEAD_FIELD'],
  ['a letter beyond ASCII in a name', 'HTTP/1.1 200 OK\r\n\xe4: 1\r\n', 'ERR_HEAD_FIELD'],
];

for (const [what, text, code] of REFUSED) {
  test(`${what} is refused with ${code}`, () => {
    assert.throws(() => parse(text), { name: 'HeadError', code });
  });
}

test('a field named __proto__ is a field like others', () => {
  const head = parse('HTTP/1.1 200 OK\r\n__proto__: x\r\n\r\n');
  assert.ok(head !== 'incomplete');
  assert.deepEqual(head.rawHeaders, ['__proto__', 'x']);
});

test('a head of exactly the limit is taken, one byte more is not', () => {
  assert.notEqual(parse(SWITCHING, SWITCHING.length), 'incomplete');
  assert.throws(() => parse(SWITCHING, SWITCHING.length - 1), { code: 'ERR_HEAD_TOO_LARGE' });
});

test('a line that never ends is refused at the limit, and not before', () => {
  assert.equal(parse('H'.repeat(99), 100), 'incomplete');
  assert.throws(() => parse('H'.repeat(100), 100), { code: 'ERR_HEAD_TOO_LARGE' });
});

test('a head that lacks its last byte is incomplete', () => {
  for (let length = 0; length < SWITCHING.length; length += 1)
    assert.equal(parse(SWITCHING.slice(0, length)), 'incomplete');
});

const piece = fc.oneof(
  fc.constantFrom(
    'HTTP/1.1 200 OK',
    '\r\n',
    'x: 1',
    ' ',
    '\n',
    '\r',
    ':',
    '\t',
    '\x00',
    'Connection: close',
    '\r\n\r\n',
  ),
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 8 }),
);
const heads = fc
  .tuple(fc.constantFrom('', SWITCHING.slice(0, -2), 'HTTP/1.1 200 OK\r\n'), fc.array(piece, { maxLength: 12 }))
  .map(([start, pieces]) => bytesOf(start + pieces.join('')));

test('however the bytes are cut, the verdict is the same', () => {
  fc.assert(
    fc.property(heads, fc.integer({ min: 1, max: 120 }), fc.array(fc.nat(200)), (bytes, limit, cuts) => {
      const inOrder = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
      assert.deepEqual(verdictOf(bytes, inOrder, limit), verdictOf(bytes, [], limit));
    }),
    { numRuns: 2000 },
  );
});

test('nothing but a HeadError is thrown, whatever arrives', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(400), (bytes, limit) => {
      verdictOf(bytes, [], limit);
    }),
    { numRuns: 2000 },
  );
});
