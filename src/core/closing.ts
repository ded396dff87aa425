import { isReservedCloseCode } from './frame.ts';
import { Boundary } from './frame-scanner.ts';
import { Flush, type TunnelSide } from './side.ts';
import type { LimitPassed } from './direction.ts';
import type { CloseFacts } from './events.ts';

const LIMIT_CODE: Record<LimitPassed, number> = { frame_limit: 1009, rate_limit: 1008, bad_length: 1002 };
const LIMIT_REASON: Record<LimitPassed, string> = {
  frame_limit: 'frame longer than the limit',
  rate_limit: 'too many control frames',
  bad_length: 'frame length with the top bit set',
};

/**
 * How a connection ends: the reason, which is the first that there was, and who gets what because of that and of everything that comes
 * after it. Made when the end begins; each method is one of the things that can happen, and moves the sides along `SIDE_STATES`:
 *
 * | What happened                             | Client                               | Upstream                                |
 * |-------------------------------------------|--------------------------------------|-----------------------------------------|
 * | a Close passed, one way                   | stays                                | stays                                   |
 * | Closes passed both ways, second flushed   | `finishing`                          | `lingering`; had it ended: `finishing`  |
 * | a relayed Close stays unanswered          | `finishing`                          | `finishing`                             |
 * | client ended                              | `lingering`                          | `finishing`; after both Closes: stays   |
 * | client lost                               | `gone`                               | `finishing`                             |
 * | upstream ended or lost                    | `finishing`                          | `finishing`, or `gone`; see below       |
 * | client died                               | `gone` by a reset                    | `finishing`                             |
 * | upstream died                             | `finishing`                          | `gone` by a reset                       |
 * | client passed a limit                     | `closing`; inside a frame `finishing`| `finishing`                             |
 * | upstream passed a limit, error of our own | `finishing`                          | `gone` by a reset                       |
 * | too old                                   | `closing`                            | `closing`                               |
 * | drain                                     | `closing`                            | `closing`                               |
 *
 * An upstream that closed and ended can still take the client's Close, so it is `lingering` until that comes. A side that is
 * `closing` or `awaiting` with a Close of ours out is not ended by what happens to the other one, and never reset by us.
 *
 * The client is told by a Close of ours only of what it did itself. Of what the upstream did it learns by a bare TCP end, as it would
 * directly: many clients try again after that and not after a Close.
 */
export class CloseState {
  readonly client: TunnelSide;
  readonly upstream: TunnelSide;
  /** How it ended; null only until the first of the things below has happened. */
  facts: CloseFacts | null = null;
  /** When `facts` became known, how long no byte had passed on the client side then, in ms, and whether it owed a Pong. */
  decidedAt = 0;
  wireIdle = 0;
  pingUnanswered = false;

  /** Where the second of two relayed Closes went. */
  #secondClose: TunnelSide | null = null;

  constructor(client: TunnelSide, upstream: TunnelSide) {
    this.client = client;
    this.upstream = upstream;
  }

  /** A Close has passed. */
  relayedClose(from: TunnelSide, to: TunnelSide, now: number): void {
    const { closeCode: code, closeReason: reason } = to.outgoing.scanner;
    const isReserved = code !== null && isReservedCloseCode(code);
    this.#decide({ initiator: from.name, cause: isReserved ? 'reserved_code' : 'close_frame', code, reason }, now);
    from.hasClosed = true;
    if (!to.outgoing.discarding) to.flush |= Flush.close;
    // It takes the place of what waited for a boundary there, and ends the direction as that would have.
    if (to.state === 'closing') to.outgoing.stop();
    if (from.state === 'closing' || from.state === 'awaiting') {
      from.finish();
      this.finishOnceStopped();
    } else if (from.outgoing.closed && this.#secondClose === null) {
      this.#secondClose = to;
      // Nothing is flushed where nothing goes out any more.
      if (to.outgoing.discarding) this.#finishAfterBothCloses(now);
    }
  }

