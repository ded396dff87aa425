/** A peer may answer only the newest Ping, so no more than this many tags are outstanding. */
const MAX_OUTSTANDING = 4;

interface Outstanding {
  readonly tag: string;
  /** How often it was sent without an answer. */
  copies: number;
}

/** What went out to one side and waits for an answer, as the checker saw it on the wire. */
export class Ledger {
  injected = 0;
  swallowed = 0;
  /** When the newest relayed Ping passed, in ms; `-Infinity` once a Pong has passed back. */
  relayedPingAt = Number.NEGATIVE_INFINITY;
  #outstanding: Outstanding[] = [];
  #newest = '';
  /** The newest tag when there were last enough of them. */
  #repeatable = '';

  /** Takes down a Ping of the proxy. @returns whether it may carry this tag: a fresh one, or the newest again when there are enough */
  add(tag: string): boolean {
    this.injected++;
    const newest = this.#outstanding.at(-1);
    const isFull = this.#outstanding.length >= MAX_OUTSTANDING;
    // A copy may have waited for a frame boundary until others were answered.
    const isCopy = tag === this.#repeatable;
    const isFresh = tag !== this.#newest;
    if (newest?.tag === tag) newest.copies++;
    else this.#outstanding.push({ tag, copies: 1 });
    this.#newest = tag;
    if (this.#outstanding.length === MAX_OUTSTANDING) this.#repeatable = tag;
    return isCopy || (isFresh && !isFull);
  }

  /** Whether a Pong with this payload answers a Ping of the proxy. Older Pings are forgotten then. */
  take(tag: string): boolean {
    const index = this.#outstanding.findIndex((ping) => ping.tag === tag);
    const ping = this.#outstanding[index];
    if (ping === undefined) return false;
    ping.copies--;
    this.#outstanding = this.#outstanding.slice(ping.copies === 0 ? index + 1 : index);
    this.swallowed++;
    return true;
  }
}
