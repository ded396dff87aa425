/** Drives the core without sockets: what an owner of two sockets does, with a clock that is a number. */
import assert from 'node:assert/strict';
import type { RandomInt32 } from '../../src/core/frame.ts';
import type { AskedPing } from '../../src/core/keepalive.ts';
import type { SocketAction } from '../../src/core/side.ts';
import { ChunkList, type DirectionLimits } from '../../src/core/direction.ts';
import type { OutstandingPing } from '../../src/core/ping-tags.ts';
import type { CloseCause, Side } from '../../src/core/events.ts';
import type { KeepaliveSettings } from '../../src/core/settings.ts';
import { Tunnel, type TunnelOptions } from '../../src/core/tunnel.ts';
import { buildFrame, FrameParser, type FrameParts, OPCODE, type RawFrame } from './frames.ts';

export const SIDES: readonly Side[] = ['client', 'upstream'];
export const MASK = Buffer.of(0x37, 0xfa, 0x21, 0x3d);
export const KEEPALIVE: KeepaliveSettings = {
  client: { interval: 10_000, timeout: 30_000, mode: 'idle' },
  upstream: { interval: 30_000, timeout: 60_000, mode: 'idle' },
  adaptive: false,
  frontIdleTimeout: 60_000,
};
export const NO_LIMITS: DirectionLimits = {
  maxPayload: Number.POSITIVE_INFINITY,
  controlRate: Number.POSITIVE_INFINITY,
  extensions: false,
};
const OPTIONS: TunnelOptions = {
  keepalive: KEEPALIVE,
  stall: 60_000,
  limits: NO_LIMITS,
};

export function other(side: Side): Side {
  return side === 'client' ? 'upstream' : 'client';
}

/** A frame as this side sends it: the client masks. */
export function frameFrom(
  side: Side,
  opcode: number,
  payload: Uint8Array | string = '',
  rest: Partial<FrameParts> = {},
): Buffer {
  return buildFrame({ opcode, payload, mask: side === 'client' ? MASK : null, ...rest });
}

/** A Ping before which so many bytes were sent. */
export function askedPing(position = 0): AskedPing {
  return { position, flushedAt: Number.POSITIVE_INFINITY, excused: 0, drain: 0 };
}

export function framesOf(bytes: Buffer): RawFrame[] {
  return new FrameParser().push(bytes);
}

/** Bits that differ from run to run only with the seed (xorshift). */
export function randomOf(seed: number): RandomInt32 {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}

/** What `out` holds, copied, because the pieces are valid as long as the chunk is. */
export function drain(out: ChunkList): Buffer {
  const copies: Buffer[] = [];
  for (let i = 0; i < out.count; i += 1) copies.push(Buffer.from(out.at(i)));
  out.clear();
  return Buffer.concat(copies);
}

/** Passes a chunk that is gone after the call, as a read buffer that is used again. */
export function lend<T>(bytes: Uint8Array, use: (chunk: Uint8Array) => T, settle: () => void): T {
  const chunk = Uint8Array.from(bytes);
  const result = use(chunk);
  settle();
  chunk.fill(0xee);
  return result;
}

/** A tunnel and its owner. Writes are with the kernel at once, unless `holdFlush` says otherwise. */
export class TunnelHarness {
  readonly tunnel: Tunnel;
  now = 0;
  holdFlush = false;
  /** What each side was sent, and what was done to its socket after how many bytes. */
  readonly sent: Record<Side, Buffer[]> = { client: [], upstream: [] };
  readonly wishes: Record<Side, SocketAction[]> = { client: [], upstream: [] };
  readonly answered: { side: Side; ping: OutstandingPing; now: number }[] = [];
  readonly bridged: number[] = [];
  readonly outlived: number[] = [];
  readonly #marks: Record<Side, number> = { client: 0, upstream: 0 };
  readonly #ending: Record<Side, boolean> = { client: false, upstream: false };

