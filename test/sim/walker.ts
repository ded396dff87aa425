/** Longest payload of a control frame that is looked at, in bytes. */
const MAX_PAYLOAD = 125;

/**
 * Walks the frames of a stream and collects the payload of control frames. Written for the simulation from RFC 6455 section 5.2
 * alone, so that it shares no mistake with what it checks.
 */
export class Walker {
  /** The stream stands between two frames. */
  atBoundary = true;
  /** Of the newest frame: its first byte, whether it is masked, its length on the wire, and, of a control frame, what it carries. */
  first = 0;
  masked = false;
  length = 0;
  payload = new Uint8Array(0);

  readonly #header = new Uint8Array(14);
  readonly #view = new DataView(this.#header.buffer);
  #headerFill = 0;
  #left = 0;
  #payloadFill = 0;

  get isControl(): boolean {
    return (this.first & 0x08) !== 0;
  }

  get opcode(): number {
    return this.first & 0x0f;
  }

  /** The newest frame's header is not complete. */
  get inHeader(): boolean {
    return !this.atBoundary && this.#headerFill < this.#headerLength();
  }

  /** Walks to the end of the frame, or of the bytes. @returns how far it came */
  advance(bytes: Uint8Array, from: number): number {
    let at = from;
    if (this.atBoundary) {
      this.atBoundary = false;
      this.#headerFill = 0;
    }
    while (at < bytes.length && this.#headerFill < this.#headerLength()) {
      this.#header[this.#headerFill++] = bytes[at++] as number;
      if (this.#headerFill === this.#headerLength()) this.#begin();
    }
    if (this.inHeader) return at;
    const step = Math.min(this.#left, bytes.length - at);
    if (this.isControl) {
      const wanted = Math.min(step, this.payload.length - this.#payloadFill);
      this.payload.set(bytes.subarray(at, at + wanted), this.#payloadFill);
      this.#payloadFill += wanted;
    }
    this.#left -= step;
    if (this.#left === 0) this.#finish();
    return at + step;
  }

  #headerLength(): number {
    if (this.#headerFill < 2) return 2;
    const second = this.#header[1] as number;
    const length = second & 0x7f;
    return 2 + (length < 126 ? 0 : length === 126 ? 2 : 8) + (second >= 0x80 ? 4 : 0);
  }

  #begin(): void {
    const second = this.#header[1] as number;
    const short = second & 0x7f;
    this.first = this.#header[0] as number;
    this.masked = second >= 0x80;
    this.#left = short < 126 ? short : short === 126 ? this.#view.getUint16(2) : Number(this.#view.getBigUint64(2));
    this.length = this.#headerFill + this.#left;
    this.payload = new Uint8Array(this.isControl ? Math.min(this.#left, MAX_PAYLOAD) : 0);
    this.#payloadFill = 0;
  }

  #finish(): void {
    this.atBoundary = true;
    if (!this.isControl || !this.masked) return;
    const key = this.#header.subarray(this.#headerFill - 4, this.#headerFill);
    for (let i = 0; i < this.payload.length; i++)
      this.payload[i] = (this.payload[i] as number) ^ (key[i % 4] as number);
  }
}

/** A Close frame's code; null when it carries none. */
export function codeOf(payload: Uint8Array): number | null {
  return payload.length < 2 ? null : ((payload[0] as number) << 8) | (payload[1] as number);
}

/** A payload in a form that can be compared. */
export function hex(payload: Uint8Array): string {
  return Buffer.from(payload).toString('hex');
}
