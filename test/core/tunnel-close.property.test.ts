/** However a connection ends, it ends: both sockets go, nothing follows an end, and the first reason stands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CloseFacts, Side } from '../../src/core/events.ts';
import { frameFrom, NO_LIMITS, SIDES, TunnelHarness } from '../support/core-harness.ts';
import { MOST_PATIENCE } from '../../src/core/patience.ts';
import { SIDE_STATES, type SideState, type TunnelSide } from '../../src/core/side.ts';
import { walk } from '../support/frame-streams.ts';
import { closeCode, closePayload, FrameParser, OPCODE } from '../support/frames.ts';

/** The codes that only the proxy sends here. */
const OWN_CODES = new Set([1002, 1008, 1009, 1011, 1012]);

type Step =
  | { readonly do: 'bytes'; readonly side: Side; readonly bytes: Buffer; readonly cut: number }
  | { readonly do: 'end' | 'reset' | 'queue' | 'progress' | 'pause' | 'resume'; readonly side: Side }
  | { readonly do: 'drain' | 'stop' | 'fail' | 'hold' | 'flush' | 'refresh' }
  | { readonly do: 'pass'; readonly ms: number };

const BAD_LENGTH = { claimed: 2n ** 63n };
const FRAMES: readonly ((side: Side) => Buffer)[] = [
  (side) => frameFrom(side, OPCODE.text, 'text'),
  (side) => frameFrom(side, OPCODE.ping, 'app'),
  (side) => frameFrom(side, OPCODE.pong, 'app'),
  (side) => frameFrom(side, OPCODE.close, closePayload(1000)),
  (side) => frameFrom(side, OPCODE.close, closePayload(1001, 'away')),
  (side) => frameFrom(side, OPCODE.binary, '', BAD_LENGTH),
  (side) => frameFrom(side, OPCODE.binary, Buffer.alloc(201)),
];

const anySide = fc.constantFrom(...SIDES);
const bytes = fc
  .record({
    side: anySide,
    frame: fc.constantFrom(...FRAMES),
    cut: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 9 })),
  })
  .map(({ side, frame, cut }) => ({ do: 'bytes' as const, side, bytes: frame(side), cut }));
const sideStep = fc.record({
  do: fc.constantFrom(
    'end' as const,
    'reset' as const,
    'queue' as const,
    'progress' as const,
    'pause' as const,
    'resume' as const,
  ),
  side: anySide,
});
const plainStep = fc.record({
  do: fc.constantFrom(
    'drain' as const,
    'stop' as const,
    'fail' as const,
    'hold' as const,
    'flush' as const,
    'refresh' as const,
  ),
});
const pass = fc.record({ do: fc.constant('pass' as const), ms: fc.oneof(fc.nat(4000), fc.nat(90_000)) });
const anySteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: bytes },
    { weight: 3, arbitrary: sideStep },
    { weight: 2, arbitrary: plainStep },
    { weight: 2, arbitrary: pass },
  ),
  { maxLength: 25, size: 'max' },
);

class World {
  readonly harness = new TunnelHarness({ limits: { ...NO_LIMITS, maxPayload: 200, controlRate: 1 } });
  readonly #states: Record<Side, SideState> = { client: 'open', upstream: 'open' };
  /** Bytes of a cut frame, which go before anything else of that side. */
  readonly #rest: Record<Side, Buffer> = { client: Buffer.alloc(0), upstream: Buffer.alloc(0) };
  readonly #ended = new Set<Side>();
  #facts: CloseFacts | null = null;

  /** @param answers both sides have answered a Ping before */
  constructor(answers: boolean) {
    if (answers) this.harness.answering();
  }

  take(step: Step): void {
    if ('side' in step) this.#onSide(step);
    else if (step.do === 'pass') this.harness.pass(step.ms);
    else this.#onBoth(step.do);
    this.#checkFacts();
    for (const side of SIDES) this.#checkState(side);
  }

