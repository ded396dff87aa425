import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildFrame, closeCode, closePayload, FrameParser, OPCODE } from './frames.ts';

const MASK = Buffer.of(0x37, 0xfa, 0x21, 0x3d);

test('frames are built as the examples of RFC 6455 5.7', () => {
  const hello = Buffer.of(0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58);
  assert.deepEqual(buildFrame({ opcode: OPCODE.text, payload: 'Hello', mask: MASK }), hello);
  assert.deepEqual(
    buildFrame({ opcode: OPCODE.text, payload: 'Hel', fin: false }),
    Buffer.from([0x01, 0x03, 0x48, 0x65, 0x6c]),
  );
  const long = buildFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(256) });
  assert.deepEqual(long.subarray(0, 4), Buffer.of(0x82, 0x7e, 0x01, 0x00));
  const longer = buildFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(65_536) });
  assert.deepEqual(longer.subarray(0, 10), Buffer.of(0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0));
});

test('frames no correct peer would send can be built', () => {
  const frame = buildFrame({ opcode: 0x3, rsv: 5, payload: 'x', lengthBytes: 8, claimed: 2n ** 63n });
  assert.deepEqual(frame, Buffer.of(0xd3, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x78));
});

test('the parser gives back what was built, whatever the chunks', () => {
  const sizes = [0, 1, 125, 126, 65_535, 65_536];
  const sent = sizes.map((size) => buildFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(size, 7), mask: MASK }));
  const stream = Buffer.concat(sent);
  for (const step of [1, 3, 1000, stream.length]) {
    const parser = new FrameParser();
    const frames = [];
    for (let at = 0; at < stream.length; at += step) frames.push(...parser.push(stream.subarray(at, at + step)));
    assert.deepEqual(
      frames.map((frame) => frame.raw),
      sent,
    );
    assert.deepEqual(
      frames.map((frame) => frame.payload.length),
      sizes,
    );
    assert.ok(frames.every((frame) => frame.masked && frame.payload.every((byte) => byte === 7)));
    assert.equal(parser.rest.length, 0);
  }
});

test('bytes of an incomplete frame are kept apart', () => {
  const parser = new FrameParser();
  assert.equal(parser.push(Buffer.of(0x89, 0x00, 0x81, 0x7e, 0x01)).length, 1);
  assert.deepEqual(parser.rest, Buffer.of(0x81, 0x7e, 0x01));
});

test('a Close frame carries its code, or none', () => {
  const [coded, bare] = new FrameParser().push(
    Buffer.concat([
      buildFrame({ opcode: OPCODE.close, payload: closePayload(1011, 'gone') }),
      buildFrame({ opcode: OPCODE.close }),
    ]),
  );
  assert.ok(coded && bare);
  assert.equal(closeCode(coded), 1011);
  assert.equal(closeCode(bare), null);
});
