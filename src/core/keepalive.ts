import type { PingSettings } from './settings.ts';

/** A peer that drains at least this many bytes per ms (64 KiB/s) is never declared dead. */
const DRAIN_BYTES_PER_MS = 65_536 / 1000;
/** Kernels and proxies in front buffer no more than this before a slow reader, in bytes. */
const MAX_BUFFERED = 16 * 1024 * 1024;

/** Pings come early by up to this fraction of the interval, so that connections opened together do not stay in step. */
export const MAX_JITTER = 0.09;
/** And by up to this fraction more, to go out together with others. */
const GRID = 0.01;

/** A Close may stay unanswered for this long where Pings are not judged, in ms. */
const CLOSE_TIMEOUT = 60_000;

const NEVER = Number.POSITIVE_INFINITY;

/**
 * When to send a Ping towards one side of a connection, and when to call that side dead. Time is an argument: ms on a monotonic
 * clock. The hot path stores timestamps; whoever owns the timer asks for `nextDeadline` and comes back then.
 */
export class Keepalive {
  // What every chunk changes comes first, as in the tunnel.
  #heard: number;
  #sent: number;
  /** Since when an answer is awaited: the flush of the oldest unanswered Ping. */
  #askedAt = NEVER;
  #bytesSent = 0;
  /** A Close has gone out. */
  #closing = false;

  /** Changed as a whole by a reload or by the adaptive interval. */
  settings: PingSettings;
  /** How long queued bytes may make no progress, in ms. */
  readonly stall: number;
  pings = 0;
  pongs = 0;
  /** Newest round trip of a Ping, in ms; -1 before the first. */
  rtt = -1;

  #pinged: number;
  /** Fraction of the interval by which the next Ping comes early: 0 to `MAX_JITTER`. */
  #jitter: number;
  /** When the newest relayed Ping passed; `-Infinity` once it was answered. */
  #relayedPing = Number.NEGATIVE_INFINITY;
  #relayedPings = 0;
  #relayedPongs = 0;
  /** Pongs that nobody can have asked for. */
  #unasked = 0;
  /** Number of the relayed Ping whose answer will tell how much was read, and what `position` was before it; 0: none. */
  #probe = 0;
  #probePosition = 0;

  /** When the newest Ping was handed to the socket. */
  #writtenAt: number;
  /** How much longer than the timeout the answer may take, in ms. */
  #allowance = 0;
  /** It is progress that is awaited, not the answer to a Ping. */
  #awaitsProgress = false;
  #reading = true;

  #bytesAnswered = 0;

  /** Since when queued bytes have made no progress. */
  #stalledAt = NEVER;
  #flushed = 0;

  constructor(settings: PingSettings, stall: number, jitter: number, now: number) {
    this.settings = settings;
    this.stall = stall;
    this.#heard = now;
    this.#sent = now;
    this.#pinged = now;
    this.#writtenAt = now;
    this.#jitter = jitter;
  }

  /** Bytes handed to this side's socket so far. */
  get position(): number {
    return this.#bytesSent;
  }

