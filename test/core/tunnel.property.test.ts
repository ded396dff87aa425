/** Invariants 1 to 6 and 8 on both directions at once, with Pings due, answered, forged and relayed at any time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Side } from '../../src/core/events.ts';
import { type KeepaliveSettings, PING_MODES, type PingMode } from '../../src/core/settings.ts';
import { framesOf, KEEPALIVE, other, randomOf, SIDES, TunnelHarness } from '../support/core-harness.ts';
import { anyClose, anyFrame, frameOf, type FrameSpec, inChunks, keyOf, recorded } from '../support/frame-streams.ts';
import { buildFrame, OPCODE } from '../support/frames.ts';
import { TunnelModel } from '../support/tunnel-model.ts';

const INTERVAL: Record<Side, number> = { client: 1000, upstream: 1500 };
const NEVER = Number.POSITIVE_INFINITY;

type Flaw = 'none' | 'fin' | 'rsv' | 'mask' | 'length' | 'payload';
type Step =
  | { readonly do: 'send'; readonly side: Side; readonly frame: FrameSpec }
  /** Answers the Ping of ours that is `back` before the newest. */
  | { readonly do: 'answer'; readonly side: Side; readonly back: number; readonly flaw: Flaw; readonly key: number }
  | { readonly do: 'deliver'; readonly side: Side; readonly bytes: number; readonly each: number }
  | { readonly do: 'time'; readonly ms: number; readonly timer: boolean };

const anySide = fc.constantFrom(...SIDES);
const anyFlaw = fc.constantFrom<Flaw>('none', 'none', 'none', 'none', 'fin', 'rsv', 'mask', 'length', 'payload');

const send = fc.record({ do: fc.constant('send' as const), side: anySide, frame: anyFrame });
const answer = fc.record({
  do: fc.constant('answer' as const),
  side: anySide,
  back: fc.nat(5),
  flaw: anyFlaw,
  key: fc.nat(),
});
const deliver = fc.record({
  do: fc.constant('deliver' as const),
  side: anySide,
  bytes: fc.oneof(fc.constant(NEVER), fc.integer({ min: 1, max: 20 })),
  each: fc.constantFrom(1, 3, 9, 100_000),
});
const time = fc.record({
  do: fc.constant('time' as const),
  ms: fc.oneof(fc.nat(10), fc.nat(2000)),
  timer: fc.constantFrom(true, true, true, false),
});
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: send },
  { weight: 3, arbitrary: answer },
  { weight: 5, arbitrary: deliver },
  { weight: 4, arbitrary: time },
);
const anySteps = fc.array(anyStep, { maxLength: 60, size: 'max' });

function keepaliveOf(mode: PingMode): KeepaliveSettings {
  const client = { interval: INTERVAL.client, timeout: NEVER, mode };
  return { ...KEEPALIVE, client, upstream: { interval: INTERVAL.upstream, timeout: NEVER, mode } };
}

/** Two peers with bytes on their way to a tunnel, and the model that watches. */
class World {
  readonly harness: TunnelHarness;
  readonly model: TunnelModel;
  #late = 0;
  readonly queue: Record<Side, Buffer> = { client: Buffer.alloc(0), upstream: Buffer.alloc(0) };

  constructor(mode: PingMode, seed: number) {
    this.harness = new TunnelHarness({ keepalive: keepaliveOf(mode) }, randomOf(seed));
    this.model = new TunnelModel(this.harness, INTERVAL);
  }

  take(step: Step): void {
    if (step.do === 'send') this.send(step.side, frameOf(step.side, step.frame));
    else if (step.do === 'answer') this.#answer(step);
    else if (step.do === 'deliver') this.deliver(step.side, step.bytes, step.each);
    else this.#pass(step.ms, step.timer);
  }

  send(side: Side, bytes: Buffer): void {
    this.queue[side] = Buffer.concat([this.queue[side], bytes]);
  }

  deliver(side: Side, bytes: number, each: number): void {
    const part = this.queue[side].subarray(0, bytes);
    this.queue[side] = this.queue[side].subarray(part.length);
    // Long payloads one byte at a time would show nothing new.
    const size = part.length > 1000 ? Math.max(each, 97) : each;
    inChunks(part, [size], (chunk) => {
      this.harness.receive(side, chunk);
      this.model.received(side, chunk);
    });
  }

  #pass(ms: number, timer: boolean): void {
    const until = this.harness.now + ms;
    if (!timer) {
      this.harness.now = until;
      this.#late += ms;
      return;
    }
    this.model.lateness = Math.max(this.model.lateness, this.#late);
    this.#late = 0;
    for (let due = this.#nextDeadline(); due <= until; due = this.#nextDeadline()) {
      this.harness.now = Math.max(due, this.harness.now);
      this.harness.timer();
      this.model.look(true);
    }
    this.harness.now = until;
    this.model.checkPings();
  }

