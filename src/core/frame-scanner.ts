import {
  CONTROL_BIT,
  FIN_BIT,
  headerLength,
  LENGTH_BITS,
  MASK_BIT,
  MAX_CONTROL_PAYLOAD,
  MAX_HELD,
  OPCODE_BINARY,
  OPCODE_BITS,
  OPCODE_CLOSE,
  OPCODE_CONTINUATION,
  OPCODE_PING,
  OPCODE_PONG,
  OPCODE_TEXT,
  parseClosePayload,
  readInt32,
  RSV_BITS,
  TAG_BYTES,
  unmask,
} from './frame.ts';

/** Why a scan stopped. */
export const Stop = {
  /** Nothing is left to look at. */
  exhausted: 0,
  /** A Ping has ended here. */
  ping: 1,
  /** A Pong has ended here. */
  pong: 2,
  /** A whole Pong of a tag's length begins here: `candidateHeader` bytes, then the tag. The caller steps over it. */
  candidate: 3,
  /** A Close has ended here; see `closeCode` and `closeReason`. */
  close: 4,
  /** A header with the top bit of its 64-bit length set begins here (RFC 6455 section 5.2). */
  badLength: 5,
  /** The header of a frame longer than `maxPayload` begins here. */
  tooLong: 6,
  /** The place of `stopsAt` is reached. */
  boundary: 7,
} as const;
export type Stop = (typeof Stop)[keyof typeof Stop];

/** A place between frames at which a scan can be made to stop. */
export const Boundary = {
  none: 0,
  /** Between two frames, wherever they belong. */
  frame: 1,
  /** Between two messages. */
  message: 2,
} as const;
export type Boundary = (typeof Boundary)[keyof typeof Boundary];

/** Rules of RFC 6455 that can be broken without breaking the walk. The endpoint judges; the proxy counts. */
export type Violation =
  | 'reserved bits'
  | 'reserved opcode'
  | 'wrong masking'
  | 'length not minimal'
  | 'fragmented control frame'
  | 'control frame too long'
  | 'continuation without a start'
  | 'message inside a message';

export interface ScannerLimits {
  /** Longest payload that may pass, in bytes; `Infinity`: no limit. */
  readonly maxPayload: number;
  /** An extension was negotiated, so reserved bits and opcodes may have a meaning. */
  readonly extensions: boolean;
}

/**
 * Walks the frames of one direction and knows where each ends. It reads headers, tags and Close payloads; data payload is
 * stepped over in one subtraction a chunk, never looked at and never copied. Any chunking gives the same stops.
 *
 * A unit (a header, or a whole Pong that may be ours) that is cut by the end of a chunk is kept back in `held`, so what
 * `scan` lets pass always ends at a frame boundary or inside a payload.
 */
export class FrameScanner {
  // Field order matters: the first ones are read for every chunk and should share a cache line.
  /** Why the last `scan` stopped. */
  stop: Stop = Stop.exhausted;
  /** Payload bytes of the current frame that are still to come. */
  remaining = 0;
  /** Look for Pongs that may be ours. */
  watching = false;
  /** Stop at the next such place. */
  stopsAt: Boundary = Boundary.none;
  #heldLength = 0;
  #inMessage = false;
  /** Frames of this direction should be masked: they come from the client (RFC 6455 section 5.1). */
  readonly #masked: boolean;
  readonly #limits: ScannerLimits;
  /** Frames whose header has passed. */
  frames = 0;

  /** Header length of the candidate at which the scan stopped. */
  candidateHeader = 0;
  violations = 0;
  lastViolation: Violation | null = null;
  closeCode: number | null = null;
  closeReason = '';

  /** First byte of the current Close, Ping or Pong; 0 while in any other frame. */
  #control = 0;
  #held: Uint8Array | null = null;
  #closePayload: Uint8Array | null = null;
  #closeFill = 0;
  #closeMask = 0;

  constructor(masked: boolean, limits: ScannerLimits) {
    this.#masked = masked;
    this.#limits = limits;
  }

