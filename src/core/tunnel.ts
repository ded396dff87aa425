import { CloseState } from './closing.ts';
import type { RandomInt32 } from './frame.ts';
import { Keepalive } from './keepalive.ts';
import { Flush, jitter, TunnelSide } from './side.ts';
import { type OutstandingPing, PingTags } from './ping-tags.ts';
import { type ChunkList, Direction, type DirectionLimits, PushEvents } from './direction.ts';
import type { CloseFacts, Side } from './events.ts';
import type { KeepaliveSettings } from './settings.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** Silences on the client side of at least this long are told, in ms. */
const LONG_SILENCE = 1000;

/** What a tunnel uses of its owner, and what it tells it. */
export interface TunnelOwner {
  readonly random: RandomInt32;
  /** Where bytes for each side go. The owner empties them after every call, so tunnels can share them. */
  readonly toClient: ChunkList;
  readonly toUpstream: ChunkList;
  /** A Ping of ours was answered. */
  answered(side: Side, ping: OutstandingPing, now: number): void;
  /** Real traffic came back after the client side had been without any for `gap` ms, kept open by Pings. */
  bridged(gap: number): void;
  /** A byte passed on the client side after a silence of `silence` ms, a second or more. */
  outlived(silence: number): void;
}

export interface TunnelOptions {
  readonly keepalive: KeepaliveSettings;
  /** How long queued bytes may make no progress, in ms. */
  readonly stall: number;
  /** Kept as it is: tunnels of the same kind share it. */
  readonly limits: DirectionLimits;
}

/**
 * A WebSocket connection through the proxy: two directions, two keepalives, and a close state. Bytes, ends and times go in; bytes
 * (`side.out`), flush marks and socket actions come out, for the owner of the sockets to carry out after every call.
 */
export class Tunnel {
  // Field order matters here, and in what it leads to: what is read for every chunk comes first and should share a cache line.
  readonly client: TunnelSide;
  readonly upstream: TunnelSide;
  /** When the last byte that was neither ours nor part of a Close passed, in ms. */
  activeAt: number;
  #frontIdleTimeout: number;
  #closing: CloseState | null = null;

  readonly #owner: TunnelOwner;

  constructor(options: TunnelOptions, owner: TunnelOwner, now: number) {
    const { keepalive, stall, limits } = options;
    this.#owner = owner;
    this.#frontIdleTimeout = keepalive.frontIdleTimeout;
    this.activeAt = now;
    const { random, toClient, toUpstream } = owner;
    // A side's Pings go out in one direction, and their answers come back in the other.
    const clientTags = new PingTags();
    const upstreamTags = new PingTags();
    const down = new Direction(false, limits, upstreamTags);
    const up = new Direction(true, limits, clientTags);
    const clientKeepalive = new Keepalive(keepalive.client, stall, jitter(random), now);
    const upstreamKeepalive = new Keepalive(keepalive.upstream, stall, jitter(random), now);
    this.client = new TunnelSide('client', clientKeepalive, down, clientTags, toClient, random);
    this.upstream = new TunnelSide('upstream', upstreamKeepalive, up, upstreamTags, toUpstream, random);
  }

  /** How it ended; null while nothing has ended it. */
  get facts(): CloseFacts | null {
    return this.#closing === null ? null : this.#closing.facts;
  }

