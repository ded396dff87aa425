import { isReservedCloseCode } from './frame.ts';
import { Keepalive } from './keepalive.ts';
import { Flush, jitter, Leg } from './leg.ts';
import { type OutstandingPing, PingTags } from './ping-tags.ts';
import { type Broken, Relay, Seen } from './relay.ts';
import type { CloseFacts, Side } from './report.ts';
import type { KeepaliveSettings } from './settings.ts';
import type { TunnelContext, TunnelOptions } from './tunnel-options.ts';

/** How long the proxy waits for a peer's Close or end before it goes on without, in ms. */
export const LINGER = 3000;

const NEVER = Number.POSITIVE_INFINITY;

const LIMIT_CODE: Record<Broken, number> = { frame_limit: 1009, rate_limit: 1008, bad_length: 1002 };
const LIMIT_REASON: Record<Broken, string> = {
  frame_limit: 'frame longer than the limit',
  rate_limit: 'too many control frames',
  bad_length: 'frame length with the top bit set',
};

/**
 * A WebSocket connection through the proxy: two directions, two keepalives, and who gets what when one of them ends. Bytes, ends and
 * times go in; bytes (`leg.out`), flush marks and wishes come out, for the owner of the sockets to carry out after every call.
 */
export class Tunnel {
  // What every chunk needs comes first here, and in what it leads to: thousands of connections do not fit into a processor's cache.
  readonly client: Leg;
  readonly upstream: Leg;
  /** When the last byte that was not ours passed, in ms. */
  activeAt: number;
  #frontIdleTimeout: number;
  /** How it ended; null while nothing has ended it. */
  facts: CloseFacts | null = null;
  /** When `facts` became known, and how long the client side had been quiet then, in ms. */
  decidedAt = 0;
  idleAtEnd = 0;

  readonly #context: TunnelContext;
  /** Where the second of two relayed Closes went. */
  #secondClose: Leg | null = null;

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
    if ((marks & Flush.close) !== 0) {
      if (leg === this.#secondClose) this.#afterBothCloses(now);
      else if (this.#secondClose === null) leg.keepalive.flushedClose(now);
    }
    if ((marks & (Flush.close | Flush.ownClose)) !== 0 && leg.state === 'answering') this.#awaitAnswer(leg, now);
  }

  /** A side has ended its direction of TCP. */
  end(side: Side, now: number): void {
    const leg = this.leg(side);
    if (leg.state === 'gone') return;
    leg.ended = true;
    this.#releaseHeld(leg);
    this.#decide({ initiator: side, cause: 'abrupt_end' }, now);
    if (leg.state === 'answering') leg.finish();
    else if (leg.finished) leg.destroy();
    if (side === 'client') this.#afterClientEnd(now);
    else this.#afterUpstreamEnd(now);
  }

  /** A side's socket is gone: reset by the peer, or failed. */
  reset(side: Side, now: number): void {
    const leg = this.leg(side);
    if (leg.state === 'gone') return;
    this.#releaseHeld(leg);
    this.#decide({ initiator: side, cause: 'abrupt_end', reset: true }, now);
    leg.ended = true;
    leg.lost();
    if (side === 'client') this.#finishUnlessClosing(this.upstream);
    else this.#afterUpstreamEnd(now);
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
    if (this.facts !== null) return;
    this.#decide({ initiator: 'proxy', cause: 'drain', code, reason }, now);
    for (const leg of [this.client, this.upstream]) leg.sendClose(code, reason);
  }

  /** No more time: whatever is still there ends behind what is queued. */
  finish(): void {
    this.client.finish();
    this.upstream.finish();
  }

  /** Something of our own failed: this connection ends, and no other. */
  fail(now: number): void {
    this.#decide({ initiator: 'proxy', cause: 'internal_error', code: 1011 }, now);
    this.#closeOrFinishClient(1011, 'internal error in the proxy');
    this.upstream.finish();
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
    if ((seen & Seen.close) !== 0) this.#afterClose(from, to, now);
    if ((seen & Seen.broken) !== 0) this.#afterLimit(from, to, now);
  }

  #afterOwnPong(from: Leg, to: Leg, now: number): void {
    const ping = to.relay.answered as OutstandingPing;
    to.relay.answered = null;
    from.keepalive.answered(ping.sentAt, ping.position, to.relay.ownPongs, now);
    this.#context.answered(from.side, ping, now);
  }

