/**
 * WebSocket frames on the wire (RFC 6455 section 5.2): names, sizes, and the few frames that the proxy builds itself.
 *
 *      0               1               2 …
 *     +-+-+-+-+-------+-+-------------+-------------------------+------------------+---------
 *     |F|R|R|R| opcode|M| length      | extended length (0/2/8) | mask key (0 / 4) | payload
 *     +-+-+-+-+-------+-+-------------+-------------------------+------------------+---------
 */

export const OPCODE_CONTINUATION = 0x0;
export const OPCODE_TEXT = 0x1;
export const OPCODE_BINARY = 0x2;
export const OPCODE_CLOSE = 0x8;
export const OPCODE_PING = 0x9;
export const OPCODE_PONG = 0xa;

export const FIN_BIT = 0x80;
export const RSV_BITS = 0x70;
export const OPCODE_BITS = 0x0f;
/** Set in the opcode of every control frame (RFC 6455 section 5.5). */
export const CONTROL_BIT = 0x08;
export const MASK_BIT = 0x80;
export const LENGTH_BITS = 0x7f;

/** Longest payload of a control frame, in bytes (RFC 6455 section 5.5). */
export const MAX_CONTROL_PAYLOAD = 125;

/** Bytes of random payload in an injected Ping: 64 bits cannot be guessed, and a masked Pong is no longer than a header. */
export const TAG_BYTES = 8;

/** The most that is ever held back: a whole header, or a whole masked Pong that carries a tag. */
export const MAX_HELD = 14;

/** Gives 32 random bits as a signed integer. Must be unpredictable: tags and mask keys are made of it. */
export type RandomInt32 = () => number;

/** Length of the frame header whose second byte is `second`, in bytes: 2 to 14. */
export function headerLength(second: number): number {
  const length = second & LENGTH_BITS;
  return 2 + (length < 126 ? 0 : length === 126 ? 2 : 8) + ((second & MASK_BIT) === 0 ? 0 : 4);
}

/** Reads 32 bits in network order as a signed integer. */
export function readInt32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/**
 * Builds a whole control frame with FIN set.
 *
 * @param payload at most 125 bytes; not changed
 * @param maskKey 32 bits for a frame towards a server, null for one towards a client (RFC 6455 section 5.1)
 */
export function controlFrame(opcode: number, payload: Uint8Array, maskKey: number | null): Uint8Array {
  const start = maskKey === null ? 2 : 6;
  const frame = new Uint8Array(start + payload.length);
  frame[0] = FIN_BIT | opcode;
  frame[1] = payload.length;
  frame.set(payload, start);
  if (maskKey !== null) {
    frame[1] = MASK_BIT | payload.length;
    writeInt32(frame, 2, maskKey);
    unmask(frame.subarray(start), maskKey);
  }
  return frame;
}

/** A Ping that carries a tag of 64 bits. */
export function pingFrame(tagHigh: number, tagLow: number, maskKey: number | null): Uint8Array {
  const start = maskKey === null ? 2 : 6;
  const frame = new Uint8Array(start + TAG_BYTES);
  frame[0] = FIN_BIT | OPCODE_PING;
  frame[1] = maskKey === null ? TAG_BYTES : MASK_BIT | TAG_BYTES;
  if (maskKey !== null) writeInt32(frame, 2, maskKey);
  // The tag is as long as two mask keys, so it is masked in two operations.
  writeInt32(frame, start, tagHigh ^ (maskKey ?? 0));
  writeInt32(frame, start + 4, tagLow ^ (maskKey ?? 0));
  return frame;
}

/**
 * A Close frame (RFC 6455 section 5.5.1).
 *
 * @param reason ASCII, at most 123 characters
 */
export function closeFrame(code: number, reason: string, maskKey: number | null): Uint8Array {
  const payload = new Uint8Array(2 + reason.length);
  payload[0] = code >>> 8;
  payload[1] = code;
  for (let i = 0; i < reason.length; i++) payload[2 + i] = reason.charCodeAt(i);
  return controlFrame(OPCODE_CLOSE, payload, maskKey);
}

/** Masks or unmasks in place (RFC 6455 section 5.3). */
export function unmask(payload: Uint8Array, maskKey: number): void {
  // The key's bytes are used in network order, the first one for the first byte.
  for (let i = 0; i < payload.length; i++) {
    payload[i] = (payload[i] as number) ^ (maskKey >>> (24 - ((i & 3) << 3)));
  }
}

const utf8 = new TextDecoder();

/** Reads an unmasked Close payload. No code when it is shorter than two bytes; bad UTF-8 is replaced, never thrown. */
export function parseClosePayload(payload: Uint8Array): { code: number | null; reason: string } {
  if (payload.length < 2) return { code: null, reason: '' };
  return { code: ((payload[0] as number) << 8) | (payload[1] as number), reason: utf8.decode(payload.subarray(2)) };
}

/** 1004, 1005, 1006 and 1015 are reserved and must not stand in a Close frame (RFC 6455 section 7.4.1). */
export function isReservedCloseCode(code: number): boolean {
  return code === 1004 || code === 1005 || code === 1006 || code === 1015;
}