  constructor(options: Partial<TunnelOptions> = {}, random: RandomInt32 = randomOf(7)) {
    const context = {
      random,
      toClient: new ChunkList(),
      toUpstream: new ChunkList(),
      answered: (side: Side, ping: OutstandingPing, now: number) => void this.answered.push({ side, ping, now }),
      bridged: (gap: number) => void this.bridged.push(gap),
      outlived: (silence: number) => void this.outlived.push(silence),
    };
    this.tunnel = new Tunnel({ ...OPTIONS, ...options }, context, this.now);
  }

  /** Both sides have answered a Ping before, so that they are judged by their silence. */
  answering(): this {
    for (const name of SIDES) this.tunnel.side(name).keepalive.answersPings = true;
    return this;
  }

  /** Everything that a side was sent. */
  wire(side: Side): Buffer {
    return Buffer.concat(this.sent[side]);
  }

  cause(): CloseCause | null {
    return this.tunnel.facts?.cause ?? null;
  }

  frames(side: Side): RawFrame[] {
    return framesOf(this.wire(side));
  }

  pings(side: Side): RawFrame[] {
    return this.frames(side).filter((frame) => frame.opcode === OPCODE.ping);
  }

  receive(side: Side, bytes: Uint8Array): void {
    const settle = (): void => this.#write(other(side));
    lend(bytes, (chunk) => this.tunnel.receive(side, chunk, this.now), settle);
    this.#carryOut();
  }

  /** A chunk that holds one frame. */
  frame(side: Side, opcode: number, payload?: Uint8Array | string, rest?: Partial<FrameParts>): Buffer {
    const bytes = frameFrom(side, opcode, payload, rest);
    this.receive(side, bytes);
    return bytes;
  }

  end(side: Side): void {
    this.tunnel.end(side, this.now);
    this.#carryOut();
  }

  reset(side: Side): void {
    this.tunnel.reset(side, this.now);
    this.#carryOut();
  }

  /** Whatever else changes the tunnel. */
  act(change: (tunnel: Tunnel, now: number) => void): void {
    change(this.tunnel, this.now);
    this.#carryOut();
  }

  /** Held writes reach the kernel. */
  flush(side: Side): void {
    this.#reachKernel(side);
    this.#carryOut();
  }

  /** Jumps there without a timer on the way, and calls the timer then. */
  jump(ms: number): void {
    this.now += ms;
    this.timer();
  }

  timer(): void {
    const isSuspect = this.tunnel.handleTimer(this.now);
    this.#carryOut();
    if (isSuspect) this.tunnel.judge(this.now);
    this.#carryOut();
  }

  /** Lets time pass, with the timer at each deadline. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (let due = this.tunnel.nextDeadline(); due <= until; due = this.tunnel.nextDeadline()) {
      this.now = Math.max(due, this.now);
      this.timer();
      assert.ok(this.tunnel.nextDeadline() > this.now, 'a deadline that was handled does not come again at once');
    }
    this.now = until;
  }

  #carryOut(): void {
    this.#pump();
    while (!this.holdFlush && SIDES.some((side) => this.#marks[side] !== 0 || this.#ending[side])) {
      for (const side of SIDES) this.#reachKernel(side);
      this.#pump();
    }
  }

  #pump(): void {
    for (const side of SIDES) this.#write(side);
    for (const side of SIDES) this.#grant(side);
  }

  #reachKernel(side: Side): void {
    const marks = this.#marks[side];
    const isEnding = this.#ending[side];
    this.#marks[side] = 0;
    this.#ending[side] = false;
    if (marks !== 0) this.tunnel.flushed(side, marks, this.now);
    if (isEnding) this.tunnel.finished(side, this.now);
  }

  #write(name: Side): void {
    const side = this.tunnel.side(name);
    const bytes = drain(side.out);
    if (bytes.length > 0) {
      assert.ok(!this.wishes[name].length, `bytes for the ${name} behind its ${this.wishes[name].join()}`);
      this.sent[name].push(bytes);
      this.tunnel.wrote(name, bytes.length, this.now);
    }
    this.#marks[name] |= side.flush;
    side.flush = 0;
  }

  #grant(name: Side): void {
    const side = this.tunnel.side(name);
    if (side.action === 'none') return;
    this.wishes[name].push(side.action);
    this.#ending[name] = side.action === 'end';
    side.action = 'none';
  }
}
