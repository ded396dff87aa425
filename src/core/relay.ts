import { FrameScanner, type ScannerLimits, Stop } from './frame-scanner.ts';
import { readInt32, TAG_BYTES } from './frame.ts';
import type { OutstandingPing, PingTags } from './ping-tags.ts';
import type { Pieces } from './pieces.ts';

/** What a push has seen, as bits: almost always none. */
export const Seen = {
  nothing: 0,
  /** The frame that waited for a boundary went out. */
  injected: 1,
  ping: 2,
  /** A Pong that answers an application's own Ping. */
  pong: 4,
  /** A Pong that answers an injected Ping, and was swallowed: see `answered`. */
  ownPong: 8,
  close: 16,
  /** A limit was passed; see `broken`. Nothing of that direction passes any more. */
  broken: 32,
} as const;

/** Why a direction was stopped: names of `CloseCause`. */
export type Broken = 'frame_limit' | 'bad_length' | 'rate_limit';

export interface RelayLimits extends ScannerLimits {
  /** Sustained control frames per second that may pass; `Infinity` for any. */
  readonly controlRate: number;
}

/** A rate limit lets bursts of this many seconds' worth pass. */
const BURST_SECONDS = 10;

/**
 * One direction of a connection: bytes in, the same bytes out, in as few pieces as they came in, without the Pongs that answer
 * Pings of ours and with frames of ours slipped in at frame boundaries.
 */
export class Relay {
  // What every chunk needs comes first, as in the tunnel.
  readonly scanner: FrameScanner;
  /** Bytes passed on, without injected ones. */
  bytes = 0;
  /** Pings of ours that this direction may bring the answers to. */
  readonly #tags: PingTags;
  broken: Broken | null = null;
  /** Walk on, but pass nothing. */
  discarding = false;
  /** Waits for the next boundary. */
  #pending: Uint8Array | null = null;

  /** The newest Ping of ours that was answered; the reader of `Seen.ownPong` takes it away. */
  answered: OutstandingPing | null = null;
  /** Pings and Pongs passed so far, and Pongs swallowed. */
  pings = 0;
  pongs = 0;
  ownPongs = 0;

  readonly #masked: boolean;
  readonly #limits: RelayLimits;
  #pendingIsLast = false;
  /** A Close has passed or was injected, so nothing may be injected behind it (RFC 6455 section 5.5.1). */
  #closed = false;
  /** The input ended inside a frame, and so did the output. */
  #torn = false;
  #credit: number;
  #creditAt = 0;

  /** @param masked it comes from the client */
  constructor(masked: boolean, limits: RelayLimits, tags: PingTags) {
    this.#masked = masked;
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
    return this.mayInject && this.scanner.remaining === 0;
  }

  /** A frame waits for a boundary. */
  get isWaiting(): boolean {
    return this.#pending !== null;
  }

  /**
   * Passes a chunk on. The pieces are parts of the chunk, or a few held bytes; they are valid as long as the chunk is.
   *
   * @param now ms on the monotonic clock
   * @returns bits of `Seen`
   */
  push(chunk: Uint8Array, now: number, out: Pieces): number {
    if (this.broken !== null) return Seen.nothing;
    this.scanner.watching = this.#tags.size > 0;
    if (this.scanner.heldLength > 0) return this.#pushBehindHeld(chunk, now, out);
    if (this.#pending !== null && this.scanner.remaining <= chunk.length) {
      return this.#pushAroundPending(this.#pending, chunk, now, out);
    }
    return this.#walk(chunk, now, out);
  }

  /**
   * Sends a frame of our own at the next boundary: now, when the output stands at one. The caller has asked `mayInject`.
   *
   * @param isLast it is a Close: whatever else comes this way is discarded
   * @returns whether it went out; otherwise it waits, in the place of one that waited before
   */
  inject(frame: Uint8Array, isLast: boolean, out: Pieces): boolean {
    this.#pending = frame;
    this.#pendingIsLast = isLast;
    if (this.scanner.remaining > 0) return false;
    this.#releasePending(frame, out);
    return true;
  }

  /** The output ends here: whatever else comes is walked and discarded. */
  stop(): void {
    this.discarding = true;
    this.#pending = null;
  }

  /** The input has ended: lets go of what was held. */
  end(out: Pieces): void {
    if (this.scanner.remaining > 0 || this.scanner.heldLength > 0) this.#torn = true;
    const held = this.scanner.takeHeld();
    this.#passRange(held, 0, held.length, out);
  }