  /** A write that carried a Close is with the kernel. @param marks bits of `Flush` */
  flushedClose(side: TunnelSide, marks: number, now: number): void {
    if ((marks & Flush.close) !== 0) {
      if (side === this.#secondClose) this.#finishAfterBothCloses(now);
      else if (this.#secondClose === null) side.keepalive.flushedClose(now);
    }
    if (side.state === 'closing') side.awaitAnswer(now);
  }

  /** A side has passed a limit. */
  passedLimit(from: TunnelSide, to: TunnelSide, now: number): void {
    const { client, upstream } = this;
    const why = to.outgoing.limitPassed as LimitPassed;
    if (from === upstream) {
      this.#decide({ initiator: 'upstream', cause: why }, now);
      this.#dropUpstream();
      this.#finishUnlessClosing(client);
      return;
    }
    const [code, reason] = [LIMIT_CODE[why], LIMIT_REASON[why]];
    this.#decide({ initiator: 'client', cause: why, code, reason }, now);
    this.#finishUnlessClosing(upstream);
    // A Close cannot stand inside a frame or behind another Close, and one that has ended need not be told.
    if (client.state === 'open' && client.outgoing.canInject && !client.ended)
      client.sendClose(code, reason, Boundary.frame, now);
    else this.#finishUnlessClosing(client);
  }

  /** A side has ended its direction of TCP. */
  ended(side: TunnelSide, now: number): void {
    this.#decide({ initiator: side.name, cause: 'abrupt_end' }, now);
    if (side.state === 'closing' || side.state === 'awaiting') side.finish();
    else if (side.state === 'finished') side.destroy();
    if (side === this.client) this.#afterClientEnd(now);
    else this.#afterUpstreamEnd(now);
  }

  /** A side's socket is gone. */
  lost(side: TunnelSide, now: number): void {
    this.#decide({ initiator: side.name, cause: 'abrupt_end', reset: true }, now);
    side.lost();
    if (side === this.client) this.#finishUnlessClosing(this.upstream);
    else this.#finishUnlessClosing(this.client);
  }

  /** A side does not answer, or takes no data. */
  died(side: TunnelSide, cause: 'pong_timeout' | 'stall', now: number): void {
    this.#decide({ initiator: side.name, cause }, now);
    side.reset();
    this.#finishUnlessClosing(side === this.client ? this.upstream : this.client);
  }

  /** A side has not answered a relayed Close in time. */
  leftCloseUnanswered(side: TunnelSide): void {
    this.facts = { ...(this.facts as CloseFacts), cause: 'close_timeout', initiator: side.name, side: side.name };
    this.client.finish();
    this.upstream.finish();
  }

  /** It has become too old: both sides end at the end of the message under way. */
  expired(now: number): void {
    this.#decide({ initiator: 'proxy', cause: 'max_age' }, now);
    this.#stopAtBoundaries(now);
  }

  /** The proxy stops: the same, with a Close before it when there is a code. */
  drained(code: number | null, reason: string, now: number): void {
    if (code === null) {
      this.#decide({ initiator: 'proxy', cause: 'drain' }, now);
      this.#stopAtBoundaries(now);
    } else {
      this.#decide({ initiator: 'proxy', cause: 'drain', code, reason }, now);
      for (const side of [this.client, this.upstream]) side.sendClose(code, reason, Boundary.message, now);
    }
  }

  /** TCP ends once both directions stand at the end of a message: a peer that learns of the end often leaves its own message unfinished. */
  finishOnceStopped(): void {
    if (!this.client.hasStopped || !this.upstream.hasStopped) return;
    this.client.finish();
    this.upstream.finish();
  }

  /** Something of our own failed. */
  failed(now: number): void {
    this.#decide({ initiator: 'proxy', cause: 'internal_error' }, now);
    this.#dropUpstream();
    this.#finishUnlessClosing(this.client);
  }

  /** The first reason stands. */
  #decide(facts: Pick<CloseFacts, 'initiator' | 'cause'> & Partial<Omit<CloseFacts, 'side'>>, now: number): void {
    if (this.facts !== null) return;
    const { initiator, cause, code = null, reason = '', reset = false } = facts;
    const side = initiator === 'upstream' ? 'upstream' : 'client';
    this.facts = { initiator, cause, side, code, reason, reset };
    this.decidedAt = now;
    this.wireIdle = this.client.keepalive.quietFor(now);
    this.pingUnanswered = this.client.awaitsPong;
  }

  #stopAtBoundaries(now: number): void {
    this.client.stopAtBoundary(now);
    this.upstream.stopAtBoundary(now);
    this.finishOnceStopped();
  }

  /** The server ends TCP first (RFC 6455 section 7.1.1), and towards the client the server is the proxy. */
  #finishAfterBothCloses(now: number): void {
    const { client, upstream } = this;
    client.finish();
    if (upstream.ended) upstream.finish();
    else upstream.linger(now);
  }

  #afterClientEnd(now: number): void {
    const { client, upstream } = this;
    client.linger(now);
    // Once Closes went both ways the upstream may end by itself.
    if (this.#secondClose === null) this.#finishUnlessClosing(upstream);
  }

  #afterUpstreamEnd(now: number): void {
    const { client, upstream } = this;
    this.#finishUnlessClosing(client);
    const awaitsClose = upstream.hasClosed && !client.hasClosed && !client.ended;
    if (awaitsClose) upstream.linger(now);
    else upstream.finish();
  }

  /** TCP ends behind what is queued. A side with a Close of ours is given time for its answer: an early end makes it lose the code. */
  #finishUnlessClosing(side: TunnelSide): void {
    if (!hasOwnClose(side)) side.finish();
  }

  /** What is wrong is the upstream's doing, or ours: it is reset, unless it is ending already. */
  #dropUpstream(): void {
    if (this.upstream.state === 'open') this.upstream.reset();
    else this.#finishUnlessClosing(this.upstream);
  }
}

/** A Close of ours has gone out there. */
function hasOwnClose({ state, outgoing }: TunnelSide): boolean {
  return (state === 'closing' || state === 'awaiting') && outgoing.closed;
}
