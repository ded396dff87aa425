import { MOST_PATIENCE } from '../../src/core/patience.ts';

/** A peer may answer only the newest Ping, so no more than this many tags are outstanding. */
const MAX_OUTSTANDING = 4;
/** So many answers are looked at to tell how long the next one may take: four of the proxy, which counts those of one chunk as one. */
const LAST_ANSWERS = 8;

interface Outstanding {
  readonly tag: string;
  /** How often it was sent without an answer. */
  copies: number;
  /** When the first of those was written, about, and the last one, in ms. */
  sentAt: number;
  lastAt: number;
}

/** What went out to one side and waits for an answer, as the checker saw it on the wire. */
export class Ledger {
  injected = 0;
  swallowed = 0;
  /** Pongs that nobody asked for, sent in the place of Pings. */
  ponged = 0;
  /** It has answered a Ping, of the proxy or of the other side. */
  answersPings = false;
  /** When the newest relayed Ping passed, in ms; `-Infinity` once a Pong has passed back. */
  relayedPingAt = Number.NEGATIVE_INFINITY;
  #outstanding: Outstanding[] = [];
  #newest = '';
  /** How long the last answers took at most, from the writing of the Ping on, in ms. */
  #times: number[] = [];
  /** Pings of the other side have passed: what their answers took is not known here. */
  #isAskedByOthers = false;
  /** The newest tag when there were last enough of them. */
  #repeatable = '';

  /** How long an answer may take by what the last ones took, in ms; less than the timeout where none was late. */
  get patience(): number {
    return this.#isAskedByOthers ? MOST_PATIENCE : Math.min(2 * Math.max(0, ...this.#times), MOST_PATIENCE);
  }

  /** Pings of the other side have passed. */
  get isAskedByOthers(): boolean {
    return this.#isAskedByOthers;
  }

  /** A Ping of the other side passed. */
  noteRelayedPing(now: number): void {
    this.relayedPingAt = now;
    this.#isAskedByOthers = true;
  }

  /** As many tags as there may be wait for an answer. */
  get isFull(): boolean {
    return this.#outstanding.length >= MAX_OUTSTANDING;
  }

  /** A Pong that is not the proxy's passed back. */
  notePong(): void {
    if (this.relayedPingAt !== Number.NEGATIVE_INFINITY) this.answersPings = true;
    this.relayedPingAt = Number.NEGATIVE_INFINITY;
  }

  /** Takes down a Ping of the proxy. @returns whether it may carry this tag: a fresh one, or the newest again when there are enough */
  add(tag: string, now: number): boolean {
    this.injected++;
    const newest = this.#outstanding.at(-1);
    const isFull = this.#outstanding.length >= MAX_OUTSTANDING;
    // A copy may have waited for a frame boundary until others were answered.
    const isCopy = tag === this.#repeatable;
    const isFresh = tag !== this.#newest;
    if (newest?.tag === tag) {
      newest.copies++;
      newest.lastAt = now;
    } else this.#outstanding.push({ tag, copies: 1, sentAt: now, lastAt: now });
    this.#newest = tag;
    if (this.#outstanding.length === MAX_OUTSTANDING) this.#repeatable = tag;
    return isCopy || (isFresh && !isFull);
  }

  /** Whether a Pong with this payload answers a Ping of the proxy. Older Pings are forgotten then. */
  take(tag: string, now: number): boolean {
    const index = this.#outstanding.findIndex((ping) => ping.tag === tag);
    const ping = this.#outstanding[index];
    if (ping === undefined) return false;
    this.answersPings = true;
    this.#times = [...this.#times, now - (this.#outstanding[0] as Outstanding).sentAt].slice(-LAST_ANSWERS);
    ping.copies--;
    if (ping.copies > 0) ping.sentAt += (ping.lastAt - ping.sentAt) / ping.copies;
    this.#outstanding = this.#outstanding.slice(ping.copies === 0 ? index + 1 : index);
    this.swallowed++;
    return true;
  }
}
