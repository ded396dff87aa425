/** Arbitrary streams of frames, good and bad, and a walk over a whole one that is too simple to be wrong. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { Side } from '../../src/core/events.ts';
import { buildFrame, OPCODE } from './frames.ts';

export interface FrameSpec {
  readonly opcode: number;
  readonly length: number;
  readonly fin: boolean;
  readonly rsv: number;
  readonly lengthBytes: 0 | 2 | 8;
  /** As its side should. */
  readonly rightMask: boolean;
  readonly key: number;
  /** The payload looks like frames that mean something. */
  readonly lure: number;
}

/** What stands in payloads: a Ping, a Close, a Pong of a tag's length, headers of long frames. */
const LURES = ['8900', '880203e8', '8a080102030405060708', '827f0000000000000001', '817e', '00'].map((hex) =>
  Buffer.from(hex, 'hex'),
);

const anyLength = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 1, 2, 8, 125, 126, 127) },
  { weight: 4, arbitrary: fc.nat(300) },
  { weight: 1, arbitrary: fc.constantFrom(65_535, 65_536) },
);

const anyOpcode = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(OPCODE.continuation, OPCODE.text, OPCODE.binary) },
  { weight: 3, arbitrary: fc.constantFrom(OPCODE.ping, OPCODE.pong) },
  { weight: 1, arbitrary: fc.nat(15).filter((opcode) => opcode !== OPCODE.close) },
);

const rarely = (arbitrary: fc.Arbitrary<number>): fc.Arbitrary<number> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary });

export const anyFrame: fc.Arbitrary<FrameSpec> = fc.record({
  opcode: anyOpcode,
  length: anyLength,
  fin: fc.boolean(),
  rsv: rarely(fc.nat(7)),
  lengthBytes: fc.constantFrom(0, 0, 0, 2, 8),
  rightMask: rarely(fc.constant(1)).map((wrong) => wrong === 0),
  key: fc.nat(),
  lure: fc.nat(LURES.length - 1),
});

export const anyClose: fc.Arbitrary<FrameSpec> = anyFrame.map((spec) => ({
  ...spec,
  opcode: OPCODE.close,
  length: spec.length % 126,
}));

/** Sizes of the chunks of a stream, from one byte at a time to all at once; used over and over. */
export const anyChunking: fc.Arbitrary<number[]> = fc.oneof(
  fc.constant<number[]>([1]),
  fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 10 }),
  fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 6 }),
);

export function keyOf(key: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(key);
  return bytes;
}

export function frameOf(side: Side, spec: FrameSpec): Buffer {
  const payload = Buffer.alloc(spec.length, LURES[spec.lure]);
  const least = spec.length < 126 ? 0 : spec.length < 65_536 ? 2 : 8;
  const lengthBytes = spec.lengthBytes < least ? least : spec.lengthBytes;
  const isMasked = (side === 'client') === spec.rightMask;
  return buildFrame({ ...spec, payload, lengthBytes, mask: isMasked ? keyOf(spec.key) : null });
}

export interface WalkedFrame {
  readonly start: number;
  readonly end: number;
  readonly payloadAt: number;
  /** The first byte without FIN and reserved bits. */
  readonly opcode: number;
  /** All of it is there. */
  readonly isWhole: boolean;
}

export interface Walk {
  /** Frames whose header is complete and may pass. */
  readonly frames: WalkedFrame[];
  /** Where the first header begins that is not complete or must not pass; the stream's length when there is none. */
  readonly passes: number;
  readonly broken: 'bad_length' | 'frame_limit' | null;
}

/** RFC 6455 5.2, straight down the page, on the whole stream at once. */
export function walk(bytes: Buffer, maxPayload = Number.POSITIVE_INFINITY): Walk {
  const frames: WalkedFrame[] = [];
  let start = 0;
  while (start < bytes.length) {
    const short = (bytes[start + 1] ?? 0) & 0x7f;
    const extended = short === 127 ? 8 : short === 126 ? 2 : 0;
    const payloadAt = start + 2 + extended + ((bytes[start + 1] ?? 0) >= 0x80 ? 4 : 0);
    if (start + 2 > bytes.length || payloadAt > bytes.length) return { frames, passes: start, broken: null };
    const size = bytes.subarray(start + 2, start + 2 + extended);
    const length = extended === 0 ? BigInt(short) : BigInt(`0x${size.toString('hex')}`);
    if (length >= 2n ** 63n) return { frames, passes: start, broken: 'bad_length' };
    if (Number(length) > maxPayload) return { frames, passes: start, broken: 'frame_limit' };
    const end = payloadAt + Number(length);
    const opcode = (bytes[start] ?? 0) & 0x0f;
    frames.push({ start, end, payloadAt, opcode, isWhole: end <= bytes.length });
    start = end;
  }
  return { frames, passes: bytes.length, broken: null };
}

/** Calls back with each chunk. */
export function inChunks(stream: Buffer, sizes: readonly number[], use: (chunk: Buffer, index: number) => void): void {
  for (let at = 0, index = 0; at < stream.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    use(stream.subarray(at, at + size), index);
    at += size;
  }
}

/** What a recorded session sent one way. */
export function recorded(name: 'neko-legacy-admin' | 'neko-legacy-browser', side: Side): Buffer {
  const lines = readFileSync(new URL(`../fixtures/${name}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n');
  const records = lines.map((line) => JSON.parse(line) as { dir: 'up' | 'down'; hex?: string });
  const direction = side === 'client' ? 'up' : 'down';
  return Buffer.concat(records.map(({ dir, hex = '' }) => Buffer.from(dir === direction ? hex : '', 'hex')));
}
