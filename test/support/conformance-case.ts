/** What a conformance case is made of: bytes to send in steps, masked as a client's are. */
import { buildFrame, closePayload, type FrameParts, OPCODE } from './frames.ts';

export type Step =
  /** `chop`: so many bytes a write, each in a turn of its own. `closes`: there is a Close in it. */
  | { readonly kind: 'send'; readonly bytes: Buffer; readonly chop?: number; readonly closes: boolean }
  /** Waits until the server has sent so many frames in all, or ended. */
  | { readonly kind: 'await'; readonly frames: number }
  /** TCP FIN. */
  | { readonly kind: 'end' };

export interface Case {
  readonly group: string;
  readonly name: string;
  /** Which behaviour of the server; default `/echo`. */
  readonly path?: string;
  /** Further lines of the request. */
  readonly headers?: readonly string[];
  readonly steps: readonly Step[];
  /** Small and quick, and no byte in it comes after the server may have ended TCP. */
  readonly isPlain: boolean;
}

export const MASK = Buffer.of(0x9a, 0x3c, 0x51, 0xe7);

/** Up to this size a case counts as small. */
const SMALL = 100_000;

export type Parts = FrameParts | Buffer;

export const bytesOf = (parts: Parts): Buffer =>
  Buffer.isBuffer(parts) ? parts : buildFrame({ mask: MASK, ...parts });
export const text = (payload: Uint8Array | string, more: Partial<FrameParts> = {}): FrameParts => ({
  opcode: OPCODE.text,
  payload,
  ...more,
});
export const binary = (payload: Uint8Array | string, more: Partial<FrameParts> = {}): FrameParts => ({
  opcode: OPCODE.binary,
  payload,
  ...more,
});
export const more = (payload: Uint8Array | string, extra: Partial<FrameParts> = {}): FrameParts => ({
  opcode: OPCODE.continuation,
  payload,
  fin: false,
  ...extra,
});
export const last = (payload: Uint8Array | string, extra: Partial<FrameParts> = {}): FrameParts => ({
  opcode: OPCODE.continuation,
  payload,
  ...extra,
});
export const ping = (payload: Uint8Array | string = ''): FrameParts => ({ opcode: OPCODE.ping, payload });
export const pong = (payload: Uint8Array | string = ''): FrameParts => ({ opcode: OPCODE.pong, payload });
export const close = (code: number, reason = ''): FrameParts => ({
  opcode: OPCODE.close,
  payload: closePayload(code, reason),
});
export const NORMAL = close(1000);

/** Bytes that look like nothing in particular, the same in every run. */
export function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 0x2545f491;
  for (let i = 0; i < size; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

export function send(frames: readonly Parts[], chop?: number): Step {
  const bytes = Buffer.concat(frames.map(bytesOf));
  const closes = frames.some((parts) => !Buffer.isBuffer(parts) && parts.opcode === OPCODE.close);
  return { kind: 'send', bytes, closes, ...(chop === undefined ? {} : { chop }) };
}

export const wait = (frames: number): Step => ({ kind: 'await', frames });
export const END: Step = { kind: 'end' };

export type Extra = Pick<Case, 'path' | 'headers'>;

/** Everything in one write. */
export function atOnce(group: string, name: string, frames: readonly Parts[], extra: Extra = {}): Case {
  const step = send(frames);
  const isSmall = step.kind === 'send' && step.bytes.length <= SMALL;
  return { group, name, steps: [step], isPlain: isSmall, ...extra };
}

/** In pieces of so many bytes. */
export function chopped(chop: number, group: string, name: string, frames: readonly Parts[], extra: Extra = {}): Case {
  const label = `${name}, ${chop} byte${chop === 1 ? '' : 's'} a write`;
  return { group, name: label, steps: [send(frames, chop)], isPlain: false, ...extra };
}

/** At once, frame by frame, and byte by byte. */
export function everyWay(group: string, name: string, frames: readonly Parts[], extra: Extra = {}): Case[] {
  const steps = frames.map((frame) => send([frame]));
  const byFrame: Case = { group, name: `${name}, a write a frame`, steps, isPlain: false, ...extra };
  return [
    atOnce(group, name, frames, extra),
    ...(frames.length > 1 ? [byFrame] : []),
    chopped(1, group, name, frames, extra),
  ];
}

export function inSteps(group: string, name: string, steps: readonly Step[], extra: Extra = {}): Case {
  return { group, name, steps, isPlain: true, ...extra };
}
