import { readInt32 } from './frame.ts';

/** A peer may answer only the newest Ping (RFC 6455 section 5.5.3), so more than a few outstanding tags are of no use. */
const MAX_OUTSTANDING = 4;

/** An injected Ping that may still be answered. */
export interface OutstandingPing {
  readonly high: number;
  readonly low: number;
  /** When it went out, in ms. */
  readonly sentAt: number;
  /** Bytes that had been sent to that side before it. */
  readonly position: number;
  /** How long nothing had passed on that side, either way, before it, in ms. */
  readonly quiet: number;
}

/** The tags of injected Pings towards one side that are not answered yet, oldest first. */
export class PingTags {
  #outstanding: OutstandingPing[] = [];

  get size(): number {
    return this.#outstanding.length;
  }

  add(ping: OutstandingPing): void {
    this.#outstanding.push(ping);
    if (this.#outstanding.length > MAX_OUTSTANDING) this.#outstanding.shift();
  }

  /**
   * Finds the Ping that the payload at `at` answers. An answer forgets that Ping and the older ones.
   *
   * @param maskKey 0 for an unmasked Pong
   */
  take(bytes: Uint8Array, at: number, maskKey: number): OutstandingPing | null {
    // The tag is as long as two mask keys, so it is unmasked in two operations.
    const high = readInt32(bytes, at) ^ maskKey;
    const low = readInt32(bytes, at + 4) ^ maskKey;
    const index = this.#outstanding.findIndex((ping) => ping.high === high && ping.low === low);
    if (index === -1) return null;
    const answered = this.#outstanding[index] as OutstandingPing;
    this.#outstanding = this.#outstanding.slice(index + 1);
    return answered;
  }
}
