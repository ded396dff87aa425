/**
 * What must come out of a tunnel, worked out from whole frames and from nothing of the core: it looks at what each side was
 * sent, takes the injected Pings out and compares the rest.
 */
import assert from 'node:assert/strict';
import type { Side } from '../../src/core/events.ts';
import { other, type TunnelHarness } from './core-harness.ts';
import { FrameParser, OPCODE, type RawFrame } from './frames.ts';

const OUTSTANDING = 4;
/** A Ping waits for the end of a message for this part of its interval. */
const MESSAGE_PATIENCE = 0.5;

/** One direction, as its sender and its receiver see it. */
class Direction {
  readonly from: Side;
  readonly input = new FrameParser();
  readonly output = new FrameParser();
  /** Frames that came in and have to come out. */
  readonly expected: Buffer[] = [];
  consumed = 0;
  swallowed = 0;
  passed = 0;
  isClosed = false;
  /** Since when what came out stands inside a message; `Infinity`: it does not. */
  messageSince = Number.POSITIVE_INFINITY;
  /** Since when a part of a frame has been out. */
  frameSince = 0;
  seen = 0;

  constructor(from: Side) {
    this.from = from;
  }
}

/** What is known of the side that is pinged. */
class Pinged {
  /** Tags that may be answered, oldest first, one for each Ping that carried it. */
  tags: string[] = [];
  /** When the newest unanswered Ping of an application passed. */
  relayedAt = Number.NEGATIVE_INFINITY;
  /** When the newest one passed, answered or not: it takes the place of one of ours that waited. */
  lastRelayedAt = 0;
  heardAt = 0;
  sentAt = 0;
  pingedAt = 0;
  injected: RawFrame[] = [];
  /** Pongs that nobody asked for, in the place of Pings. */
  ponged = 0;

  get isFull(): boolean {
    return new Set(this.tags).size >= OUTSTANDING;
  }
}

