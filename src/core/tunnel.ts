import { Ending, LINGER } from './ending.ts';
import { Keepalive } from './keepalive.ts';
import { Flush, jitter, Leg } from './leg.ts';
import { type OutstandingPing, PingTags } from './ping-tags.ts';
import { Relay, Seen } from './relay.ts';
import type { CloseFacts, Side } from './report.ts';
import type { KeepaliveSettings } from './settings.ts';
import type { TunnelContext, TunnelOptions } from './tunnel-options.ts';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * A WebSocket connection through the proxy: two directions, two keepalives, and an ending. Bytes, ends and times go in; bytes
 * (`leg.out`), flush marks and wishes come out, for the owner of the sockets to carry out after every call.
 */
export class Tunnel {
  // What every chunk needs comes first here, and in what it leads to: thousands of connections do not fit into a processor's cache.
  readonly client: Leg;
  readonly upstream: Leg;
  /** When the last byte that was not ours passed, in ms. */
  activeAt: number;
  #frontIdleTimeout: number;
  #ending: Ending | null = null;

  readonly #context: TunnelContext;

  constructor(options: TunnelOptions, context: TunnelContext, now: number) {
    const { keepalive, stall, limits } = options;
    this.#context = context;
    this.#frontIdleTimeout = keepalive.frontIdleTimeout;
    this.activeAt = now;
    const { random, toClient, toUpstream } = context;
    // A side's Pings go out in one direction, and their answers come back in the other.
    const clientTags = new PingTags();
    const upstreamTags = new PingTags();
    const down = new Relay(false, limits, upstreamTags);
    const up = new Relay(true, limits, clientTags);
    const clientKeepalive = new Keepalive(keepalive.client, stall, jitter(random), now);
    const upstreamKeepalive = new Keepalive(keepalive.upstream, stall, jitter(random), now);
    this.client = new Leg('client', clientKeepalive, down, clientTags, toClient, random);
    this.upstream = new Leg('upstream', upstreamKeepalive, up, upstreamTags, toUpstream, random);
  }

  /** How it ended; null while nothing has ended it. */
  get facts(): CloseFacts | null {
    return this.#ending === null ? null : this.#ending.facts;
  }