  /** The end of the last chunk is walked once its unit is whole, as if it were a chunk of its own. */
  #pushBehindHeld(chunk: Uint8Array, now: number, out: Pieces): number {
    const taken = this.scanner.complete(chunk);
    if (!this.scanner.heldIsWhole) return Seen.nothing;
    const seen = this.#walk(this.scanner.takeHeld(), now, out);
    return taken === chunk.length ? seen : seen | this.push(chunk.subarray(taken), now, out);
  }

  /** The current frame ends in this chunk, and behind it goes what waited for that. */
  #pushAroundPending(pending: Uint8Array, chunk: Uint8Array, now: number, out: Pieces): number {
    const boundary = this.scanner.remaining;
    let seen = this.#walk(chunk.subarray(0, boundary), now, out);
    // What has ended there may leave no place for it.
    if (this.#pending !== null) {
      this.#releasePending(pending, out);
      seen |= Seen.injected;
    }
    return boundary === chunk.length ? seen : seen | this.push(chunk.subarray(boundary), now, out);
  }

  #releasePending(frame: Uint8Array, out: Pieces): void {
    out.add(frame);
    this.#pending = null;
    if (!this.#pendingIsLast) return;
    this.#closed = true;
    this.discarding = true;
  }

  #walk(chunk: Uint8Array, now: number, out: Pieces): number {
    const { scanner } = this;
    let seen: number = Seen.nothing;
    let from = 0;
    let at = scanner.scan(chunk, 0);
    while (scanner.stop !== Stop.exhausted && this.broken === null) {
      if (scanner.stop === Stop.candidate) {
        const behind = at + scanner.candidateHeader + TAG_BYTES;
        if (this.#takeOwnPong(chunk, at)) {
          this.#passRange(chunk, from, at, out);
          from = behind;
          seen |= Seen.ownPong;
        } else {
          scanner.passCandidate();
          seen |= this.#notePong(now);
        }
        at = behind;
      } else {
        seen |= this.#noteStop(scanner.stop, now);
      }
      if (this.broken === null) at = scanner.scan(chunk, at);
    }
    this.#passRange(chunk, from, at, out);
    return seen;
  }

  /** Invariant 4: only the tag of an outstanding Ping makes a Pong ours. */
  #takeOwnPong(chunk: Uint8Array, at: number): boolean {
    const payload = at + this.scanner.candidateHeader;
    const maskKey = this.#masked ? readInt32(chunk, payload - 4) : 0;
    const answered = this.#tags.take(chunk, payload, maskKey);
    if (answered === null) return false;
    this.answered = answered;
    this.ownPongs++;
    this.scanner.watching = this.#tags.size > 0;
    return true;
  }

  #noteStop(stop: Exclude<Stop, typeof Stop.candidate | typeof Stop.exhausted>, now: number): number {
    switch (stop) {
      case Stop.ping:
        // The peer may answer only the newest of two Pings, so ours is not sent right behind it (RFC 6455 section 5.5.3).
        if (!this.#pendingIsLast) this.#pending = null;
        this.pings++;
        return Seen.ping | this.#spend(now);
      case Stop.pong:
        return this.#notePong(now);
      case Stop.close:
        if (!this.discarding) this.#closed = true;
        this.#pending = null;
        return Seen.close | this.#spend(now);
      case Stop.badLength:
        return this.#break('bad_length');
      case Stop.tooLong:
        return this.#break('frame_limit');
    }
  }

  #notePong(now: number): number {
    this.pongs++;
    return Seen.pong | this.#spend(now);
  }

  /** A token bucket over relayed control frames. */
  #spend(now: number): number {
    const rate = this.#limits.controlRate;
    if (rate === Number.POSITIVE_INFINITY) return Seen.nothing;
    const refilled = this.#credit + ((now - this.#creditAt) / 1000) * rate;
    this.#credit = Math.min(refilled, rate * BURST_SECONDS) - 1;
    this.#creditAt = now;
    return this.#credit < 0 ? this.#break('rate_limit') : Seen.nothing;
  }

  #break(why: Broken): number {
    this.broken = why;
    this.#pending = null;
    return Seen.broken;
  }

  #passRange(chunk: Uint8Array, from: number, to: number, out: Pieces): void {
    if (from === to || this.discarding) return;
    this.bytes += to - from;
    out.add(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }
}
