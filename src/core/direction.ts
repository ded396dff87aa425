import { Boundary, FrameScanner, type ScannerLimits, Stop } from './frame-scanner.ts';
import { MASK_BIT, readInt32, TAG_BYTES } from './frame.ts';
import type { OutstandingPing, PingTags } from './ping-tags.ts';

/**
 * Chunks on their way out, in order. It is filled and emptied within one turn and used again, so the hot path allocates nothing.
 */
export class ChunkList {
  readonly #list: (Uint8Array | undefined)[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(bytes: Uint8Array): void {
    this.#list[this.#count++] = bytes;
  }

  at(index: number): Uint8Array {
    return this.#list[index] as Uint8Array;
  }

  clear(): void {
    for (let i = 0; i < this.#count; i++) this.#list[i] = undefined;
    this.#count = 0;
  }
}

/** What a push has seen, as bits: almost always none. */
export const PushEvents = {
  nothing: 0,
  /** The frame that waited for a boundary went out. */
  injected: 1,
  ping: 2,
  /** A Pong that answers an application's own Ping. */
  pong: 4,
  /** A Pong that answers an injected Ping, and was swallowed: see `answered`. */
  ownPong: 8,
  close: 16,
  /** A limit was passed; see `limitPassed`. Nothing of that direction passes any more. */
  limitPassed: 32,
} as const;

/** In the place of a frame: the output ends at the boundary. */
export const END = new Uint8Array(0);

/** Why a direction was stopped: names of `CloseCause`. */
export type LimitPassed = 'frame_limit' | 'bad_length' | 'rate_limit';

export interface DirectionLimits extends ScannerLimits {
  /** Sustained control frames per second that may pass; `Infinity` for any. */
  readonly controlRate: number;
}

/** A rate limit lets bursts of this many seconds' worth pass. */
const BURST_SECONDS = 10;

/**
 * One direction of a connection: bytes in, the same bytes out, in as few chunks as they came in, without the Pongs that answer
 * Pings of ours and with frames of ours slipped in at frame boundaries.
 */
export class Direction {
  // Field order matters: the first ones are read for every chunk and should share a cache line.
  readonly scanner: FrameScanner;
  /** Bytes passed on, without injected ones. */
  bytes = 0;
  /** Pings of ours that this direction may bring the answers to. */
  readonly #tags: PingTags;
  limitPassed: LimitPassed | null = null;
  /** Walk on, but pass nothing. */
  discarding = false;
  /** Waits for the place at which the scanner is made to stop. */
  #pending: Uint8Array | null = null;

  /** The newest Ping of ours that was answered; the reader of `PushEvents.ownPong` takes it away. */
  answered: OutstandingPing | null = null;
  /** Pings and Pongs passed so far, and Pongs swallowed. */
  pings = 0;
  pongs = 0;
  ownPongs = 0;

  readonly #limits: DirectionLimits;
  #pendingIsLast = false;
  /** A Close has passed or was injected, so nothing may be injected behind it (RFC 6455 section 5.5.1). */
  #closed = false;
  /** The input ended inside a frame, and so did the output. */
  #torn = false;
  #credit: number;
  #creditAt = 0;

  /** @param masked it comes from the client */
  constructor(masked: boolean, limits: DirectionLimits, tags: PingTags) {
    this.#limits = limits;
    this.#tags = tags;
    this.#credit = limits.controlRate * BURST_SECONDS;
    this.scanner = new FrameScanner(masked, limits);
  }

  /** A Close has gone this way. */
  get closed(): boolean {
    return this.#closed;
  }

  /** A frame may be injected, now or at a boundary to come. */
  get mayInject(): boolean {
    return !this.#torn && !this.#closed;
  }

  /** The output stands between two frames, and a frame may be injected at once. */
  get canInject(): boolean {
    return this.mayInject && this.scanner.isAt(Boundary.frame);
  }

  /** A frame waits for a boundary. */
  get isWaiting(): boolean {
    return this.#pending !== null;
  }

  /**
   * Passes a chunk on. The chunks are parts of the chunk, or a few held bytes; they are valid as long as the chunk is.
   *
   * @param now ms on the monotonic clock
   * @returns bits of `PushEvents`
   */
  push(chunk: Uint8Array, now: number, out: ChunkList): number {
    if (this.limitPassed !== null) return PushEvents.nothing;
    this.scanner.watching = this.#tags.size > 0;
    if (this.scanner.heldLength > 0) return this.#pushBehindHeld(chunk, now, out);
    return this.#walk(chunk, now, out);
  }

  /**
   * Sends a frame of our own at the next place of that kind: now, when the output stands at one. The caller has asked `mayInject`.
   *
   * @param frame `END`: nothing, but the output ends there
   * @param isLast whatever else comes this way is discarded
   * @returns whether it went out; otherwise it waits, in the place of one that waited before
   */
  inject(frame: Uint8Array, isLast: boolean, place: Boundary, out: ChunkList): boolean {
    this.#pending = frame;
    this.#pendingIsLast = isLast;
    if (this.scanner.isAt(place)) {
      this.#releasePending(frame, out);
      return true;
    }
    this.scanner.stopsAt = place;
    return false;
  }

