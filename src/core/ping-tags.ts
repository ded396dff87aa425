import { readInt32 } from './frame.ts';

/** A peer may answer only the newest Ping (RFC 6455 section 5.5.3), so more than a few outstanding tags are of no use. */
const MAX_OUTSTANDING = 4;

/** An injected Ping that may still be answered. */
export interface OutstandingPing {
  readonly high: number;
  readonly low: number;
  /** How often it went out without an answer so far. */
  copies: number;
  /** When it went out last, in ms. */
  sentAt: number;
  /** Bytes that had been sent to that side before it. */
  readonly position: number;
  /** How long nothing had passed on that side, either way, before it, in ms. */
  readonly quiet: number;
}

const NONE: readonly OutstandingPing[] = [];

/** The tags of injected Pings towards one side that are not answered yet, oldest first. */
export class PingTags {
  /** How many are outstanding. Asked for with every chunk. */
  size = 0;
  /** Replaced, not changed: an array that has grown keeps its room, and most of the time there is nothing to keep. */
  #outstanding: readonly OutstandingPing[] = NONE;

  /** The Ping to send again once no more tags may be outstanding; null while another one may. */
  get toRepeat(): OutstandingPing | null {
    return this.size < MAX_OUTSTANDING ? null : (this.#outstanding.at(-1) as OutstandingPing);
  }

  /** A Ping goes out. The tag of `toRepeat` may stand in another one: every copy of it may be answered. */
  add(ping: OutstandingPing): void {
    const newest = this.#outstanding.at(-1);
    if (newest !== undefined && newest.high === ping.high && newest.low === ping.low) {
      newest.copies++;
      newest.sentAt = ping.sentAt;
    } else this.#replace([...this.#outstanding, ping]);
  }

  /**
   * Finds the Ping that the payload at `at` answers. An answer forgets the older ones, and that Ping with its last copy.
   *
   * @param maskKey 0 for an unmasked Pong
   */
  take(bytes: Uint8Array, at: number, maskKey: number): OutstandingPing | null {
    // The tag is as long as two mask keys, so it is unmasked in two operations.
    const high = readInt32(bytes, at) ^ maskKey;
    const low = readInt32(bytes, at + 4) ^ maskKey;
    const index = this.#indexOf(high, low);
    if (index === -1) return null;
    const answered = this.#outstanding[index] as OutstandingPing;
    answered.copies--;
    const isDone = answered.copies === 0;
    this.#replace(this.#outstanding.slice(isDone ? index + 1 : index));
    return answered;
  }

  #replace(outstanding: readonly OutstandingPing[]): void {
    this.size = outstanding.length;
    this.#outstanding = this.size === 0 ? NONE : outstanding;
  }

  #indexOf(high: number, low: number): number {
    let index = this.#outstanding.length - 1;
    for (; index >= 0; index--) {
      const ping = this.#outstanding[index] as OutstandingPing;
      if (ping.high === high && ping.low === low) break;
    }
    return index;
  }
}
