/** A client that expects back what it sends, and the account of its connection. */
import { randomBytes } from 'node:crypto';
import { closePayload, OPCODE, type RawFrame } from '../support/frames.ts';
import { connectRaw } from '../support/raw-websocket.ts';
import { Scope } from '../support/scope.ts';
import { Endpoint, OWN_PING } from './endpoint.ts';
import type { SoakFront } from './fronts.ts';

/** For an echo on a machine that is busy with everything else. */
const PATIENCE = 30_000;
/** Larger messages go out in several writes. */
const PIECE = 1000;

/** What a kind of client does to its connection. */
export type Fate = 'orderly' | 'killed' | 'ended by the upstream' | 'dead';

export class SoakClient {
  readonly number: number;
  readonly front: SoakFront['name'];
  readonly fate: Fate;
  readonly openedAt = performance.now();
  /** What came back and was not what had been sent. */
  readonly faults: string[] = [];
  readonly end: Endpoint;
  /** The handshake was answered with a 101. */
  isOpen = false;
  endedAt = Infinity;
  readonly #expected: Buffer[] = [];

  constructor(number: number, front: SoakFront['name'], fate: Fate) {
    this.number = number;
    this.front = front;
    this.fate = fate;
    this.end = new Endpoint((frame) => this.#onFrame(frame));
  }

  /** @throws when it is not upgraded */
  async connect(port: number): Promise<void> {
    const path = `/soak/${this.number}?password=x`;
    try {
      this.end.attach(await connectRaw(new Scope(), { port, path, autoPong: this.end.answers }));
      this.isOpen = true;
      this.end.peer.socket.once('close', () => (this.endedAt = performance.now()));
    } finally {
      if (!this.isOpen) this.endedAt = performance.now();
    }
  }

  get isUsable(): boolean {
    return this.isOpen && !this.end.gone && this.end.peer.socket.writable;
  }

  /** Sends a message, large ones in pieces, in so many frames; it has to come back frame by frame. */
  async say(payload: Buffer, frames = 1): Promise<void> {
    const size = Math.ceil(payload.length / frames);
    for (let index = 0; index < frames && this.isUsable; index += 1) {
      const part = payload.subarray(index * size, (index + 1) * size);
      this.#expected.push(part);
      const opcode = index === 0 ? OPCODE.binary : OPCODE.continuation;
      const bytes = this.end.peer.frame({ opcode, fin: index === frames - 1, payload: part });
      this.end.peer.send(bytes.subarray(0, PIECE));
      if (bytes.length <= PIECE) continue;
      // A frame that comes bit by bit: what the proxy injects has to wait for its end.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.isUsable) this.end.peer.send(bytes.subarray(PIECE));
    }
  }

  /** A Ping of the application's own, which the upstream answers. */
  ping(): void {
    if (this.isUsable) this.end.peer.sendFrame({ opcode: OPCODE.ping, payload: `${OWN_PING} ${this.number}` });
  }

  order(text: string): void {
    if (this.isUsable) this.end.peer.sendFrame({ opcode: OPCODE.text, payload: text });
  }

  /** Everything came back, or the connection is over. */
  async echoed(): Promise<void> {
    await this.end.until(() => this.#expected.length === 0 || this.end.gone, `echoes of ${this.number}`, PATIENCE);
  }

  /** Closes, and waits for the end. */
  async close(code: number | null): Promise<void> {
    if (this.isUsable && !this.end.closeSent) this.end.close(code === null ? Buffer.alloc(0) : closePayload(code));
    await this.gone();
  }

  async gone(): Promise<void> {
    await this.end.until(() => this.end.gone, `the end of ${this.number}`, PATIENCE);
  }

  kill(how: 'fin' | 'reset'): void {
    if (!this.isUsable) return;
    if (how === 'fin') this.end.peer.socket.destroy();
    else this.end.peer.reset();
  }

  #onFrame(frame: RawFrame): void {
    if (frame.opcode === OPCODE.close) {
      if (!this.end.closeSent) this.end.close(frame.payload);
    } else if (frame.opcode < OPCODE.close) {
      const expected = this.#expected.shift();
      if (expected?.equals(frame.payload) === true) return;
      this.faults.push(`client ${this.number} got back what it had not sent (${frame.payload.length} bytes)`);
    }
  }
}

export function bytesOf(size: number): Buffer {
  return randomBytes(Math.max(1, Math.round(size)));
}
