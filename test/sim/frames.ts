import { Random } from './random.ts';

/** Payload is cut out of this, so that large messages cost nothing to make. */
const POOL_BYTES = 1 << 20;
const pool = Buffer.alloc(POOL_BYTES);
const poolRandom = new Random(20_250_101);
for (let at = 0; at < POOL_BYTES; at += 4) pool.writeInt32LE(poolRandom.int32(), at);

/** Random bytes, shared: not to be written to. */
export function noise(length: number, random: Random): Buffer {
  const at = random.whole(0, POOL_BYTES - length);
  return pool.subarray(at, at + length);
}

/** The header of a frame (RFC 6455 section 5.2), with a zero mask key when masked, so that any payload passes for masked. */
export function header(first: number, length: number, key: Uint8Array | null): Buffer {
  const mask = key === null ? 0 : 0x80;
  const short = length < 126 ? length : length < 65_536 ? 126 : 127;
  const bytes = Buffer.alloc(2 + (short < 126 ? 0 : short === 126 ? 2 : 8));
  bytes[0] = first;
  bytes[1] = mask | short;
  if (short === 126) bytes.writeUInt16BE(length, 2);
  else if (short === 127) bytes.writeBigUInt64BE(BigInt(length), 2);
  return key === null ? bytes : Buffer.concat([bytes, key]);
}

/** A whole frame whose payload is masked with the key. For control frames. */
export function controlFrame(opcode: number, payload: Uint8Array, key: Uint8Array | null): Buffer {
  const body = Buffer.from(payload);
  if (key !== null) for (let i = 0; i < body.length; i++) body[i] = (body[i] as number) ^ (key[i % 4] as number);
  return Buffer.concat([header(0x80 | opcode, payload.length, key), body]);
}

export function closePayload(code: number | null, reason: string): Buffer {
  if (code === null) return Buffer.alloc(0);
  const payload = Buffer.alloc(2 + reason.length);
  payload.writeUInt16BE(code);
  payload.write(reason, 2, 'latin1');
  return payload;
}
