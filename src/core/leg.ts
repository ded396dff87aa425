import { closeFrame, pingFrame, type RandomInt32 } from './frame.ts';
import { type Keepalive, MAX_JITTER } from './keepalive.ts';
import type { Pieces } from './pieces.ts';
import type { OutstandingPing, PingTags } from './ping-tags.ts';
import type { Relay } from './relay.ts';
import type { Side } from './report.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** What the socket's owner reports once a write is with the kernel, as bits. */
export const Flush = { nothing: 0, ping: 1, close: 2, ownClose: 4 } as const;

/**
 * The proxy's side of one TCP connection.
 *
 * - `open`: bytes and Pings go out
 * - `answering`: a Close of our own went out, or waits for a boundary; the peer's Close or end is awaited
 * - `finishing`: nothing more goes out; TCP ends behind what is queued
 * - `gone`: the socket is destroyed, by us or by the peer
 */
export type LegState = 'open' | 'answering' | 'finishing' | 'gone';

/** What the socket's owner has to do after writing what `out` holds. */
export type Wish = 'none' | 'end' | 'destroy' | 'reset';

export function jitter(random: RandomInt32): number {
  return ((random() >>> 0) / 2 ** 32) * MAX_JITTER;
}

/** One side of a tunnel: what goes out to it, what is known of it, and when it has to be looked at. */
export class Leg {
  readonly side: Side;
  readonly keepalive: Keepalive;
  /** The direction that ends here: what it passes goes out to this side. */
  readonly relay: Relay;
  /** Bytes for this side. Shared by all tunnels: emptied after every call. */
  readonly out: Pieces;
  /** What to report when what `out` holds is with the kernel: bits of `Flush`. */
  flush: number = Flush.nothing;
  state: LegState = 'open';
  wish: Wish = 'none';
  /** The peer has ended its direction. */
  ended = false;
  /** The peer has sent a Close. */
  hasClosed = false;
  /** Our TCP end is with the kernel. */
  finished = false;
  /** When to go on without the peer, in ms. */
  until = NEVER;

  readonly #tags: PingTags;
  readonly #random: RandomInt32;
  /** The newest Ping that had to wait for a frame boundary. */
  #waiting: OutstandingPing | null = null;

  constructor(side: Side, keepalive: Keepalive, relay: Relay, tags: PingTags, out: Pieces, random: RandomInt32) {
    this.side = side;
    this.keepalive = keepalive;
    this.relay = relay;
    this.out = out;
    this.#tags = tags;
    this.#random = random;
  }

  /** When this side has to be judged, in ms; `Infinity`: not for now. */
  judgementDue(): number {
    if (this.state === 'gone') return NEVER;
    // Only a side that is open and has not ended can answer; bytes can be stuck until it is gone.
    const canAnswer = this.state === 'open' && !this.ended;
    return Math.min(this.until, canAnswer ? this.keepalive.judgementDue() : this.keepalive.stallDue());
  }

  /** Sends a Ping at the next frame boundary, unless one waits for that already. */
  ping(now: number): void {
    const { keepalive, relay } = this;
    if (!relay.isWaiting) {
      const ping = this.#nextPing(now);
      if (relay.inject(pingFrame(ping.high, ping.low, this.#maskKey()), false, this.out)) this.#notePing(ping);
      else this.#waiting = ping;
    }
    keepalive.pinged(jitter(this.#random), now);
  }

  /** Sends a Close of our own at the next frame boundary. The caller has asked `relay.mayInject`. */
  sendClose(code: number, reason: string): void {
    this.state = 'answering';
    if (this.relay.inject(closeFrame(code, reason, this.#maskKey()), true, this.out)) this.flush |= Flush.ownClose;
  }

  /** The frame that waited for a boundary is in `out`. */
  afterInjection(now: number): void {
    if (this.state === 'answering') {
      this.flush |= Flush.ownClose;
      return;
    }
    this.keepalive.waitedEnough();
    this.#notePing({ ...(this.#waiting as OutstandingPing), position: this.keepalive.position, sentAt: now });
    this.#waiting = null;
  }

  /** TCP ends behind what is queued. */
  finish(): void {
    if (this.state === 'finishing' || this.state === 'gone') return;
    this.state = 'finishing';
    this.wish = 'end';
    this.until = NEVER;
    this.relay.stop();
  }

  destroy(): void {
    this.#leave('destroy');
  }

  reset(): void {
    this.#leave('reset');
  }

  /** The socket is gone already. */
  lost(): void {
    this.#leave('none');
  }

  #leave(wish: Wish): void {
    if (this.state === 'gone') return;
    this.state = 'gone';
    this.wish = wish;
    this.until = NEVER;
    this.relay.stop();
  }

  /** It can be answered from now on. */
  #notePing(ping: OutstandingPing): void {
    this.#tags.add(ping);
    this.keepalive.sentPing(ping.sentAt);
    this.flush |= Flush.ping;
  }

  /** A Ping of which the peer still has several to answer goes out again with the newest tag: forgetting one would let its Pong pass. */
  #nextPing(now: number): OutstandingPing {
    const { keepalive } = this;
    const { high, low } = this.#tags.toRepeat ?? { high: this.#random(), low: this.#random() };
    return { high, low, copies: 1, sentAt: now, position: keepalive.position, quiet: keepalive.quietFor(now) };
  }

  /** Frames are masked towards the upstream, with a fresh key, and never towards the client (RFC 6455 section 5.1). */
  #maskKey(): number | null {
    return this.side === 'client' ? null : this.#random();
  }
}