  /** Both peers are silent from now on, and whatever is written reaches the kernel. */
  abandon(): void {
    const { harness } = this;
    this.#onBoth('flush');
    harness.act(({ client, upstream }, now) => {
      for (const side of [client, upstream]) side.keepalive.resumed(now);
    });
    // A side that answers late may have this long.
    harness.pass(MOST_PATIENCE + 100_000);
    // Of peers that never answered a Ping, or that none can reach, the kernel is the judge.
    if (harness.cause() === null && !SIDES.some((side) => this.#isJudged(side))) harness.reset('client');
    assert.notEqual(harness.cause(), null, 'two silent peers are found out');
    // A boundary that a stop waits for may never come; its owner has a deadline for that.
    if (harness.cause() === 'drain') harness.act((tunnel) => tunnel.finish());
    harness.pass(70_000);
  }

  /** No Ping gets to a side inside a frame; where that is so both ways, missing bytes count in the place of a missing Pong. */
  #isJudged(name: Side): boolean {
    const { client, upstream } = this.harness.tunnel;
    const isInside = ({ outgoing }: TunnelSide): boolean => outgoing.scanner.remaining > 0;
    const side = this.harness.tunnel.side(name);
    return side.keepalive.answersPings && (!isInside(side) || (isInside(client) && isInside(upstream)));
  }

  #onSide(step: Extract<Step, { side: Side }>): void {
    const { harness } = this;
    const side = harness.tunnel.side(step.side);
    const { name } = side;
    if (side.state === 'gone' || this.#ended.has(name)) return;
    if (step.do === 'bytes') {
      const whole = Buffer.concat([this.#rest[name], step.bytes]);
      const cut = step.cut === 0 ? whole.length : Math.min(step.cut, whole.length);
      this.#rest[name] = whole.subarray(cut);
      harness.receive(name, whole.subarray(0, cut));
    } else if (step.do === 'end' || step.do === 'reset') {
      this.#ended.add(name);
      harness[step.do](name);
    } else if (step.do === 'queue') side.keepalive.queueing(0, harness.now);
    else if (step.do === 'progress') side.keepalive.drained();
    else if (step.do === 'pause') side.keepalive.paused(harness.now);
    else side.keepalive.resumed(harness.now);
  }

  #onBoth(what: 'drain' | 'stop' | 'fail' | 'hold' | 'flush' | 'refresh'): void {
    const { harness } = this;
    if (what === 'drain') harness.act((tunnel, now) => tunnel.drain(1012, 'stop', now));
    else if (what === 'stop') harness.act((tunnel, now) => tunnel.drain(null, '', now));
    else if (what === 'fail') harness.act((tunnel, now) => tunnel.fail(now));
    else if (what === 'refresh') harness.act((tunnel, now) => tunnel.refresh(0, now));
    else {
      harness.holdFlush = what === 'hold';
      if (what === 'flush') for (const side of SIDES) harness.flush(side);
    }
  }

  /** The table of states, in which several may follow each other within one step. */
  #checkState(name: Side): void {
    const side = this.harness.tunnel.side(name);
    const before = this.#states[name];
    this.#states[name] = side.state;
    assert.ok(leadsTo(before, side.state), `${name}: ${before} to ${side.state}`);
    assert.equal(side.until < Number.POSITIVE_INFINITY, SIDE_STATES[side.state].hasDeadline, side.state);
    assert.ok(side.state !== 'finished' || !side.ended, 'a side that has ended as well is gone');
    assert.ok(side.state !== 'lingering' || side.ended || name === 'upstream', 'a client lingers after its end alone');
    if (side.state === 'awaiting')
      assert.ok(side.outgoing.closed && !side.hasClosed && !side.ended, 'it owes an answer');
    const isOver = side.state !== 'open' && side.state !== 'lingering' && side.state !== 'closing';
    if (isOver) assert.ok(side.outgoing.discarding, `nothing goes out to a side that is ${side.state}`);
    if (this.harness.cause() === null) assert.equal(side.state, 'open');
  }

  /** A Close that stays unanswered is the only thing that adds to the first reason. */
  #checkFacts(): void {
    const { facts } = this.harness.tunnel;
    if (this.#facts !== null && facts?.cause !== 'close_timeout') assert.deepEqual(facts, this.#facts);
    if (this.#facts !== null && facts?.cause === 'close_timeout') assert.equal(facts.code, this.#facts.code);
    this.#facts = facts;
  }
}

function leadsTo(from: SideState, to: SideState): boolean {
  const next: readonly SideState[] = SIDE_STATES[from].next;
  return from === to || next.some((state) => leadsTo(state, to));
}

function checkWire(harness: TunnelHarness, side: Side): void {
  const wire = harness.wire(side);
  const parser = new FrameParser();
  const frames = parser.push(wire);
  const own = frames.findIndex((frame) => frame.opcode === OPCODE.close && OWN_CODES.has(closeCode(frame) ?? 0));
  if (own >= 0) {
    assert.equal(own, frames.length - 1, 'nothing follows a Close of ours');
    assert.equal(parser.rest.length, 0);
    assert.equal(frames[own]?.masked, side === 'upstream');
  }
  const closed = frames.findIndex((frame) => frame.opcode === OPCODE.close);
  const late = frames.slice(closed + 1).filter((frame) => frame.opcode === OPCODE.ping && frame.payload.length === 8);
  if (closed >= 0) assert.equal(late.length, 0, 'no Ping of ours behind a Close');
  assert.equal(walk(wire).broken, null);
}

test('every connection that begins to end is over in bounded time, whatever happened in whatever order', () => {
  fc.assert(
    fc.property(fc.boolean(), anySteps, (answers, steps) => {
      const world = new World(answers);
      const { harness } = world;
      for (const step of steps) world.take(step);
      world.abandon();
      assert.ok(harness.tunnel.isOver, `${harness.tunnel.client.state}, ${harness.tunnel.upstream.state}`);
      assert.equal(harness.tunnel.nextDeadline(), Number.POSITIVE_INFINITY);
      assert.ok(harness.tunnel.facts);
      for (const side of SIDES) {
        checkWire(harness, side);
        assert.match(harness.wishes[side].join(' '), /^(end)? ?(destroy|reset)?$/);
      }
    }),
    { numRuns: 1500 },
  );
});
