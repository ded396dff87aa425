import { MESSAGE_PATIENCE } from '../../src/core/side.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Ledger } from './ledger.ts';
import type { Loop } from './loop.ts';
import { codeOf, hex, Walker } from './walker.ts';

/** The most that may be held back between two chunks: a header, or a Pong that may be the proxy's, short of its last byte. */
const MAX_HELD = 13;
const PING = 0x9;
const PONG = 0xa;
const CLOSE = 0x8;
const NEVER = Number.POSITIVE_INFINITY;
const TAG_BYTES = 8;
/** Timers may be a millisecond early. */
const EARLY = 1.5;

/** What the checker of a direction needs to know. */
export interface DirectionFacts {
  /** From the client to the upstream. */
  readonly isUp: boolean;
  /** What was asked of the side that the direction comes from, and of the one it goes to. */
  readonly from: Ledger;
  readonly to: Ledger;
  /** The shortest Ping interval that was in force towards the side it goes to, in ms. */
  interval(): number;
  /** When the side that it goes to was last heard, in ms. */
  heardAt(): number;
  /** The side that it comes from has passed a limit, so what it sends may stop anywhere. */
  isBroken(): boolean;
  /** The proxy was told to stop. */
  isDraining(): boolean;
  complain(what: string): void;
}

/**
 * Compares what the proxy reads from one side with what it writes to the other: invariants 1 to 6. It sees the bytes alone, and
 * decides by itself which Pongs have to be swallowed.
 */
export class Checker {
  /** Read from the one side, and written to the other. */
  bytesIn = 0;
  bytesOut = 0;
  injectedBytes = 0;
  swallowedBytes = 0;
  /** The code of a Close of the proxy's own. */
  injectedClose: number | null = null;
  /** A Close went this way, whoever made it. */
  closed = false;
  /** Nothing that comes is passed on any more. */
  stopped = false;
  /** When something was last written, in ms. */
  wroteAt = 0;

  readonly #loop: Loop;
  readonly #facts: DirectionFacts;
  readonly #expected = new ByteQueue();
  readonly #input = new Walker();
  readonly #output = new Walker();
  #lastKey = '';
  /** When something relayed was last written, and since when a frame and a message are under way there, in ms; `Infinity`: none is. */
  #relayedAt = 0;
  #frameSince = NEVER;
  #messageSince = NEVER;
  /** The round of the loop in which something was last read. */
  #readIn = 0;

  constructor(loop: Loop, facts: DirectionFacts) {
    this.#loop = loop;
    this.#facts = facts;
  }

  /** What is written stands between two frames. */
  get atBoundary(): boolean {
    return this.#output.atBoundary;
  }

  /** Bytes that were read and neither written nor swallowed. */
  get held(): number {
    return this.#expected.length;
  }

