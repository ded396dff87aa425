import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  closeFrame,
  controlFrame,
  headerLength,
  isReservedCloseCode,
  OPCODE_PONG,
  parseClosePayload,
  pingFrame,
  readInt32,
  unmask,
} from '../../src/core/frame.ts';

/** The key of the examples in RFC 6455 5.7. */
const KEY = 0x37fa213d;

test('a control frame towards the client is not masked', () => {
  const frame = controlFrame(OPCODE_PONG, Uint8Array.of(0x48, 0x65, 0x6c, 0x6c, 0x6f), null);
  assert.deepEqual([...frame], [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
});

test('a control frame towards the upstream is masked as in RFC 6455 5.7', () => {
  const payload = Uint8Array.of(0x48, 0x65, 0x6c, 0x6c, 0x6f);
  const frame = controlFrame(OPCODE_PONG, payload, KEY);
  assert.deepEqual([...frame], [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
  assert.deepEqual([...payload], [0x48, 0x65, 0x6c, 0x6c, 0x6f], 'the payload given is not changed');
});

test('a mask key with its top bit set is used in network order', () => {
  const frame = controlFrame(OPCODE_PONG, Uint8Array.of(0, 0, 0, 0, 0), 0x80ff01fe | 0);
  assert.deepEqual([...frame], [0x8a, 0x85, 0x80, 0xff, 0x01, 0xfe, 0x80, 0xff, 0x01, 0xfe, 0x80]);
});

test('a mask key of zero still makes a masked frame', () => {
  assert.deepEqual([...controlFrame(OPCODE_PONG, Uint8Array.of(0x61), 0)], [0x8a, 0x81, 0, 0, 0, 0, 0x61]);
});

test('a Ping carries the 64 bits of its tag in network order', () => {
  const ping = pingFrame(0x01020304, 0xf5060708 | 0, null);
  assert.deepEqual([...ping], [0x89, 0x08, 0x01, 0x02, 0x03, 0x04, 0xf5, 0x06, 0x07, 0x08]);
  const masked = pingFrame(0x01020304, 0x05060708, 0x01010101);
  assert.deepEqual([...masked], [0x89, 0x88, 1, 1, 1, 1, 0x00, 0x03, 0x02, 0x05, 0x04, 0x07, 0x06, 0x09]);
});

test('a Close carries code and reason, masked only towards the upstream', () => {
  assert.deepEqual([...closeFrame(1011, 'ok', null)], [0x88, 0x04, 0x03, 0xf3, 0x6f, 0x6b]);
  assert.deepEqual([...closeFrame(1012, '', 0x01020304)], [0x88, 0x82, 1, 2, 3, 4, 0x02, 0xf6]);
});

test('a Close payload gives its code and its reason', () => {
  assert.deepEqual(parseClosePayload(Uint8Array.of()), { code: null, reason: '' });
  assert.deepEqual(parseClosePayload(Uint8Array.of(3)), { code: null, reason: '' });
  assert.deepEqual(parseClosePayload(Uint8Array.of(0x03, 0xe9)), { code: 1001, reason: '' });
  assert.deepEqual(parseClosePayload(Uint8Array.of(0x03, 0xee, 0xc3, 0xa9)), { code: 1006, reason: 'é' });
});

test('bad UTF-8 in a Close reason is replaced, not thrown', () => {
  assert.deepEqual(parseClosePayload(Uint8Array.of(0x03, 0xe8, 0xff)), { code: 1000, reason: '\ufffd' });
});

test('a header is 2 to 14 bytes long, as its second byte says', () => {
  const lengths = [0x00, 0x7d, 0x7e, 0x7f, 0x80, 0xfd, 0xfe, 0xff].map((second) => headerLength(second));
  assert.deepEqual(lengths, [2, 2, 4, 10, 6, 6, 8, 14]);
});

test('32 bits are read in network order with their sign', () => {
  assert.equal(readInt32(Uint8Array.of(9, 0x01, 0x02, 0x03, 0x04), 1), 0x01020304);
  assert.equal(readInt32(Uint8Array.of(0xff, 0xff, 0xff, 0xfe), 0), -2);
});

test('masking twice gives the payload back', () => {
  const payload = Uint8Array.of(1, 2, 3, 4, 5, 6, 7);
  unmask(payload, KEY);
  assert.deepEqual([...payload], [0x36, 0xf8, 0x22, 0x39, 0x32, 0xfc, 0x26]);
  unmask(payload, KEY);
  assert.deepEqual([...payload], [1, 2, 3, 4, 5, 6, 7]);
});

test('the reserved close codes are 1004, 1005, 1006 and 1015', () => {
  const codes = Array.from({ length: 5000 }, (_, code) => code);
  assert.deepEqual(
    codes.filter((code) => isReservedCloseCode(code)),
    [1004, 1005, 1006, 1015],
  );
});
