/** Invariants 1, 2, 4, 5 and 8 on one direction: for any stream, any chunking, any schedule of injections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkList, Direction, PushEvents } from '../../src/core/direction.ts';
import { Boundary } from '../../src/core/frame-scanner.ts';
import { PingTags } from '../../src/core/ping-tags.ts';
import type { Side } from '../../src/core/events.ts';
import { drain, lend, SIDES } from '../support/core-harness.ts';
import { anyChunking, anyClose, anyFrame, frameOf, inChunks, keyOf, recorded, walk } from '../support/frame-streams.ts';
import { buildFrame, OPCODE } from '../support/frames.ts';

const ANY = Number.POSITIVE_INFINITY;
const TAG_COUNT = 3;

interface Plan {
  readonly side: Side;
  readonly stream: Buffer;
  readonly chunks: readonly number[];
  /** Whether a Ping is injected before a chunk; used over and over. */
  readonly injections: readonly boolean[];
  readonly maxPayload?: number;
}

interface Injected {
  readonly frame: Buffer;
  readonly place: Boundary;
}

interface Outcome {
  readonly out: Buffer;
  /** Frames that went in, whole, as they should stand on the wire. */
  readonly injected: Injected[];
  readonly direction: Direction;
}

/** The tag of an outstanding Ping, as its payload. */
function tagOf(index: number): Buffer {
  return Buffer.of(0xaa, 0xbb, 0xcc, 0xdd, 0x11, 0x22, 0x33, index);
}

/** Pongs: with a right tag or a wrong one, and with one thing wrong about the frame or none. */
const anyPong = fc.record({
  index: fc.nat(TAG_COUNT + 1),
  flaw: fc.constantFrom('none', 'none', 'none', 'fin', 'rsv', 'mask', 'length', 'longer'),
  key: fc.nat(),
});

function pongOf(side: Side, { index, flaw, key }: typeof anyPong extends fc.Arbitrary<infer T> ? T : never): Buffer {
  const isMasked = (side === 'client') === (flaw !== 'mask');
  return buildFrame({
    opcode: OPCODE.pong,
    payload: flaw === 'longer' ? Buffer.concat([tagOf(index), Buffer.of(0)]) : tagOf(index),
    fin: flaw !== 'fin',
    rsv: flaw === 'rsv' ? 1 : 0,
    mask: isMasked ? keyOf(key) : null,
    lengthBytes: flaw === 'length' ? 2 : 0,
  });
}

const anySide = fc.constantFrom(...SIDES);
const anySchedule = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 });

const anyPlan: fc.Arbitrary<Plan> = fc
  .record({
    side: anySide,
    frames: fc.array(
      fc.oneof(
        { weight: 6, arbitrary: anyFrame.map((spec) => (side: Side) => frameOf(side, spec)) },
        { weight: 4, arbitrary: anyPong.map((pong) => (side: Side) => pongOf(side, pong)) },
        { weight: 1, arbitrary: anyClose.map((spec) => (side: Side) => frameOf(side, spec)) },
      ),
      { maxLength: 12 },
    ),
    // The last frame may be one that is never complete: huge, or with a length that must not pass.
    tail: fc.constantFrom(
      '',
      '827f000000010000000000',
      '82ff000000020000000112345678aabb',
      '827f80000000000000001234',
      '82',
    ),
    chunks: anyChunking,
    injections: anySchedule,
  })
  .map(({ frames, tail, side, ...rest }) => {
    const stream = Buffer.concat([...frames.map((build) => build(side)), Buffer.from(tail, 'hex')]);
    return { ...rest, side, stream };
  });

function relayOf(side: Side, maxPayload: number): Direction {
  const tags = new PingTags();
  for (let index = 0; index < TAG_COUNT; index += 1) {
    const tag = tagOf(index);
    tags.add({
      high: tag.readInt32BE(0),
      low: tag.readInt32BE(4),
      copies: 1,
      sentAt: 0,
      position: 0,
      flushedAt: Number.POSITIVE_INFINITY,
      excused: 0,
      drain: 0,
    });
  }
  return new Direction(side === 'client', { maxPayload, extensions: false, controlRate: ANY }, tags);
}

/** Runs the plan, and asserts on the way that no more than a header or a Pong is held. */
function run({ side, stream, chunks, injections, maxPayload = ANY }: Plan): Outcome {
  const direction = relayOf(side, maxPayload);
  const pieces = new ChunkList();
  const out: Buffer[] = [];
  const injected: Injected[] = [];
  const settle = (): void => void out.push(drain(pieces));
  const ownPongs = ownPongsOf(stream, maxPayload);
  let waiting: Injected = { frame: Buffer.alloc(0), place: Boundary.frame };
  let consumed = 0;
  inChunks(stream, chunks, (chunk, index) => {
    if (
      injections[index % injections.length] &&
      direction.mayInject &&
      !direction.isWaiting &&
      direction.limitPassed === null
    ) {
      // As an injected Ping looks on this side's other end, with a payload of its own.
      const mask = side === 'client' ? keyOf(index) : null;
      const frame = buildFrame({ opcode: OPCODE.ping, payload: keyOf(0xfedc0000 + index), mask });
      waiting = { frame, place: index % 2 === 0 ? Boundary.frame : Boundary.message };
      if (direction.inject(frame, false, waiting.place, pieces)) injected.push(waiting);
      settle();
    }
    const seen = lend(chunk, (lent) => direction.push(lent, 0, pieces), settle);
    if ((seen & PushEvents.injected) !== 0) injected.push(waiting);
    consumed += chunk.length;
    const swallowed = ownPongs.filter(({ end }) => end <= consumed).map(({ start, end }) => end - start);
    const kept = consumed - direction.bytes - swallowed.reduce((sum, length) => sum + length, 0);
    if (direction.limitPassed === null) assert.ok(kept >= 0 && kept <= 13, `${kept} bytes are kept back`);
  });
  direction.end(pieces);
  settle();
  return { out: Buffer.concat(out), injected, direction };
}

