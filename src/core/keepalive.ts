import { Patience } from './patience.ts';
import type { PingMode, PingSettings } from './settings.ts';

/** A peer that drains at least this many bytes per ms (64 KiB/s) is never declared dead. */
const DRAIN_BYTES_PER_MS = 65_536 / 1000;
/** Kernels and proxies in front buffer no more than this before a slow reader, in bytes. */
const MAX_BUFFERED = 16 * 1024 * 1024;

/** Pings come early by up to this fraction of the interval, so that connections opened together do not stay in step. */
export const MAX_JITTER = 0.09;
/** Due times are rounded down to multiples of this fraction of the interval, so that one wake-up sends the Pings of many connections. */
const GRID = 0.01;

/** Whether a Ping waits for a quiet time. */
const WAITS_FOR_QUIET: Readonly<Record<PingMode, boolean>> = { idle: true, always: false };

/** A Close may stay unanswered for this long where Pings are not judged, in ms. */
const CLOSE_TIMEOUT = 60_000;

const NEVER = Number.POSITIVE_INFINITY;

/** A Ping whose answer is timed. It also shows how much the peer has read. */
export interface AskedPing {
  /** Bytes that had been sent to that side before it. */
  readonly position: number;
  /** When it was first with the kernel, in ms; `Infinity`: not yet. */
  flushedAt: number;
  /** Time that was excused until then, and what a slow reader needs for what was sent before it, in ms. */
  excused: number;
  drain: number;
}

const NO_PINGS: readonly AskedPing[] = [];

/**
 * When to send a Ping towards one side of a connection, and when to call that side dead. Time is an argument: ms on a monotonic
 * clock. The hot path stores timestamps; whoever owns the timer asks for `nextDeadline` and comes back then.
 */
export class Keepalive {
  // Field order matters: the first ones change with every chunk and should share a cache line.
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
  /** A Ping was answered on this connection: one of ours, or one of an application. */
  answersPings = false;
  /** Newest round trip of a Ping, in ms; -1 before the first. */
  rtt = -1;

  #pinged: number;
  /** Fraction of the interval by which the next Ping comes early: 0 to `MAX_JITTER`. */
  #jitter: number;
  /** When the newest relayed Ping passed; null once it was answered. */
  #relayedPing: number | null = null;
  #relayedPings = 0;
  #relayedPongs = 0;
  /** Pongs that nobody can have asked for. */
  #unasked = 0;
  /** The relayed Ping whose answer is waited for, and its number. */
  #probe: AskedPing | null = null;
  #probeNumber = 0;
  /** Pings on their way to the kernel. */
  #unflushed: readonly AskedPing[] = NO_PINGS;

  /** When the newest Ping was handed to the socket. */
  #writtenAt: number;
  /** How much longer than the timeout the answer may take, in ms. */
  #allowance = 0;
  /** It is progress that is awaited, not the answer to a Ping. */
  #awaitsProgress = false;
  #reading = true;
  #pausedAt = 0;
  /** Time in which no answer could be seen, because nothing was read or the timers were late, added up, in ms. */
  #excused = 0;
  /** Null while none of the last answers was late. */
  #patience: Patience | null = null;

  #bytesAnswered = 0;

  /** Since when queued bytes have made no progress; null while none wait. */
  #stalledAt: number | null = null;
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

  /** When something last came from this side, in ms; `Infinity` while nothing is read, so that nobody knows. */
  get heardAt(): number {
    return this.#reading ? this.#heard : NEVER;
  }

  /** When something last went to this side, in ms. */
  get sentAt(): number {
    return this.#sent;
  }