  #nextDeadline(): number {
    return this.harness.tunnel.nextDeadline();
  }

  #answer({ side, back, flaw, key }: Extract<Step, { do: 'answer' }>): void {
    const ping = this.model.injected(side).at(-1 - back);
    if (ping === undefined) return;
    const payload = Buffer.from(ping.payload);
    if (flaw === 'payload') payload.writeUInt8(payload.readUInt8(7) ^ 1, 7);
    const isMasked = (side === 'client') === (flaw !== 'mask');
    const parts = { fin: flaw !== 'fin', rsv: flaw === 'rsv' ? 2 : 0, lengthBytes: flaw === 'length' ? 2 : 0 } as const;
    this.send(side, buildFrame({ opcode: OPCODE.pong, payload, mask: isMasked ? keyOf(key) : null, ...parts }));
  }
}

const anyWorld = { mode: fc.constantFrom(...PING_MODES), seed: fc.integer({ min: 1 }) };

test('both directions keep the invariants, whatever passes in whatever pieces while Pings go out and are answered', () => {
  const script = fc.record({ ...anyWorld, steps: anySteps });
  const check = ({ mode, seed, steps }: { mode: PingMode; seed: number; steps: Step[] }): void => {
    const world = new World(mode, seed);
    for (const step of steps) world.take(step);
    for (const side of SIDES) world.deliver(side, NEVER, 100_000);
    assert.equal(world.harness.cause(), null);
  };
  fc.assert(fc.property(script, check), { numRuns: 150 });
});

test('and so until both have closed, and nothing is injected behind a Close', () => {
  const anyEnd = fc.record({ side: anySide, frame: anyClose });
  const script = fc.record({ ...anyWorld, before: anySteps, end: anyEnd, after: anySteps });
  fc.assert(
    fc.property(script, ({ mode, seed, before, end, after }) => {
      const world = new World(mode, seed);
      for (const step of before) world.take(step);
      for (const side of SIDES) world.deliver(side, NEVER, 100_000);
      const close = frameOf(end.side, { ...end.frame, rsv: 0, fin: true });
      world.send(end.side, close);
      world.deliver(end.side, NEVER, 5);
      assert.equal(world.harness.tunnel.facts?.initiator, end.side);
      const frames = framesOf(world.harness.wire(other(end.side)));
      assert.deepEqual(frames.at(-1)?.raw, close);
      for (const step of after) world.take(step);
    }),
    { numRuns: 100 },
  );
});

test('a peer may answer all Pings of ours or only some, in order, and none of that passes; again, and all of it does', () => {
  const each = fc.integer({ min: 1, max: 20 });
  const anyAnswers = fc
    .array(fc.boolean(), { minLength: 1, maxLength: 12 })
    .filter((answers) => answers.includes(true));
  fc.assert(
    fc.property(anySide, anyAnswers, each, (side, answers, size) => {
      const world = new World('always', 5);
      const relayed = (): Buffer =>
        Buffer.concat(
          framesOf(world.harness.wire(other(side))).map(({ opcode, raw }) =>
            opcode === OPCODE.pong ? raw : Buffer.alloc(0),
          ),
        );
      for (const _ of answers) world.take({ do: 'time', ms: 1500, timer: true });
      for (const [index, isAnswered] of answers.entries()) {
        const back = answers.length - 1 - index;
        if (isAnswered) world.take({ do: 'answer', side, back, flaw: 'none', key: 0xfffefdfc });
      }
      const pongs = world.queue[side];
      world.deliver(side, NEVER, size);
      assert.equal(relayed().length, 0);
      // The newest tag went out several times, so it may be answered several times; ask and answer once more.
      world.take({ do: 'time', ms: 1500, timer: true });
      world.take({ do: 'answer', side, back: 0, flaw: 'none', key: 1 });
      world.send(side, pongs);
      world.deliver(side, NEVER, size);
      assert.deepEqual(relayed(), pongs);
    }),
    { numRuns: 200 },
  );
});

test('recorded sessions arrive byte for byte, both ways, while a Ping is due with every chunk', () => {
  const names = fc.constantFrom('neko-legacy-admin' as const, 'neko-legacy-browser' as const);
  fc.assert(
    fc.property(names, fc.integer({ min: 20, max: 1500 }), fc.integer({ min: 1 }), (name, parts, seed) => {
      const world = new World('always', seed);
      for (const side of SIDES) world.send(side, recorded(name, side));
      const total = world.queue.client.length + world.queue.upstream.length;
      const size = { client: world.queue.client.length / parts, upstream: world.queue.upstream.length / parts };
      for (let part = 0; part < parts; part += 1) {
        for (const side of SIDES) world.deliver(side, Math.ceil(size[side]), Math.ceil(size[side]));
        // A Close has a limited time for its answer, so none passes behind it.
        if (world.harness.cause() === null) world.take({ do: 'time', ms: 1500, timer: true });
      }
      assert.ok(world.model.passed >= total - 20, 'but for what a Close leaves behind');
      for (const side of SIDES) assert.ok(world.model.injected(side).length > 0, side);
    }),
    { numRuns: 15 },
  );
});