  /** How long nothing has passed on this side, either way, in ms. */
  quietFor(now: number): number {
    return now - Math.max(this.#heard, this.#sent);
  }

  /** Something came from this side. Any byte is life. */
  heard(now: number): void {
    this.#heard = now;
    // Nothing but a Close or an end answers a Close.
    if (!this.#closing) this.#askedAt = NEVER;
  }

  /** Bytes of whatever kind were handed to this side's socket. */
  sent(bytes: number, now: number): void {
    this.#sent = now;
    this.#bytesSent += bytes;
  }

  /** A Ping of ours is due: it goes out or waits for a frame boundary. @param jitter for the one after it, 0 to `MAX_JITTER` */
  pinged(jitter: number, now: number): void {
    this.#pinged = now;
    this.#jitter = jitter;
  }

  /** A Ping of ours goes out. */
  sentPing(now: number): void {
    this.pings++;
    this.#writtenAt = now;
  }

  /** An application's own Ping passed towards this side. @param count how many have by now */
  relayedPing(count: number, now: number): void {
    this.#relayedPing = now;
    this.#relayedPings = count;
    this.#writtenAt = now;
    this.#ask();
  }

  /** A Pong that is not ours came back. @param count how many have by now */
  relayedPong(count: number): void {
    this.#relayedPing = Number.NEGATIVE_INFINITY;
    this.#relayedPongs = count;
    this.#noteAnswer();
  }

  /** A Ping of ours was answered. @param position what `position` was when it was sent @param count how many were by now */
  answered(sentAt: number, position: number, count: number, now: number): void {
    this.pongs = count;
    // The timer that sent it may have been early.
    this.rtt = Math.max(0, now - sentAt);
    this.#bytesAnswered = Math.max(this.#bytesAnswered, position);
    this.#noteAnswer();
  }

  /**
   * A Ping cannot go out, because the other side has stopped inside a frame, and neither can this side say more until it has gone on
   * with a frame of its own: from now on its silence counts.
   */
  awaitProgress(now: number): void {
    if (this.#askedAt !== NEVER) return;
    this.#await(now);
    this.#awaitsProgress = true;
  }

  /** The Ping went out after all: its flush will start the clock anew, unless an earlier one has started it. */
  waitedEnough(): void {
    if (this.#awaitsProgress) this.#askedAt = NEVER;
  }

  /** A Ping was handed to the kernel: from now on an answer is awaited. */
  flushedPing(now: number): void {
    if (this.#askedAt !== NEVER || this.#closing) return;
    // A write is flushed as a whole: the peer may have had the Ping long before, and what came since is life.
    if (this.#heard > this.#writtenAt) return;
    this.#await(now);
  }

  /** A relayed Close was handed to the kernel: from now on nothing but its answer counts. */
  flushedClose(now: number): void {
    this.#closing = true;
    this.#await(now);
  }

  /** Reading from this side has stopped, so no answer can be seen: its Pong clock stands still. */
  paused(): void {
    this.#reading = false;
  }

  resumed(now: number): void {
    this.#reading = true;
    if (this.#askedAt !== NEVER) this.#askedAt = now;
  }

  /** The timers were late (a suspend, a blocked loop): nobody could answer, so everybody gets a fresh window. */
  refresh(now: number): void {
    if (this.#askedAt !== NEVER) this.#askedAt = now;
    if (this.#stalledAt !== NEVER) this.#stalledAt = now;
  }

  /** Bytes wait for this side in the proxy. @param flushed bytes that the kernel has taken so far */
  queueing(flushed: number, now: number): void {
    if (this.#stalledAt !== NEVER) return;
    this.#stalledAt = now;
    this.#flushed = flushed;
  }

  /** More of what waits may have been taken since. */
  progressed(flushed: number, now: number): void {
    if (this.#stalledAt === NEVER || flushed <= this.#flushed) return;
    this.#stalledAt = now;
    this.#flushed = flushed;
  }

  /** Nothing waits any more. */
  drained(): void {
    this.#stalledAt = NEVER;
  }

  /** When the next Ping is due; `Infinity`: not for now. */
  pingDue(): number {
    const { interval, mode } = this.settings;
    if (interval === NEVER) return NEVER;
    const quiet = mode === 'always' ? this.#pinged : Math.max(Math.min(this.#heard, this.#sent), this.#pinged);
    // Due times fall on a grid, so that one wake-up sends the Pings of many connections and reads their answers.
    const grid = interval * GRID;
    const due = Math.floor((quiet + interval * (1 - this.#jitter)) / grid) * grid;
    // A relayed Ping may be answered in place of ours and the reverse, so one at a time (RFC 6455 section 5.5.3).
    return Math.max(due, this.#relayedPing + interval);
  }

  /** When the side is dead because queued bytes made no progress; `Infinity`: not for now. */
  stallDue(): number {
    return this.#stalledAt + this.stall;
  }

  /** When the side is dead for whatever reason; `Infinity`: not for now. To be acted on after everything that has arrived was read. */
  judgementDue(): number {
    const isJudged = this.settings.timeout !== NEVER || !this.#closing;
    const timeout = isJudged ? this.settings.timeout : CLOSE_TIMEOUT;
    const answer = this.#reading ? this.#askedAt + timeout + this.#allowance : NEVER;
    return Math.min(answer, this.stallDue());
  }

  #ask(): void {
    if (this.#probe !== 0) return;
    this.#probe = this.#relayedPings;
    this.#probePosition = this.#bytesSent;
  }

  /**
   * The tag tells which of our Pings is answered. A relayed Pong need not say so, but the n-th one answers the n-th relayed Ping or a
   * later one; one that nobody asked for (RFC 6455 section 5.5.3) answers none of ours.
   */
  #noteAnswer(): void {
    this.#unasked = Math.max(this.#unasked, this.#relayedPongs - this.#relayedPings);
    if (this.#relayedPongs - this.#unasked >= this.#probe)
      this.#bytesAnswered = Math.max(this.#bytesAnswered, this.#probePosition);
    if (this.#bytesAnswered >= this.#probePosition) this.#probe = 0;
  }

  /** Invariant 7: what was sent but not known to be read gets the time that a slow peer needs to drain it. */
  #await(now: number): void {
    this.#askedAt = now;
    this.#awaitsProgress = false;
    this.#allowance = Math.min(this.#bytesSent - this.#bytesAnswered, MAX_BUFFERED) / DRAIN_BYTES_PER_MS;
  }
}