  /** Who gets what when it ends. Made when it is first asked for: most of the time nothing ends. */
  get ending(): Ending {
    return (this.#ending ??= new Ending(this.client, this.upstream));
  }

  /** Both sockets are gone. */
  get isOver(): boolean {
    return this.client.state === 'gone' && this.upstream.state === 'gone';
  }

  leg(side: Side): Leg {
    return side === 'client' ? this.client : this.upstream;
  }

  /** New keepalive settings for an open connection. */
  configure(keepalive: KeepaliveSettings): void {
    this.client.keepalive.settings = keepalive.client;
    this.upstream.keepalive.settings = keepalive.upstream;
    this.#frontIdleTimeout = keepalive.frontIdleTimeout;
  }

  /** Bytes came from a side. They are passed on in `out` of the other one, valid as long as the chunk is. */
  receive(side: Side, chunk: Uint8Array, now: number): void {
    const from = this.leg(side);
    const to = this.#other(from);
    from.keepalive.heard(now);
    const before = to.relay.bytes;
    const seen = to.relay.push(chunk, now, to.out);
    if (to.relay.bytes !== before) this.#noteActivity(now);
    if (seen !== Seen.nothing) this.#react(from, to, seen, now);
  }

  /** Bytes were handed to a side's socket. */
  wrote(side: Side, bytes: number, now: number): void {
    this.leg(side).keepalive.sent(bytes, now);
  }

  /** A write that carried marks is with the kernel. */
  flushed(side: Side, marks: number, now: number): void {
    const leg = this.leg(side);
    if ((marks & Flush.ping) !== 0 && this.facts === null) leg.keepalive.flushedPing(now);
    if ((marks & (Flush.close | Flush.ownClose)) !== 0) this.ending.flushedClose(leg, marks, now);
  }

  /** A side has ended its direction of TCP. */
  end(side: Side, now: number): void {
    const leg = this.leg(side);
    if (leg.state === 'gone') return;
    leg.ended = true;
    this.#releaseHeld(leg);
    this.ending.ended(leg, now);
  }

  /** A side's socket is gone: reset by the peer, or failed. */
  reset(side: Side, now: number): void {
    const leg = this.leg(side);
    if (leg.state === 'gone') return;
    this.#releaseHeld(leg);
    leg.ended = true;
    this.ending.lost(leg, now);
  }

  /** Our TCP end towards a side is with the kernel. */
  finished(side: Side, now: number): void {
    const leg = this.leg(side);
    leg.finished = true;
    if (leg.ended) leg.destroy();
    else leg.until = now + LINGER;
  }

  /** When `handleTimer` wants to be called; `Infinity`: not for now. */
  nextDeadline(): number {
    return Math.min(
      this.client.judgementDue(),
      this.upstream.judgementDue(),
      this.#pingDue(this.client),
      this.#pingDue(this.upstream),
    );
  }

  /**
   * Sends the Pings that are due.
   *
   * @returns whether a deadline has passed for which `judge` has to be called, after everything that had arrived was read
   */
  handleTimer(now: number): boolean {
    if (this.#pingDue(this.client) <= now) this.#ping(this.client, now);
    if (this.#pingDue(this.upstream) <= now) this.#ping(this.upstream, now);
    return this.client.judgementDue() <= now || this.upstream.judgementDue() <= now;
  }

  /** Carries out what passed deadlines demand. */
  judge(now: number): void {
    this.#judgeLeg(this.client, now);
    this.#judgeLeg(this.upstream, now);
  }

  /** The timers were late: nobody could answer, so nobody is to blame. */
  refresh(now: number): void {
    for (const leg of [this.client, this.upstream]) {
      leg.keepalive.refresh(now);
      if (leg.until !== NEVER) leg.until = now + LINGER;
    }
  }

  /** The proxy stops: a Close of ours both ways, at the next boundary. */
  drain(code: number, reason: string, now: number): void {
    if (this.facts === null) this.ending.drained(code, reason, now);
  }

  /** No more time: whatever is still there ends behind what is queued. */
  finish(): void {
    this.client.finish();
    this.upstream.finish();
  }

  /** Something of our own failed: this connection ends, and no other. */
  fail(now: number): void {
    this.ending.failed(now);
  }

  #other(leg: Leg): Leg {
    return leg === this.client ? this.upstream : this.client;
  }

  #noteActivity(now: number): void {
    const gap = now - this.activeAt;
    this.activeAt = now;
    if (gap > this.#frontIdleTimeout) this.#context.bridged(gap);
  }

  #react(from: Leg, to: Leg, seen: number, now: number): void {
    if ((seen & Seen.injected) !== 0) to.afterInjection(now);
    if ((seen & Seen.ping) !== 0) {
      to.keepalive.relayedPing(to.relay.pings, now);
      to.flush |= Flush.ping;
    }
    if ((seen & Seen.pong) !== 0) from.keepalive.relayedPong(to.relay.pongs);
    if ((seen & Seen.ownPong) !== 0) this.#afterOwnPong(from, to, now);
    if ((seen & Seen.close) !== 0) this.ending.relayedClose(from, to, now);
    if ((seen & Seen.broken) !== 0) this.ending.brokeLimit(from, to, now);
  }

  #afterOwnPong(from: Leg, to: Leg, now: number): void {
    const ping = to.relay.answered as OutstandingPing;
    to.relay.answered = null;
    from.keepalive.answered(ping.sentAt, ping.position, to.relay.ownPongs, now);
    this.#context.answered(from.side, ping, now);
  }

  /** Lets go of what the ended side's direction held back. */
  #releaseHeld(leg: Leg): void {
    const to = this.#other(leg);
    to.relay.end(to.out);
  }

  /** Pings go on until anything has begun to end the connection. */
  #pingDue(leg: Leg): number {
    return this.facts === null ? leg.keepalive.pingDue() : NEVER;
  }

  #ping(leg: Leg, now: number): void {
    leg.ping(now);
    // Stopped inside frames both ways, neither side could ever be asked.
    if (leg.relay.isWaiting && this.#other(leg).relay.scanner.remaining > 0) leg.keepalive.awaitProgress(now);
  }

  #judgeLeg(leg: Leg, now: number): void {
    if (leg.state === 'gone' || leg.judgementDue() > now) return;
    if (leg.until <= now) {
      if (leg.state === 'finishing') leg.destroy();
      else leg.finish();
    } else if (leg.keepalive.stallDue() <= now) this.ending.died(leg, 'stall', now);
    else if (this.facts === null) this.ending.died(leg, 'pong_timeout', now);
    else this.ending.leftCloseUnanswered(leg);
  }
}