  #afterClose(from: Leg, to: Leg, now: number): void {
    const { closeCode: code, closeReason: reason } = to.relay.scanner;
    const isReserved = code !== null && isReservedCloseCode(code);
    this.#decide({ initiator: from.side, cause: isReserved ? 'reserved_code' : 'close_frame', code, reason }, now);
    from.hasClosed = true;
    if (!to.relay.discarding) to.flush |= Flush.close;
    if (from.state === 'answering') from.finish();
    else if (from.relay.closed && this.#secondClose === null) {
      this.#secondClose = to;
      // Nothing is flushed where nothing goes out any more.
      if (to.relay.discarding) this.#afterBothCloses(now);
    }
  }

  /** The server ends TCP first (RFC 6455 section 7.1.1), and towards the client the server is the proxy. */
  #afterBothCloses(now: number): void {
    this.client.finish();
    if (this.upstream.ended) this.upstream.finish();
    else if (this.upstream.state === 'open') this.upstream.until = now + LINGER;
  }

  #afterLimit(from: Leg, to: Leg, now: number): void {
    const why = to.relay.broken as Broken;
    const code = from === this.client ? LIMIT_CODE[why] : 1011;
    this.#decide({ initiator: from.side, cause: why, code, reason: LIMIT_REASON[why] }, now);
    if (from === this.client || this.upstream.state !== 'open') this.#finishUnlessClosing(this.upstream);
    else this.upstream.reset();
    this.#closeOrFinishClient(code, LIMIT_REASON[why]);
  }

  #afterClientEnd(now: number): void {
    const { client, upstream } = this;
    if (client.state === 'open') client.until = Math.min(client.until, now + LINGER);
    // Once Closes went both ways the upstream may end by itself.
    if (this.#secondClose === null) this.#finishUnlessClosing(upstream);
  }

  #afterUpstreamEnd(now: number): void {
    const { client, upstream } = this;
    const isClosing = client.hasClosed || upstream.hasClosed;
    if (client.state === 'open') {
      if (isClosing || client.ended) client.finish();
      else this.#closeOrFinishClient(1011, 'upstream ended without a Close frame');
    } else this.#finishUnlessClosing(client);
    // A server that sent its Close and its TCP end at once can still take the client's Close.
    const awaitsClose = upstream.hasClosed && !client.hasClosed && !client.ended && upstream.state === 'open';
    if (awaitsClose) upstream.until = now + LINGER;
    else upstream.finish();
  }

  /** Lets go of what the ended side's direction held back. */
  #releaseHeld(leg: Leg): void {
    const to = this.#other(leg);
    to.relay.end(to.out);
  }

  /** The client side is told in a Close frame, unless that would stand inside a frame, behind a Close, or before nobody. */
  #closeOrFinishClient(code: number, reason: string): void {
    const { client } = this;
    if (client.state !== 'open') return;
    if (client.relay.canInject && !client.ended) client.sendClose(code, reason);
    else client.finish();
  }

  /** TCP ends behind what is queued. A side with a Close of ours is given time for its answer: an early end makes it lose the code. */
  #finishUnlessClosing(leg: Leg): void {
    if (leg.state !== 'answering' || !leg.relay.closed) leg.finish();
  }

  /** A Close of ours is with the kernel. */
  #awaitAnswer(leg: Leg, now: number): void {
    if (leg.hasClosed) leg.finish();
    else leg.until = now + LINGER;
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
    } else if (leg.keepalive.stallDue() <= now) this.#declareDead(leg, 'stall', now);
    else if (this.facts === null) this.#declareDead(leg, 'pong_timeout', now);
    else this.#giveUpClosing(leg);
  }

  #declareDead(leg: Leg, cause: 'pong_timeout' | 'stall', now: number): void {
    if (leg === this.client) {
      this.#decide({ initiator: 'client', cause }, now);
      this.client.reset();
      this.#finishUnlessClosing(this.upstream);
      return;
    }
    const reason = cause === 'stall' ? 'upstream takes no data' : 'upstream does not answer';
    this.#decide({ initiator: 'upstream', cause, code: 1011, reason }, now);
    this.upstream.reset();
    this.#closeOrFinishClient(1011, reason);
  }

  /** A relayed Close was not answered. */
  #giveUpClosing(leg: Leg): void {
    this.facts = { ...(this.facts as CloseFacts), cause: 'close_timeout', initiator: leg.side, side: leg.side };
    this.finish();
  }

  /** The first reason stands. */
  #decide(facts: Pick<CloseFacts, 'initiator' | 'cause'> & Partial<CloseFacts>, now: number): void {
    if (this.facts !== null) return;
    const side = facts.initiator === 'upstream' ? 'upstream' : 'client';
    this.facts = { side, code: null, reason: '', reset: false, ...facts };
    this.decidedAt = now;
    this.idleAtEnd = this.client.keepalive.quietFor(now);
  }
}
