import { readInt32 } from './frame.ts';
import type { AskedPing } from './keepalive.ts';

/** A peer may answer only the newest Ping (RFC 6455 section 5.5.3), so more than a few outstanding tags are of no use. */
const MAX_OUTSTANDING = 4;

/** An injected Ping that may still be answered. */
export interface OutstandingPing extends AskedPing {
  readonly high: number;
  readonly low: number;
  /** How often it went out without an answer so far. */
  copies: number;
  /** When it went out last, in ms. */
  sentAt: number;
}

const NONE: readonly OutstandingPing[] = [];

/** The tags of injected Pings towards one side that are not answered yet, oldest first. */
export class PingTags {
  /** How many are outstanding. Read for every chunk. */
  size = 0;
  /** Replaced, not changed: an array that has grown keeps its room, and most of the time there is nothing to keep. */
  #outstanding: readonly OutstandingPing[] = NONE;

  get oldest(): OutstandingPing | null {
    return this.#outstanding[0] ?? null;
  }

  /** No more tags may be outstanding. */
  get isFull(): boolean {
    return this.size >= MAX_OUTSTANDING;
  }

  /** The Ping to send again once no more tags may be outstanding; null while another one may. */
  get toRepeat(): OutstandingPing | null {
    return this.isFull ? (this.#outstanding.at(-1) as OutstandingPing) : null;
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
    // A peer that answers only the newest Ping has kept the oldest one waiting: its time counts.
    const { flushedAt, excused, drain } = this.#outstanding[0] as OutstandingPing;
    const newer = this.#outstanding.slice(index + 1);
    const copies = answered.copies - 1;
    this.#replace(copies === 0 ? newer : [{ ...answered, copies, flushedAt: nextCopy(answered) }, ...newer]);
    return { ...answered, flushedAt, excused, drain };
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

/** About when the second copy was with the kernel: they go out at equal intervals. */
function nextCopy({ flushedAt, sentAt, copies }: OutstandingPing): number {
  return flushedAt > sentAt ? flushedAt : flushedAt + (sentAt - flushedAt) / (copies - 1);
}
