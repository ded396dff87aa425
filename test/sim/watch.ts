import { MESSAGE_PATIENCE } from '../../src/core/side.ts';
import type { Session, SimEnd } from './session.ts';

const NEVER = Number.POSITIVE_INFINITY;
const NEVER_YET = Number.NEGATIVE_INFINITY;
/** Invariant 7: what a slow peer may take for the bytes before a Ping, in bytes per ms, and how many those may be. */
const DRAIN_RATE = 65.536;
const MOST_BUFFERED = 16 * 1024 * 1024;
/** Late timers, blocked loops, the way of the last bytes, in ms. */
const SLACK = 4000;
/** Progress is looked at when a stall would be over, so the last of it may be seen that much later. */
const SAMPLES = 2;
/** Where Pings are not judged, a Close may stay unanswered for this long, in ms. */
const CLOSE_TIMEOUT = 60_000;
/** Waits for a peer's end, in ms. */
const LINGERS = 4 * 3000;

/** Times by which things have to have happened on one connection. */
export class Watch {
  readonly #session: Session;
  /** Since when each dead side could have been found out, in ms. */
  readonly #suspectSince = { client: 0, upstream: 0 };
  /** Since when a Ping could have gone to each side, in ms. */
  readonly #freeSince = { client: 0, upstream: 0 };
  /** Since when the end of the connection could have gone on, in ms. */
  #endingSince = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @returns what should have happened by now */
  look(): string[] {
    const { tunnel } = this.#session.connection;
    if (tunnel.facts !== null) return this.#lookAtEnding(tunnel.closing.decidedAt);
    return this.#session.ends.flatMap((end) => [
      ...this.#lookForDead(end),
      ...this.#lookForSilence(end),
      ...this.#lookForStalled(end),
      ...this.#lookForForgotten(end),
    ]);
  }

  /** No dead peer survives its bound. */
  #lookForDead(end: SimEnd): string[] {
    const { loop } = this.#session.world;
    // Who has never answered a Ping is left to the kernel.
    if (!end.peer.facts.isDead || !end.ledger.answersPings) return [];
    const { socket, side, checker } = end;
    // Inside a frame no Ping can go out; while nothing is read no answer can be seen.
    const isHindered = !checker.atBoundary || socket.isPaused;
    const since = isHindered ? loop.time : Math.max(socket.readAt, socket.resumedAt, loop.lateEnd);
    this.#suspectSince[side] = Math.max(this.#suspectSince[side], since, end.peer.facts.faultAt);
    const answer = this.#answerTime(end, end.ledger.patience);
    const bound = this.#session.interval(side, 'max') * (1 + MESSAGE_PATIENCE) + answer + this.#queueTime(end) + SLACK;
    if (loop.time <= this.#suspectSince[side] + bound) return [];
    return [`a dead ${side} was not found out within ${Math.round(bound)} ms`];
  }

  /** Every side is sent a Ping soon, and something each interval, at least while there is a place for it. */
  #lookForSilence(end: SimEnd): string[] {
    const { loop } = this.#session.world;
    const { side, checker, ledger } = end;
    const interval = this.#session.interval(side, 'max');
    const isHindered = !checker.atBoundary || end.socket.writableLength > 0 || ledger.relayedPingAt > NEVER_YET;
    if (isHindered) this.#freeSince[side] = loop.time;
    const since = Math.max(this.#freeSince[side], this.#session.openedAt, loop.lateEnd);
    const bound = interval * (1 + MESSAGE_PATIENCE) + SLACK;
    if (ledger.injected === 0 && !ledger.isAskedByOthers && loop.time > since + bound)
      return [`no Ping to the ${side} within ${bound} ms`];
    // A client that waits for a Pong of its own is sent none, and an upstream never is.
    const isOwed = this.#session.other(end).ledger.relayedPingAt > NEVER_YET;
    const isQuiet = loop.time > Math.max(since, checker.wroteAt) + 2 * interval + SLACK;
    const isExpected = side === 'client' && ledger.isFull && !isOwed;
    return isQuiet && isExpected ? [`nothing goes to a ${side} that owes four answers`] : [];
  }

  #lookForStalled(end: SimEnd): string[] {
    const { loop, settings } = this.#session.world;
    const { socket, side } = end;
    const since = Math.max(socket.progressAt, loop.lateEnd);
    if (socket.writableLength === 0 || loop.time <= since + SAMPLES * settings.stall + SLACK) return [];
    return [`bytes for the ${side} have made no progress for ${Math.round(loop.time - since)} ms`];
  }

  /** Reading goes on as soon as what was read is gone. */
  #lookForForgotten(end: SimEnd): string[] {
    const isForgotten = end.socket.isPaused && this.#session.other(end).socket.writableLength === 0;
    return isForgotten ? [`the ${end.side} is not read any more`] : [];
  }

  /** What has begun to end ends. */
  #lookAtEnding(decidedAt: number): string[] {
    const { loop } = this.#session.world;
    const progress = this.#session.ends.map(({ socket }) => (socket.writableLength > 0 ? socket.progressAt : 0));
    // While a Close is unanswered, whatever else is heard gives more time.
    const heard = this.#session.ends.map(({ socket }) => socket.readAt);
    this.#endingSince = Math.max(this.#endingSince, decidedAt, loop.lateEnd, ...progress, ...heard);
    const times = this.#session.ends.map((end) => this.#answerTime(end));
    const answer = Math.max(...times.map((time) => (time === NEVER ? CLOSE_TIMEOUT : time)));
    const bound = answer + SAMPLES * this.#session.world.settings.stall + LINGERS + SLACK;
    if (loop.time <= this.#endingSince + bound) return [];
    return [`the connection has not ended ${Math.round(bound)} ms after it began to`];
  }

  /** How long an answer may take, with what is before it. @param patience what it may take at least, in ms */
  #answerTime(end: SimEnd, patience = 0): number {
    const [first, second] = this.#session.world.settings.keepalives;
    const timeout = Math.max(first[end.side].timeout, second[end.side].timeout);
    return Math.max(timeout, patience) + Math.min(end.checker.bytesOut, MOST_BUFFERED) / DRAIN_RATE;
  }

  /** A Ping that the kernel does not take waits until the stall is over. */
  #queueTime(end: SimEnd): number {
    return end.link.room < 1024 ? SAMPLES * this.#session.world.settings.stall : 0;
  }
}