  /** What was let pass ends between two frames, or, where asked for, between two messages. */
  isAt(place: Boundary): boolean {
    return this.remaining === 0 && (place !== Boundary.message || !this.#inMessage);
  }

  /** Bytes kept back: 0 to 13 between scans. */
  get heldLength(): number {
    return this.#heldLength;
  }

  /**
   * Goes on at `at`, the start of a chunk or wherever the caller left off.
   *
   * @returns how far the bytes may pass; `stop` says why. After `exhausted` what lies behind is held.
   */
  scan(chunk: Uint8Array, at: number): number {
    this.stop = Stop.exhausted;
    let next = at;
    if (this.remaining > 0) {
      next = this.#skip(chunk, next);
      if (this.remaining > 0 || this.#control !== 0) return this.#endOfFrame(next);
    }
    while (true) {
      if (this.stopsAt !== Boundary.none && this.isAt(this.stopsAt)) {
        this.stop = Stop.boundary;
        return next;
      }
      next = this.#skipPlain(chunk, next);
      if (next >= chunk.length) return next;
      const unit = this.#unitLength(chunk, next, chunk.length);
      if (unit > chunk.length - next) {
        this.#hold(chunk, next);
        return next;
      }
      const first = chunk[next] as number;
      const payload = this.#payloadLength(chunk, next);
      if (this.stop !== Stop.exhausted) return next;
      if (this.#isCandidate(first, chunk[next + 1] as number)) {
        this.candidateHeader = unit - TAG_BYTES;
        this.stop = Stop.candidate;
        return next;
      }
      this.frames++;
      this.remaining = payload;
      if ((first & CONTROL_BIT) === 0) this.#beginData(first, chunk[next + 1] as number);
      else this.#beginControl(chunk, next, unit);
      next = this.#skip(chunk, next + unit);
      if (this.remaining > 0 || this.#control !== 0) return this.#endOfFrame(next);
    }
  }

  /**
   * Adds bytes of the next chunk to what is held, until the unit is whole.
   *
   * @returns how many bytes of the chunk were taken; the unit is whole when `takeHeld` may be called: see `heldIsWhole`
   */
  complete(chunk: Uint8Array): number {
    const held = this.#held as Uint8Array;
    let taken = 0;
    while (taken < chunk.length && !this.heldIsWhole) held[this.#heldLength++] = chunk[taken++] as number;
    return taken;
  }

  /** The held bytes are a whole unit, to be scanned like a chunk. */
  get heldIsWhole(): boolean {
    return this.#heldLength >= this.#unitLength(this.#held as Uint8Array, 0, this.#heldLength);
  }

  /** Hands over the held bytes and forgets them. Empty when nothing is held. */
  takeHeld(): Uint8Array {
    if (this.#held === null) return new Uint8Array(0);
    const bytes = this.#held.subarray(0, this.#heldLength);
    this.#held = null;
    this.#heldLength = 0;
    return bytes;
  }

  /** Steps over the candidate at which the scan stopped: it answers no Ping of ours, and counts like every other frame. */
  passCandidate(): void {
    this.frames++;
    if (this.candidateHeader > 2 !== this.#masked) this.#violated('wrong masking');
  }

  /** A fast path for nearly all frames: whole data frames that are one message each, break no rule and are within the limit. */
  #skipPlain(chunk: Uint8Array, at: number): number {
    if (this.#inMessage) return at;
    const { extensions, maxPayload } = this.#limits;
    const known = extensions ? ~RSV_BITS : -1;
    const maskBit = this.#masked ? MASK_BIT : 0;
    const shortest = this.#masked ? 6 : 2;
    let next = at;
    let frames = 0;
    // Bytes behind the end of the chunk count as 0: a frame whose header is cut ends behind it or looks odd, and so ends the loop.
    while (next < chunk.length) {
      const opcode = ((chunk[next] as number) & known) ^ FIN_BIT;
      if (opcode !== OPCODE_BINARY && opcode !== OPCODE_TEXT) break;
      let length = (chunk[next + 1] as number) ^ maskBit;
      let header = shortest;
      if (length === 126) {
        length = ((chunk[next + 2] as number) << 8) | (chunk[next + 3] as number);
        header += 2;
        if (length < 126) break;
      } else if (length > 126) break;
      const behind = next + header + length;
      if (behind > chunk.length || length > maxPayload) break;
      next = behind;
      frames++;
    }
    this.frames += frames;
    return next;
  }

  /** Length of the unit that begins at `at`: at least 2, and more than is there while that is not yet known. */
  #unitLength(bytes: Uint8Array, at: number, end: number): number {
    if (end - at < 2) return 2;
    const second = bytes[at + 1] as number;
    return headerLength(second) + (this.#isCandidate(bytes[at] as number, second) ? TAG_BYTES : 0);
  }

  /**
   * Only a Pong with FIN, no reserved bit and a tag's length can be ours. Its masking does not matter: some peers answer with the
   * wrong one, and relayed, such an answer makes the other end fail the connection, which had asked for nothing.
   */
  #isCandidate(first: number, second: number): boolean {
    return this.watching && first === (FIN_BIT | OPCODE_PONG) && (second & LENGTH_BITS) === TAG_BYTES;
  }

  #hold(chunk: Uint8Array, at: number): void {
    this.#held = new Uint8Array(MAX_HELD);
    this.#held.set(chunk.subarray(at));
    this.#heldLength = chunk.length - at;
  }

  /** Payload length of the header at `at` (RFC 6455 section 5.2); sets `stop` when the frame must not pass. */
  #payloadLength(bytes: Uint8Array, at: number): number {
    let length = (bytes[at + 1] as number) & LENGTH_BITS;
    if (length === 126) {
      length = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
      if (length < 126) this.#violated('length not minimal');
    } else if (length === 127) {
      const high = readInt32(bytes, at + 2);
      if (high < 0) {
        this.stop = Stop.badLength;
        return 0;
      }
      // Exact up to 2^53; beyond that (eight petabytes into one frame) the walk would drift.
      length = high * 2 ** 32 + (readInt32(bytes, at + 6) >>> 0);
      if (length < 65536) this.#violated('length not minimal');
    }
    if (length > this.#limits.maxPayload) this.stop = Stop.tooLong;
    return length;
  }

  #beginData(first: number, second: number): void {
    // Reserved bits are above the opcode, so one comparison finds both them and unknown opcodes.
    if ((first & (RSV_BITS | OPCODE_BITS)) > OPCODE_BINARY) this.#judgeFirst(first, OPCODE_BINARY);
    if (((second & MASK_BIT) !== 0) !== this.#masked) this.#violated('wrong masking');
    const continues = (first & OPCODE_BITS) === OPCODE_CONTINUATION;
    if (continues !== this.#inMessage) {
      this.#violated(continues ? 'continuation without a start' : 'message inside a message');
    }
    this.#inMessage = (first & FIN_BIT) === 0;
  }

  #beginControl(bytes: Uint8Array, at: number, header: number): void {
    const first = bytes[at] as number;
    const second = bytes[at + 1] as number;
    const masked = (second & MASK_BIT) !== 0;
    // Reserved control opcodes tell nothing, so the walk does not stop behind them.
    this.#control = (first & OPCODE_BITS) > OPCODE_PONG ? 0 : first;
    this.#judgeFirst(first, OPCODE_PONG);
    if (masked !== this.#masked) this.#violated('wrong masking');
    if ((first & FIN_BIT) === 0) this.#violated('fragmented control frame');
    if (this.remaining > MAX_CONTROL_PAYLOAD) this.#violated('control frame too long');
    if ((first & OPCODE_BITS) === OPCODE_CLOSE) {
      this.#closePayload = new Uint8Array(Math.min(this.remaining, MAX_CONTROL_PAYLOAD));
      this.#closeFill = 0;
      this.#closeMask = masked ? readInt32(bytes, at + header - 4) : 0;
    }
  }

  /** Reserved bits and opcodes (RFC 6455 section 5.2); an extension may have given them a meaning (section 5.8). */
  #judgeFirst(first: number, lastKnown: number): void {
    if (this.#limits.extensions) return;
    if ((first & RSV_BITS) !== 0) this.#violated('reserved bits');
    if ((first & OPCODE_BITS) > lastKnown) this.#violated('reserved opcode');
  }

  #violated(rule: Violation): void {
    this.violations++;
    this.lastViolation = rule;
  }

  /** Steps over payload. */
  #skip(chunk: Uint8Array, at: number): number {
    const step = Math.min(this.remaining, chunk.length - at);
    if (this.#closePayload !== null) this.#collectClose(chunk, at, step);
    this.remaining -= step;
    return at + step;
  }

  #collectClose(chunk: Uint8Array, at: number, step: number): void {
    const payload = this.#closePayload as Uint8Array;
    const wanted = Math.min(step, payload.length - this.#closeFill);
    payload.set(chunk.subarray(at, at + wanted), this.#closeFill);
    this.#closeFill += wanted;
  }

  /** Sets `stop` when a control frame has just ended. */
  #endOfFrame(at: number): number {
    if (this.remaining > 0) return at;
    const opcode = this.#control & OPCODE_BITS;
    this.#control = 0;
    if (opcode === OPCODE_PING) this.stop = Stop.ping;
    else if (opcode === OPCODE_PONG) this.stop = Stop.pong;
    else this.#endOfClose();
    return at;
  }

  #endOfClose(): void {
    const payload = this.#closePayload as Uint8Array;
    unmask(payload, this.#closeMask);
    ({ code: this.closeCode, reason: this.closeReason } = parseClosePayload(payload));
    this.#closePayload = null;
    this.stop = Stop.close;
  }
}