  /** An application's own Ping passed towards this side, and no Pong has passed back since. */
  get owesRelayedPong(): boolean {
    return this.#relayedPing !== null;
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
  sentPing(ping: AskedPing, now: number): void {
    this.pings++;
    this.#writtenAt = now;
    this.#unflushed = [...this.#unflushed, ping];
  }

  /** An application's own Ping passed towards this side. @param count how many have by now */
  relayedPing(count: number, now: number): void {
    this.#relayedPing = now;
    this.#relayedPings = count;
    this.#writtenAt = now;
    this.#ask();
  }

  /** A Pong that is not ours came back. @param count how many have by now @param oldest of our Pings that is not answered yet */
  relayedPong(count: number, oldest: AskedPing | null, now: number): void {
    // One that nobody asked for (RFC 6455 section 5.5.3) answers nothing.
    if (this.owesRelayedPong) this.answersPings = true;
    this.#relayedPing = null;
    this.#relayedPongs = count;
    this.#noteRelayedAnswer(oldest, now);
  }

  /** A Ping of ours was answered. @param sentAt when it went out last @param count how many were answered by now */
  answered(ping: AskedPing, sentAt: number, count: number, now: number): void {
    this.pongs = count;
    this.answersPings = true;
    // The timer that sent it may have been early.
    this.rtt = Math.max(0, now - sentAt);
    const probe = this.#probe;
    const isOlder = probe !== null && probe.position < ping.position && probe.flushedAt < ping.flushedAt;
    this.#noteAnswer(ping, isOlder ? probe : ping, now);
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
    for (const ping of this.#unflushed) {
      ping.flushedAt = now;
      ping.excused = this.#excused;
      ping.drain = this.#drainTime();
    }
    this.#unflushed = NO_PINGS;
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
  paused(now: number): void {
    this.#reading = false;
    this.#pausedAt = now;
  }

  resumed(now: number): void {
    if (!this.#reading) this.#excused += now - this.#pausedAt;
    this.#reading = true;
    if (this.#askedAt !== NEVER) this.#askedAt = now;
  }

  /** The timers were late (a suspend, a blocked loop): nobody could answer, so everybody gets a fresh window. @param lost how late, in ms */
  refresh(lost: number, now: number): void {
    if (this.#reading) this.#excused += lost;
    if (this.#askedAt !== NEVER) this.#askedAt = now;
    if (this.#stalledAt !== null) this.#stalledAt = now;
  }

  /** Bytes wait for this side in the proxy. @param flushed bytes that the kernel has taken so far */
  queueing(flushed: number, now: number): void {
    if (this.#stalledAt !== null) return;
    this.#stalledAt = now;
    this.#flushed = flushed;
  }

  /** More of what waits may have been taken since. */
  progressed(flushed: number, now: number): void {
    if (this.#stalledAt === null || flushed <= this.#flushed) return;
    this.#stalledAt = now;
    this.#flushed = flushed;
  }

  /** Nothing waits any more. */
  drained(): void {
    this.#stalledAt = null;
  }

  /** When the next Ping is due; `Infinity`: not for now. */
  pingDue(): number {
    const { interval, mode } = this.settings;
    if (interval === NEVER) return NEVER;
    // The first one does not wait for a quiet time, so that whether a side answers is known early.
    const waits = WAITS_FOR_QUIET[mode] && this.pings > 0;
    const quiet = waits ? Math.max(Math.min(this.#heard, this.#sent), this.#pinged) : this.#pinged;
    const grid = interval * GRID;
    const due = Math.floor((quiet + interval * (1 - this.#jitter)) / grid) * grid;
    // A relayed Ping may be answered in place of ours and the reverse, so one at a time (RFC 6455 section 5.5.3).
    return this.#relayedPing === null ? due : Math.max(due, this.#relayedPing + interval);
  }

  /** When the side is dead because queued bytes made no progress; `Infinity`: not for now. */
  stallDue(): number {
    return this.#stalledAt === null ? NEVER : this.#stalledAt + this.stall;
  }

  /** When the side is dead for whatever reason; `Infinity`: not for now. To be acted on after everything that has arrived was read. */
  judgementDue(): number {
    const answer = this.#reading ? this.#askedAt + this.#timeout() + this.#allowance : NEVER;
    return Math.min(answer, this.stallDue());
  }

  /**
   * How long an answer may take, in ms. Only a side that has answered a Ping is judged by its silence: some peers that never
   * answer are alive. A Close has to be answered by everybody.
   */
  #timeout(): number {
    const { timeout } = this.settings;
    if (this.#closing) return timeout === NEVER ? CLOSE_TIMEOUT : timeout;
    return this.answersPings ? Math.max(timeout, this.#patience?.ms ?? 0) : NEVER;
  }

  #ask(): void {
    if (this.#probe !== null) return;
    this.#probe = { position: this.#bytesSent, flushedAt: NEVER, excused: 0, drain: 0 };
    this.#probeNumber = this.#relayedPings;
    this.#unflushed = [...this.#unflushed, this.#probe];
  }

  /**
   * A relayed Pong need not say which Ping it answers, but the n-th one answers the n-th relayed Ping or a later one; one that nobody
   * asked for (RFC 6455 section 5.5.3) answers none of ours.
   */
  #noteRelayedAnswer(oldest: AskedPing | null, now: number): void {
    this.#unasked = Math.max(this.#unasked, this.#relayedPongs - this.#relayedPings);
    const probe = this.#probe;
    if (probe === null || this.#relayedPongs - this.#unasked < this.#probeNumber) return;
    // Who answers only the newest Ping has kept one of ours waiting that went before.
    this.#noteAnswer(probe, oldest !== null && oldest.position < probe.position ? oldest : probe, now);
  }

  /** @param first the Ping that has waited longest for this answer */
  #noteAnswer(ping: AskedPing, first: AskedPing, now: number): void {
    this.#bytesAnswered = Math.max(this.#bytesAnswered, ping.position);
    if (this.#probe !== null && this.#bytesAnswered >= this.#probe.position) this.#probe = null;
    const time = now - first.flushedAt - (this.#excused - first.excused);
    if (time - first.drain > this.settings.timeout) this.#patience ??= new Patience();
    this.#patience?.note(time, first.drain, this.settings.timeout);
    if (this.#patience?.ms === 0) this.#patience = null;
  }

  /** Invariant 7: what was sent but not known to be read gets the time that a slow peer needs to drain it. */
  #await(now: number): void {
    this.#askedAt = now;
    this.#awaitsProgress = false;
    this.#allowance = this.#drainTime();
  }

  /** In ms. */
  #drainTime(): number {
    return Math.min(this.#bytesSent - this.#bytesAnswered, MAX_BUFFERED) / DRAIN_BYTES_PER_MS;
  }
}