  /** What waits for the end of a message waits for that of a frame from now on. @returns whether it went out */
  settleForFrame(out: ChunkList): boolean {
    if (this.#pending === null) return false;
    return this.inject(this.#pending, this.#pendingIsLast, Boundary.frame, out);
  }

  /** The output ends here: whatever else comes is walked and discarded. */
  stop(): void {
    this.discarding = true;
    this.#dropPending();
  }

  /** The input has ended: lets go of what was held. */
  end(out: ChunkList): void {
    if (this.scanner.remaining > 0 || this.scanner.heldLength > 0) this.#torn = true;
    const held = this.scanner.takeHeld();
    this.#passRange(held, 0, held.length, out);
  }

  /** The end of the last chunk is walked once its unit is whole, as if it were a chunk of its own. */
  #pushBehindHeld(chunk: Uint8Array, now: number, out: ChunkList): number {
    const taken = this.scanner.complete(chunk);
    if (!this.scanner.heldIsWhole) return PushEvents.nothing;
    const seen = this.#walk(this.scanner.takeHeld(), now, out);
    return taken === chunk.length ? seen : seen | this.push(chunk.subarray(taken), now, out);
  }

  #releasePending(frame: Uint8Array, out: ChunkList): void {
    if (frame !== END) out.add(frame);
    this.#dropPending();
    if (!this.#pendingIsLast) return;
    this.#closed = frame !== END;
    this.discarding = true;
  }

  #dropPending(): void {
    this.#pending = null;
    this.scanner.stopsAt = Boundary.none;
  }

  #walk(chunk: Uint8Array, now: number, out: ChunkList): number {
    const { scanner } = this;
    let seen: number = PushEvents.nothing;
    let from = 0;
    let at = scanner.scan(chunk, 0);
    while (scanner.stop !== Stop.exhausted && this.limitPassed === null) {
      if (scanner.stop === Stop.candidate) {
        const behind = at + scanner.candidateHeader + TAG_BYTES;
        if (this.#takeOwnPong(chunk, at)) {
          this.#passRange(chunk, from, at, out);
          from = behind;
          seen |= PushEvents.ownPong;
        } else {
          scanner.passCandidate();
          seen |= this.#notePong(now);
        }
        at = behind;
      } else if (scanner.stop === Stop.boundary) {
        this.#passRange(chunk, from, at, out);
        from = at;
        this.#releasePending(this.#pending as Uint8Array, out);
        seen |= PushEvents.injected;
      } else {
        seen |= this.#noteStop(scanner.stop, now);
      }
      if (this.limitPassed === null) at = scanner.scan(chunk, at);
    }
    this.#passRange(chunk, from, at, out);
    return seen;
  }

  /** Invariant 4: only the tag of an outstanding Ping makes a Pong ours. */
  #takeOwnPong(chunk: Uint8Array, at: number): boolean {
    const payload = at + this.scanner.candidateHeader;
    const isMasked = ((chunk[at + 1] as number) & MASK_BIT) !== 0;
    const maskKey = isMasked ? readInt32(chunk, payload - 4) : 0;
    const answered = this.#tags.take(chunk, payload, maskKey);
    if (answered === null) return false;
    this.answered = answered;
    this.ownPongs++;
    this.scanner.watching = this.#tags.size > 0;
    return true;
  }

  #noteStop(
    stop: Exclude<Stop, typeof Stop.candidate | typeof Stop.exhausted | typeof Stop.boundary>,
    now: number,
  ): number {
    switch (stop) {
      case Stop.ping:
        // The peer may answer only the newest of two Pings, so ours is not sent right behind it (RFC 6455 section 5.5.3).
        if (!this.#pendingIsLast) this.#dropPending();
        this.pings++;
        return PushEvents.ping | this.#spend(now);
      case Stop.pong:
        return this.#notePong(now);
      case Stop.close:
        if (!this.discarding) this.#closed = true;
        this.#dropPending();
        return PushEvents.close | this.#spend(now);
      case Stop.badLength:
        return this.#passedLimit('bad_length');
      case Stop.tooLong:
        return this.#passedLimit('frame_limit');
    }
  }

  #notePong(now: number): number {
    this.pongs++;
    return PushEvents.pong | this.#spend(now);
  }

  /** A token bucket over relayed control frames. */
  #spend(now: number): number {
    const rate = this.#limits.controlRate;
    if (rate === Number.POSITIVE_INFINITY) return PushEvents.nothing;
    const refilled = this.#credit + ((now - this.#creditAt) / 1000) * rate;
    this.#credit = Math.min(refilled, rate * BURST_SECONDS) - 1;
    this.#creditAt = now;
    return this.#credit < 0 ? this.#passedLimit('rate_limit') : PushEvents.nothing;
  }

  #passedLimit(why: LimitPassed): number {
    this.limitPassed = why;
    this.#dropPending();
    return PushEvents.limitPassed;
  }

  #passRange(chunk: Uint8Array, from: number, to: number, out: ChunkList): void {
    if (from === to || this.discarding) return;
    this.bytes += to - from;
    out.add(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }
}