  read(bytes: Uint8Array): void {
    // Writes may be put off to the end of the round, or of the next one for what came after its end.
    if (this.#loop.rounds > this.#readIn + 1) this.checkHeld();
    this.#readIn = this.#loop.rounds;
    this.bytesIn += bytes.length;
    for (let at = 0; at < bytes.length; ) {
      const next = this.#input.advance(bytes, at);
      if (!this.stopped) this.#expected.add(bytes.subarray(at, next));
      if (this.#input.atBoundary) this.#swallowOwnPong();
      at = next;
    }
  }

  wrote(piece: Uint8Array): void {
    this.bytesOut += piece.length;
    this.wroteAt = this.#loop.time;
    if (this.stopped) {
      this.#facts.complain('bytes behind the end of a direction');
      return;
    }
    for (let at = 0; at < piece.length && !this.stopped; ) {
      const injected = this.#output.atBoundary ? this.#injectedLength(piece, at) : 0;
      at = injected > 0 ? this.#takeInjected(piece, at, injected) : this.#takeRelayed(piece, at);
    }
  }

  /** The proxy wrote to a socket that was just lost. */
  dropped(piece: Uint8Array): void {
    this.bytesOut += piece.length;
  }

  /** Between two events no more than a part of a header or of a Pong may be held. */
  checkHeld(): void {
    if (this.stopped || this.#expected.length === 0 || this.#facts.isBroken() || this.#isAtStop) return;
    const isUnit = this.#input.inHeader || (this.#input.opcode === PONG && !this.#input.atBoundary);
    if (!isUnit || this.#expected.length > MAX_HELD) this.#fail(`${this.#expected.length} bytes are held back`);
  }

  /** The proxy ends what it writes. @param isInputOver nothing more can be read, so nothing may be held */
  ended(isInputOver: boolean): void {
    if (this.#isAtStop) this.stop();
    this.checkHeld();
    if (!this.stopped && isInputOver && this.#expected.length > 0)
      this.#fail(`${this.#expected.length} held bytes were lost at the end`);
    this.stop();
  }

  stop(): void {
    this.stopped = true;
    this.#expected.clear();
  }

  /** A stop drops what comes behind the end of a message. */
  get #isAtStop(): boolean {
    return this.#facts.isDraining() && this.atBoundary && this.#messageSince === NEVER;
  }

  /** Invariant 4. */
  #swallowOwnPong(): void {
    const { first, payload, length } = this.#input;
    const isCandidate = first === 0x8a && payload.length === TAG_BYTES;
    if (!isCandidate || !this.#facts.from.take(hex(payload), this.#loop.time)) return;
    if (this.stopped) return;
    if (this.#expected.length < length) {
      this.#fail('a Pong of the proxy was passed on in part');
      return;
    }
    this.#expected.trim(length);
    this.swallowedBytes += length;
  }

  /** Length of the control frame at `at` when it is not the next of the input; else 0. Those are always written as a whole. */
  #injectedLength(piece: Uint8Array, at: number): number {
    const second = piece[at + 1];
    if (second === undefined || ((piece[at] as number) & 0x08) === 0) return 0;
    const length = 2 + (second & 0x7f) + (second >= 0x80 ? 4 : 0);
    if ((second & 0x7f) > 125 || at + length > piece.length) return 0;
    return this.#expected.startsWith(piece.subarray(at, at + length)) ? 0 : length;
  }

  #takeRelayed(piece: Uint8Array, at: number): number {
    if (this.#output.atBoundary) this.#frameSince = this.#loop.time;
    this.#relayedAt = this.#loop.time;
    const next = this.#output.advance(piece, at);
    const bytes = piece.subarray(at, next);
    if (!this.#expected.startsWith(bytes)) {
      this.#fail('bytes differ from what was read');
      return next;
    }
    this.#expected.drop(bytes.length);
    if (this.#output.atBoundary) this.#noteRelayed();
    return next;
  }

  #noteRelayed(): void {
    const { opcode, first } = this.#output;
    if (opcode < CLOSE) this.#messageSince = first >= 0x80 ? NEVER : Math.min(this.#messageSince, this.#frameSince);
    if (opcode === PING) this.#facts.to.noteRelayedPing(this.#loop.time);
    else if (opcode === PONG) this.#facts.from.notePong();
    else if (opcode === CLOSE) this.closed = true;
  }

  #takeInjected(piece: Uint8Array, at: number, length: number): number {
    const next = this.#output.advance(piece, at);
    this.injectedBytes += length;
    const key = hex(piece.subarray(at + 2, at + 6));
    if (this.#output.masked !== this.#facts.isUp) this.#fail('an injected frame has the wrong masking');
    else if (this.#facts.isUp && key === this.#lastKey) this.#fail('a mask key was used twice');
    else if (this.closed) this.#fail('a frame was injected behind a Close');
    else if (this.#output.first === 0x89) this.#notePing();
    else if (this.#output.first === 0x8a) this.#notePong();
    else if (this.#output.first === 0x88) this.#noteClose();
    else this.#fail('bytes differ from what was read, or an unknown frame was injected');
    this.#lastKey = key;
    return next;
  }

  #notePing(): void {
    const { payload } = this.#output;
    const { to } = this.#facts;
    const { time } = this.#loop;
    const interval = this.#facts.interval();
    if (time - this.#messageSince < interval * MESSAGE_PATIENCE - EARLY && this.#messageSince !== NEVER)
      this.#facts.complain(`a Ping inside a message of ${time - this.#messageSince} ms`);
    // One that has waited for the end of a frame or a message was decided on before.
    const hasWaited = this.#relayedAt === time || this.#messageSince !== NEVER;
    if (to.isFull && !hasWaited && time - this.#facts.heardAt() < interval - EARLY)
      this.#facts.complain('a Ping to a side that owes four answers and goes on sending');
    if (payload.length !== TAG_BYTES || !to.add(hex(payload), this.#loop.time))
      this.#fail('a Ping without a fresh tag');
    const due = to.relayedPingAt + interval - EARLY;
    if (time < due) this.#facts.complain('a Ping was injected while a relayed one is unanswered');
  }

  /** A Pong that nobody asked for goes to a client alone, which owes answers and does not wait for one itself. */
  #notePong(): void {
    const { to, from, isUp } = this.#facts;
    to.ponged++;
    if (isUp || this.#output.length !== 2) this.#fail('a Pong that nobody asked for');
    else if (!to.isFull) this.#fail('a Pong in the place of a Ping that could have gone out');
    else if (from.relayedPingAt !== Number.NEGATIVE_INFINITY) this.#fail('a Pong that the client takes for its answer');
  }

  #noteClose(): void {
    this.closed = true;
    this.injectedClose = codeOf(this.#output.payload);
    this.stopped = true;
    this.#expected.clear();
  }

  #fail(what: string): void {
    this.#facts.complain(what);
    this.stop();
  }
}