/** Invariant 4: what answers an outstanding Ping, whether masked as its side does or not. */
function ownPongsOf(stream: Buffer, maxPayload: number): { start: number; end: number }[] {
  let outstanding = Array.from({ length: TAG_COUNT }, (_, index) => index);
  return walk(stream, maxPayload).frames.filter(({ start, end, payloadAt, isWhole }) => {
    const second = stream[start + 1] ?? 0;
    const mask = second >= 0x80 ? stream.subarray(payloadAt - 4, payloadAt) : Buffer.alloc(4);
    const payload = stream.subarray(payloadAt, end).map((byte, i) => byte ^ (mask[i & 3] ?? 0));
    const mayBeOurs = isWhole && stream[start] === 0x8a && (second & 0x7f) === 8;
    const index = mayBeOurs ? outstanding.find((tag) => tagOf(tag).equals(payload)) : undefined;
    if (index !== undefined) outstanding = outstanding.filter((tag) => tag > index);
    return index !== undefined;
  });
}

/** What must come out of a stream besides injected frames. */
function expectedOf({ stream, maxPayload = ANY }: Plan): Buffer {
  const { frames, passes, broken } = walk(stream, maxPayload);
  const own = new Set(ownPongsOf(stream, maxPayload).map(({ start }) => start));
  const kept = frames.filter(({ start }) => !own.has(start)).map(({ start, end }) => stream.subarray(start, end));
  // What is held at the end comes out, unless it must not pass.
  return Buffer.concat([...kept, stream.subarray(broken === null ? passes : stream.length)]);
}

/** Invariants 1, 2 and 5: takes the injected frames out again, which is possible only where they stand between frames. */
function withoutInjected(out: Buffer, injected: readonly Injected[]): Buffer {
  const kept: Buffer[] = [];
  let next = 0;
  let isClosed = false;
  let isInMessage = false;
  const { frames, passes } = walk(out);
  for (const { start, end, opcode, isWhole } of frames) {
    const raw = out.subarray(start, end);
    if (injected[next]?.frame.equals(raw)) {
      assert.ok(!isClosed, 'nothing is injected behind a Close');
      assert.ok(
        !isInMessage || injected[next]?.place === Boundary.frame,
        'what waits for a message does not interrupt it',
      );
      next += 1;
    } else {
      kept.push(raw);
      if (opcode < 8) isInMessage = (raw[0] ?? 0) < 0x80;
    }
    if (opcode === OPCODE.close && isWhole) isClosed = true;
  }
  assert.equal(next, injected.length, 'every injected frame stands between two frames, in order');
  return Buffer.concat([...kept, out.subarray(passes)]);
}

function check(plan: Plan): void {
  const { out, injected, direction } = run(plan);
  const passed = withoutInjected(out, injected);
  assert.ok(passed.equals(expectedOf(plan)), `${passed.toString('hex')} came of ${plan.stream.toString('hex')}`);
  assert.equal(direction.limitPassed, walk(plan.stream, plan.maxPayload).broken);
  assert.equal(direction.bytes, passed.length);
}

test('output without injected frames is input without swallowed Pongs, whatever the stream, chunks and injections', () => {
  fc.assert(fc.property(anyPlan, check), { numRuns: 300 });
});

test('so it is with a limit on frames', () => {
  const limited = fc.record({ plan: anyPlan, maxPayload: fc.constantFrom(125, 126, 200, 65_535) });
  fc.assert(
    fc.property(limited, ({ plan, maxPayload }) => check({ ...plan, maxPayload })),
    { numRuns: 200 },
  );
});

test('so it is with recorded sessions in which bytes were changed, lost or doubled', () => {
  const anyMutation = fc.record({ at: fc.nat(), how: fc.constantFrom('change', 'lose', 'double'), value: fc.nat(255) });
  const anyMutated = fc
    .record({
      side: anySide,
      name: fc.constantFrom('neko-legacy-admin', 'neko-legacy-browser'),
      mutations: fc.array(anyMutation, { maxLength: 4 }),
      chunks: fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 10 }),
      injections: anySchedule,
    })
    .map(({ name, mutations, side, ...rest }): Plan => {
      let stream = recorded(name, side);
      // Early bytes are hit more often: most of a long stream is payload.
      for (const { at, how, value } of mutations)
        stream = mutated(stream, at % Math.min(stream.length, 3000), how, value);
      return { ...rest, side, stream };
    });
  fc.assert(fc.property(anyMutated, check), { numRuns: 200 });
});

test('so it is with recorded sessions one byte at a time', () => {
  for (const side of SIDES) {
    for (const name of ['neko-legacy-admin', 'neko-legacy-browser'] as const) {
      const stream = recorded(name, side);
      assert.ok(stream.length > 100);
      check({ side, stream, chunks: [1], injections: [false, true, false] });
    }
  }
});

function mutated(stream: Buffer, at: number, how: 'change' | 'lose' | 'double', value: number): Buffer {
  const middle = { change: Buffer.of(value), lose: Buffer.alloc(0), double: Buffer.of(stream[at] ?? 0, value) }[how];
  return Buffer.concat([stream.subarray(0, at), middle, stream.subarray(at + 1)]);
}