  /** Who gets what when it ends. Made when it is first asked for: most of the time nothing ends. */
  get closing(): CloseState {
    return (this.#closing ??= new CloseState(this.client, this.upstream));
  }

  /** Both sockets are gone. */
  get isOver(): boolean {
    return this.client.state === 'gone' && this.upstream.state === 'gone';
  }

  side(name: Side): TunnelSide {
    return name === 'client' ? this.client : this.upstream;
  }

  /** New keepalive settings for an open connection. */
  configure(keepalive: KeepaliveSettings): void {
    this.client.keepalive.settings = keepalive.client;
    this.upstream.keepalive.settings = keepalive.upstream;
    this.#frontIdleTimeout = keepalive.frontIdleTimeout;
  }

  /** Bytes came from a side. They are passed on in `out` of the other one, valid as long as the chunk is. */
  receive(name: Side, chunk: Uint8Array, now: number): void {
    const from = this.side(name);
    const to = this.#other(from);
    if (from === this.client) this.#noteSilence(now);
    from.keepalive.heard(now);
    const before = to.outgoing.bytes;
    const seen = to.outgoing.push(chunk, now, to.out);
    if (to.outgoing.bytes !== before) this.#noteActivity(now, (seen & PushEvents.close) !== 0);
    if (seen !== PushEvents.nothing) this.#react(from, to, seen, now);
  }

  /** Bytes were handed to a side's socket. */
  wrote(name: Side, bytes: number, now: number): void {
    const side = this.side(name);
    if (side === this.client) this.#noteSilence(now);
    side.keepalive.sent(bytes, now);
  }

  /** A write that carried marks is with the kernel. */
  flushed(name: Side, marks: number, now: number): void {
    const side = this.side(name);
    if ((marks & Flush.ping) !== 0 && this.facts === null) side.keepalive.flushedPing(now);
    if ((marks & (Flush.close | Flush.ownClose)) !== 0) this.closing.flushedClose(side, marks, now);
  }

  /** A side has ended its direction of TCP. */
  end(name: Side, now: number): void {
    const side = this.side(name);
    if (side.state === 'gone') return;
    side.ended = true;
    this.#releaseHeld(side);
    this.closing.ended(side, now);
  }

  /** A side's socket is gone: reset by the peer, or failed. */
  reset(name: Side, now: number): void {
    const side = this.side(name);
    if (side.state === 'gone') return;
    this.#releaseHeld(side);
    side.ended = true;
    this.closing.lost(side, now);
  }

  /** Our TCP end towards a side is with the kernel. */
  finished(name: Side, now: number): void {
    this.side(name).finished(now);
  }

  /** When `handleTimer` wants to be called; `Infinity`: not for now. */
  nextDeadline(): number {
    return Math.min(
      this.client.judgementDue(),
      this.upstream.judgementDue(),
      this.#sendDue(this.client),
      this.#sendDue(this.upstream),
    );
  }

  /**
   * Sends the Pings that are due, and the Pongs in their place.
   *
   * @returns whether a deadline has passed for which `judge` has to be called, after everything that had arrived was read
   */
  handleTimer(now: number): boolean {
    if (this.#sendDue(this.client) <= now) this.#sendWhatIsDue(this.client, now);
    if (this.#sendDue(this.upstream) <= now) this.#sendWhatIsDue(this.upstream, now);
    return this.client.judgementDue() <= now || this.upstream.judgementDue() <= now;
  }

  /** Carries out what passed deadlines demand. */
  judge(now: number): void {
    this.#judgeSide(this.client, now);
    this.#judgeSide(this.upstream, now);
  }

  /** The timers were late: nobody could answer, so nobody is to blame. @param lost how late, in ms */
  refresh(lost: number, now: number): void {
    this.client.refresh(lost, now);
    this.upstream.refresh(lost, now);
  }

  /** The proxy stops: both sides end at the end of the message under way. @param code of a Close before that; null: none */
  drain(code: number | null, reason: string, now: number): void {
    if (this.facts === null) this.closing.drained(code, reason, now);
  }

  /** The connection has become too old: both sides end at the end of the message under way. */
  expire(now: number): void {
    if (this.facts === null) this.closing.expired(now);
  }

  /** No more time: whatever is still there ends behind what is queued. */
  finish(): void {
    this.client.finish();
    this.upstream.finish();
  }

  /** Something of our own failed: this connection ends, and no other. */
  fail(now: number): void {
    this.closing.failed(now);
  }

  #other(side: TunnelSide): TunnelSide {
    return side === this.client ? this.upstream : this.client;
  }

  #noteActivity(now: number, hasClose: boolean): void {
    const gap = now - this.activeAt;
    if (!hasClose) this.activeAt = now;
    if (gap > this.#frontIdleTimeout) this.#owner.bridged(gap);
  }

  #noteSilence(now: number): void {
    const silence = this.client.keepalive.quietFor(now);
    if (silence >= LONG_SILENCE && this.facts === null) this.#owner.outlived(silence);
  }

  #react(from: TunnelSide, to: TunnelSide, seen: number, now: number): void {
    if ((seen & PushEvents.injected) !== 0) this.#afterInjection(to, now);
    if ((seen & PushEvents.ping) !== 0) {
      to.keepalive.relayedPing(to.outgoing.pings, now);
      to.flush |= Flush.ping;
    }
    if ((seen & PushEvents.pong) !== 0) from.keepalive.relayedPong(to.outgoing.pongs, from.oldestPing, now);
    if ((seen & PushEvents.ownPong) !== 0) this.#afterOwnPong(from, to, now);
    if ((seen & PushEvents.close) !== 0) this.closing.relayedClose(from, to, now);
    if ((seen & PushEvents.limitPassed) !== 0) this.closing.passedLimit(from, to, now);
  }

  #afterInjection(to: TunnelSide, now: number): void {
    to.afterInjection(now);
    if (to.state === 'closing') this.closing.finishOnceStopped();
  }

  #afterOwnPong(from: TunnelSide, to: TunnelSide, now: number): void {
    const ping = to.outgoing.answered as OutstandingPing;
    to.outgoing.answered = null;
    from.keepalive.answered(ping, ping.sentAt, to.outgoing.ownPongs, now);
    this.#owner.answered(from.name, ping, now);
  }

  /** Passes on the bytes that were held back to complete a header: no more will come. */
  #releaseHeld(side: TunnelSide): void {
    const to = this.#other(side);
    to.outgoing.end(to.out);
  }

  /** Pings go on until anything has begun to end the connection. */
  #sendDue(side: TunnelSide): number {
    return this.facts === null ? Math.min(side.pingDue(), side.pongDue(), side.patienceDue()) : NEVER;
  }

  #sendWhatIsDue(side: TunnelSide, now: number): void {
    // One at a time: the due times of the others follow from what was sent, and that counts once it was written.
    if (side.patienceDue() <= now) side.losePatience(now);
    else if (side.pingDue() <= now) this.#ping(side, now);
    else if (side.pongDue() <= now) side.pong(this.#other(side).keepalive.owesRelayedPong, now);
  }

  #ping(side: TunnelSide, now: number): void {
    side.ping(now);
    // With both directions inside a frame no Ping can go out either way, so missing bytes have to do in place of a missing Pong.
    const isInside = side.outgoing.scanner.remaining > 0 && this.#other(side).outgoing.scanner.remaining > 0;
    if (side.outgoing.isWaiting && isInside) side.keepalive.awaitProgress(now);
  }

  #judgeSide(side: TunnelSide, now: number): void {
    if (side.state === 'gone' || side.judgementDue() > now) return;
    if (side.until <= now) {
      if (side.state === 'finished') side.destroy();
      else side.finish();
    } else if (side.keepalive.stallDue() <= now) this.closing.died(side, 'stall', now);
    else if (this.facts === null) this.closing.died(side, 'pong_timeout', now);
    else this.closing.leftCloseUnanswered(side);
  }
}
