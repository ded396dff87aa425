import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type BodyWalk, bodyWalkOf } from '../../src/http/response-body.ts';
import { HeadError, type ResponseHead } from '../../src/http/response-head.ts';

const CHUNKED = '4;ext="a"\r\nwiki\r\n0A \r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n';

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function walkOf(fields: readonly string[], status = 200, version: ResponseHead['version'] = '1.1'): BodyWalk {
  return bodyWalkOf({ version, status, reason: '', rawHeaders: fields, length: 0 });
}

/** Bytes of the body among `bytes`, given to a chunked walk in pieces; or the error's code. */
function chunkedLength(bytes: Uint8Array, cuts: readonly number[]): number | string {
  const walk = walkOf(['Transfer-Encoding', 'chunked']);
  let from = 0;
  let total = 0;
  try {
    for (const cut of [...cuts, bytes.length]) {
      total += walk.push(bytes.subarray(from, cut));
      from = cut;
    }
    return walk.done ? total : 'more';
  } catch (error) {
    assert.ok(error instanceof HeadError, String(error));
    return error.code;
  }
}

test('a counted body ends after its bytes, and what follows is not its own', () => {
  const walk = walkOf(['content-length', '5']);
  assert.equal(walk.push(bytesOf('abc')), 3);
  assert.equal(walk.done, false);
  assert.equal(walk.push(bytesOf('deHTTP')), 2);
  assert.equal(walk.done, true);
});

for (const status of [204, 304, 103]) {
  test(`a ${status} has no body, whatever its fields say`, () => {
    const walk = walkOf(['Content-Length', '5'], status);
    assert.equal(walk.done, true);
    assert.equal(walk.push(bytesOf('abcde')), 0);
  });
}

for (const [what, fields] of [
  ['without length', []],
  ['with a coding that is not chunked at the end', ['Transfer-Encoding', 'chunked, gzip']],
] as const) {
  test(`a body ${what} goes on until the connection ends`, () => {
    const walk = walkOf(fields);
    assert.equal(walk.push(bytesOf('0\r\n\r\n')), 5);
    assert.equal(walk.done, false);
  });
}

test('a chunked body ends behind its trailers, and what follows is not its own', () => {
  assert.equal(chunkedLength(bytesOf(`${CHUNKED}HTTP/1.1 200 OK\r\n`), []), CHUNKED.length);
});

test('gzip and then chunked is chunked', () => {
  const walk = walkOf(['Transfer-Encoding', 'gzip', 'transfer-encoding', 'Chunked,']);
  assert.equal(walk.push(bytesOf('0\r\n\r\nX')), 5);
  assert.equal(walk.done, true);
});

for (const [what, fields, version] of [
  ['a length and chunks', ['Content-Length', '5', 'Transfer-Encoding', 'chunked'], '1.1'],
  ['chunks over HTTP/1.0', ['Transfer-Encoding', 'chunked'], '1.0'],
  ['chunks in chunks', ['Transfer-Encoding', 'chunked, chunked'], '1.1'],
  ['two lengths', ['Content-Length', '5', 'Content-Length', '5'], '1.1'],
  ['two lengths in one line', ['Content-Length', '5, 6'], '1.1'],
  ['an empty length', ['Content-Length', ''], '1.1'],
  ['a signed length', ['Content-Length', '+5'], '1.1'],
  ['a length in hexadecimal', ['Content-Length', '0x5'], '1.1'],
  ['a length beyond all numbers', ['Content-Length', '9'.repeat(16)], '1.1'],
] as const) {
  test(`${what} are refused: nobody knows where the body ends`, () => {
    assert.throws(() => walkOf(fields, 200, version), { code: 'ERR_BODY_FRAMING' });
  });
}

for (const [what, body] of [
  ['a size that is no number', 'x\r\n'],
  ['an empty size', '\r\n'],
  ['a negative size', '-1\r\n'],
  ['a size of 13 digits', `${'1'.repeat(13)}\r\n`],
  ['a bare LF behind the size', '1\na\r\n'],
  ['a bare CR in the size line', '1;\ra\r\n'],
  ['a chunk longer than its size', '1\r\nab\r\n'],
  ['a bare LF in the trailers', '0\r\nx: 1\n\r\n'],
  ['a size line without end', '1'.repeat(16 * 1024 + 1)],
  ['trailers without end', `0\r\n${'x: 1\r\n'.repeat(101)}`],
] as const) {
  test(`${what} breaks a chunked body`, () => {
    assert.equal(chunkedLength(bytesOf(body), []), 'ERR_BODY_CHUNK');
  });
}

test('a chunked body ends at the same byte however it is cut', () => {
  const piece = fc.constantFrom('0\r\n\r\n', '1\r\na\r\n', 'f\r\n', '\r\n', '\n', '0', 'zz', 'x: 1\r\n', CHUNKED);
  const bodies = fc.array(piece, { maxLength: 8 }).map((pieces) => bytesOf(pieces.join('')));
  fc.assert(
    fc.property(bodies, fc.array(fc.nat(500)), (bytes, cuts) => {
      const inOrder = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
      assert.equal(chunkedLength(bytes, inOrder), chunkedLength(bytes, []));
    }),
    { numRuns: 1000 },
  );
});
