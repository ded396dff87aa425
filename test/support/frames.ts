/**
 * WebSocket frames built and taken apart by hand (RFC 6455 5.2). It shares nothing with `src/core`, so that what is
 * tested cannot agree with its own mistakes, and it builds what no correct peer would send.
 */

export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

export interface FrameParts {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  readonly fin?: boolean;
  /** The three reserved bits as a number, RSV1 being 4. */
  readonly rsv?: number;
  /** Four bytes; null or absent: unmasked. */
  readonly mask?: Uint8Array | null;
  /** How the length is written; default: the shortest that fits. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** The length to claim; default: that of the payload. */
  readonly claimed?: bigint | number;
}

export interface RawFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  /** Unmasked. */
  readonly payload: Buffer;
  /** The frame as it was on the wire. */
  readonly raw: Buffer;
}

export function buildFrame(parts: FrameParts): Buffer {
  const payload = typeof parts.payload === 'string' ? Buffer.from(parts.payload) : Buffer.from(parts.payload ?? []);
  const length = BigInt(parts.claimed ?? payload.length);
  const first = ((parts.fin ?? true) ? 0x80 : 0) | ((parts.rsv ?? 0) << 4) | parts.opcode;
  const lengthBytes = parts.lengthBytes ?? (length < 126n ? 0 : length < 65_536n ? 2 : 8);
  const maskBit = parts.mask ? 0x80 : 0;
  let head: Buffer;
  if (lengthBytes === 0) {
    head = Buffer.of(first, maskBit | Number(length));
  } else if (lengthBytes === 2) {
    head = Buffer.of(first, maskBit | 126, 0, 0);
    head.writeUInt16BE(Number(length), 2);
  } else {
    head = Buffer.concat([Buffer.of(first, maskBit | 127), Buffer.alloc(8)]);
    head.writeBigUInt64BE(length, 2);
  }
  return parts.mask
    ? Buffer.concat([head, parts.mask, applyMask(payload, parts.mask)])
    : Buffer.concat([head, payload]);
}

/** A Close frame's payload. */
export function closePayload(code: number, reason = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
}

/** Code of a Close frame; null when it carries none. */
export function closeCode(frame: RawFrame): number | null {
  return frame.payload.length >= 2 ? frame.payload.readUInt16BE(0) : null;
}

/** Collects chunks and gives back whole frames. */
export class FrameParser {
  #chunks: Buffer[] = [];
  #size = 0;
  #needed = 2;

  /** Bytes of a frame that is not complete yet. */
  get rest(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get midFrame(): boolean {
    return this.#size > 0;
  }

  push(chunk: Buffer): RawFrame[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const frames: RawFrame[] = [];
    // Joined only when a frame may be complete: a large one in small chunks is copied once.
    if (this.#size < this.#needed) return frames;
    let bytes = Buffer.concat(this.#chunks);
    this.#needed = frameLength(bytes);
    while (this.#needed <= bytes.length) {
      frames.push(parseFrame(bytes.subarray(0, this.#needed)));
      bytes = bytes.subarray(this.#needed);
      this.#needed = frameLength(bytes);
    }
    this.#chunks = [bytes];
    this.#size = bytes.length;
    return frames;
  }
}

/** Length of the frame that starts here, or more than there is when its head is not complete. */
function frameLength(bytes: Buffer): number {
  const second = bytes[1] ?? 0;
  const short = second & 0x7f;
  const head = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0);
  if (bytes.length < head) return head;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  return head + length;
}

function parseFrame(raw: Buffer): RawFrame {
  const [first = 0, second = 0] = raw;
  const short = second & 0x7f;
  const offset = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
  const masked = (second & 0x80) !== 0;
  const body = raw.subarray(masked ? offset + 4 : offset);
  return {
    fin: (first & 0x80) !== 0,
    rsv: (first >> 4) & 0x7,
    opcode: first & 0xf,
    masked,
    payload: masked ? applyMask(body, raw.subarray(offset, offset + 4)) : body,
    raw,
  };
}

function applyMask(bytes: Uint8Array, mask: Uint8Array): Buffer {
  const out = Buffer.from(bytes);
  for (let i = 0; i < out.length; i += 1) out[i] = (out[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return out;
}