export class TunnelModel {
  readonly #harness: TunnelHarness;
  readonly #interval: Record<Side, number>;
  readonly #directions: Record<Side, Direction> = {
    client: new Direction('upstream'),
    upstream: new Direction('client'),
  };
  /** How late a timer has been at most, in ms: a wait for the end of a message begins with it. */
  lateness = 0;
  readonly #pinged: Record<Side, Pinged> = { client: new Pinged(), upstream: new Pinged() };

  constructor(harness: TunnelHarness, interval: Record<Side, number>) {
    this.#harness = harness;
    this.#interval = interval;
  }

  /** Bytes of whole relayed frames that have come out, both ways. */
  get passed(): number {
    return this.#directions.client.passed + this.#directions.upstream.passed;
  }

  /** Pings of ours that a side has seen, newest last. */
  injected(side: Side): readonly RawFrame[] {
    return this.#pinged[side].injected;
  }

  /** A chunk was passed in. */
  received(from: Side, chunk: Buffer): void {
    const direction = this.#directions[other(from)];
    direction.consumed += chunk.length;
    this.#pinged[from].heardAt = this.#harness.now;
    for (const frame of direction.input.push(chunk)) {
      if (this.#isOwnPong(from, frame)) direction.swallowed += frame.raw.length;
      else direction.expected.push(frame.raw);
    }
    this.look(false);
  }

  /** Pongs of ours that the client has seen. */
  get ponged(): number {
    return this.#pinged.client.ponged;
  }

  /** Compares what has come out since. @param isTimely it was the timer that sent it */
  look(isTimely: boolean): void {
    for (const side of ['client', 'upstream'] as const) {
      const direction = this.#directions[side];
      const sent = this.#harness.sent[side];
      for (; direction.seen < sent.length; direction.seen += 1) {
        const bytes = sent[direction.seen] ?? Buffer.alloc(0);
        if (direction.output.rest.length === 0) direction.frameSince = this.#harness.now;
        for (const frame of direction.output.push(bytes)) {
          this.#judge(side, direction, frame, isTimely);
          direction.frameSince = this.#harness.now;
        }
        this.#pinged[side].sentAt = this.#harness.now;
      }
      this.#checkRest(direction);
    }
  }

  /** Behind a timer: no Ping that is due may be missing. */
  checkPings(): void {
    for (const side of ['client', 'upstream'] as const) {
      const { heardAt, sentAt, pingedAt, relayedAt, lastRelayedAt, injected, isFull } = this.#pinged[side];
      const { output, messageSince } = this.#directions[side];
      const { now } = this.#harness;
      // The first Ping does not wait for a quiet time.
      const quiet = injected.length === 0 ? lastRelayedAt : Math.min(heardAt, sentAt);
      const since = Math.max(quiet, pingedAt, relayedAt, isFull ? heardAt : 0);
      const patience =
        messageSince === Number.POSITIVE_INFINITY ? 0 : this.#interval[side] * MESSAGE_PATIENCE + this.lateness;
      const canInject = output.rest.length === 0 && this.#harness.cause() === null;
      const most = this.#interval[side] + patience;
      if (canInject) assert.ok(now - since < most, `the ${side} was quiet for too long`);
    }
  }

  /** Invariant 4. An answer forgets what is older. */
  #isOwnPong(from: Side, frame: RawFrame): boolean {
    const pinged = this.#pinged[from];
    const isPlain = frame.raw[0] === 0x8a && (frame.raw[1] ?? 0) % 0x80 === 8;
    const index = isPlain ? pinged.tags.indexOf(frame.payload.toString('hex')) : -1;
    if (index >= 0) pinged.tags = pinged.tags.slice(index + 1);
    else if (frame.opcode === OPCODE.pong) pinged.relayedAt = Number.NEGATIVE_INFINITY;
    return index >= 0;
  }

  #judge(side: Side, direction: Direction, frame: RawFrame, isTimely: boolean): void {
    if (direction.expected[0]?.equals(frame.raw)) {
      direction.expected.shift();
      direction.passed += frame.raw.length;
      if (frame.opcode === OPCODE.ping) {
        this.#pinged[side].relayedAt = this.#harness.now;
        this.#pinged[side].lastRelayedAt = this.#harness.now;
      }
      if (frame.opcode === OPCODE.close) direction.isClosed = true;
      if (frame.opcode < OPCODE.close) this.#noteMessage(direction, frame);
    } else if (frame.opcode === OPCODE.pong) this.#notePong(side, direction, frame, isTimely);
    else this.#noteInjected(side, direction, frame, isTimely);
  }

  #noteMessage(direction: Direction, frame: RawFrame): void {
    if (frame.fin) direction.messageSince = Number.POSITIVE_INFINITY;
    else direction.messageSince = Math.min(direction.messageSince, direction.frameSince);
  }

  /** Invariant 4: a Pong that nobody asked for goes to a client alone that owes four answers and is sent nothing else. */
  #notePong(side: Side, direction: Direction, frame: RawFrame, isTimely: boolean): void {
    const pinged = this.#pinged[side];
    const { now } = this.#harness;
    assert.deepEqual([side, frame.raw.toString('hex'), isTimely, direction.isClosed], ['client', '8a00', true, false]);
    const isOwing = pinged.isFull && now - pinged.heardAt < this.#interval[side] + this.lateness;
    assert.ok(isOwing, 'a Ping could have gone out');
    assert.ok(now - pinged.sentAt >= this.#interval[side], 'the way was not idle');
    assert.equal(this.#pinged.upstream.relayedAt, Number.NEGATIVE_INFINITY, 'the client waits for a Pong of its own');
    pinged.ponged += 1;
  }

  /** Invariants 2 to 6. */
  #noteInjected(side: Side, direction: Direction, frame: RawFrame, isTimely: boolean): void {
    const pinged = this.#pinged[side];
    const age = this.#harness.now - direction.messageSince;
    assert.ok(age < 0 || age >= this.#interval[side] * MESSAGE_PATIENCE, `inside a message of ${age} ms`);
    const isOwing = pinged.isFull && this.#harness.now - pinged.heardAt < this.#interval[side];
    // What has waited for the end of a message was decided on before.
    assert.ok(
      !isTimely || !isOwing || age >= 0,
      'a side that owes four answers and goes on sending is asked once more',
    );
    const next = direction.expected[0]?.toString('hex') ?? 'nothing';
    const isPing = frame.raw[0] === 0x89 && frame.payload.length === 8 && frame.masked === (side === 'upstream');
    assert.ok(isPing, `the ${side} got ${frame.raw.toString('hex')} before ${next}`);
    assert.ok(!direction.isClosed, 'nothing is injected behind a Close');
    const wait = pinged.relayedAt + this.#interval[side] - this.#harness.now;
    assert.ok(wait <= 0, `a relayed Ping is unanswered, for ${wait} ms more`);
    const isRepeated = pinged.injected.at(-1)?.payload.equals(frame.payload) ?? false;
    for (const before of pinged.injected) {
      const isSameKey = frame.masked && before.raw.subarray(2, 6).equals(frame.raw.subarray(2, 6));
      assert.ok(!isSameKey, 'mask keys are fresh');
      assert.ok(isRepeated || !before.payload.equals(frame.payload), 'a tag is fresh or the newest one');
    }
    pinged.injected.push(frame);
    pinged.tags.push(frame.payload.toString('hex'));
    assert.ok(new Set(pinged.tags).size <= OUTSTANDING, 'at most four tags are outstanding');
    pinged.pingedAt = this.#harness.now;
  }

  /** Invariants 1, 2 and 8: an unfinished frame is the beginning of the next expected one, and little is held back. */
  #checkRest(direction: Direction): void {
    const { rest } = direction.output;
    const next = direction.expected[0] ?? direction.input.rest;
    assert.ok(next.subarray(0, rest.length).equals(rest), 'an unfinished frame is the one that comes in');
    const kept = direction.consumed - direction.swallowed - direction.passed - rest.length;
    const goesOn = this.#harness.cause() === null;
    if (goesOn) assert.ok(kept >= 0 && kept <= 13, `${kept} bytes are kept back`);
  }
}
