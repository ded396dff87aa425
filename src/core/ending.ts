import { isReservedCloseCode } from './frame.ts';
import { Flush, type Leg } from './leg.ts';
import type { Broken } from './relay.ts';
import type { CloseFacts } from './report.ts';

/** How long the proxy waits for a peer's Close or end before it goes on without, in ms. */
export const LINGER = 3000;

const LIMIT_CODE: Record<Broken, number> = { frame_limit: 1009, rate_limit: 1008, bad_length: 1002 };
const LIMIT_REASON: Record<Broken, string> = {
  frame_limit: 'frame longer than the limit',
  rate_limit: 'too many control frames',
  bad_length: 'frame length with the top bit set',
};

/**
 * How a connection ends: the reason, which is the first that there was, and who gets what because of that and of everything that comes
 * after it. Made when the end begins; each method is one of the things that can happen.
 */
export class Ending {
  readonly client: Leg;
  readonly upstream: Leg;
  /** How it ended; null only until the first of the things below has happened. */
  facts: CloseFacts | null = null;
  /** When `facts` became known, and how long the client side had been quiet then, in ms. */
  decidedAt = 0;
  idleAtEnd = 0;

  /** Where the second of two relayed Closes went. */
  #secondClose: Leg | null = null;

  constructor(client: Leg, upstream: Leg) {
    this.client = client;
    this.upstream = upstream;
  }

  /** A Close has passed. */
  relayedClose(from: Leg, to: Leg, now: number): void {
    const { closeCode: code, closeReason: reason } = to.relay.scanner;
    const isReserved = code !== null && isReservedCloseCode(code);
    this.#decide({ initiator: from.side, cause: isReserved ? 'reserved_code' : 'close_frame', code, reason }, now);
    from.hasClosed = true;
    if (!to.relay.discarding) to.flush |= Flush.close;
    if (from.state === 'answering') from.finish();
    else if (from.relay.closed && this.#secondClose === null) {
      this.#secondClose = to;
      // Nothing is flushed where nothing goes out any more.
      if (to.relay.discarding) this.#finishAfterBothCloses(now);
    }
  }

  /** A write that carried a Close is with the kernel. @param marks bits of `Flush` */
  flushedClose(leg: Leg, marks: number, now: number): void {
    if ((marks & Flush.close) !== 0) {
      if (leg === this.#secondClose) this.#finishAfterBothCloses(now);
      else if (this.#secondClose === null) leg.keepalive.flushedClose(now);
    }
    if (leg.state === 'answering') this.#awaitAnswer(leg, now);
  }

  /** A side has passed a limit. */
  brokeLimit(from: Leg, to: Leg, now: number): void {
    const { client, upstream } = this;
    const why = to.relay.broken as Broken;
    const code = from === client ? LIMIT_CODE[why] : 1011;
    this.#decide({ initiator: from.side, cause: why, code, reason: LIMIT_REASON[why] }, now);
    if (from === client || upstream.state !== 'open') this.#finishUnlessClosing(upstream);
    else upstream.reset();
    this.#closeOrFinishClient(code, LIMIT_REASON[why]);
  }

  /** A side has ended its direction of TCP. */
  ended(leg: Leg, now: number): void {
    this.#decide({ initiator: leg.side, cause: 'abrupt_end' }, now);
    if (leg.state === 'answering') leg.finish();
    else if (leg.finished) leg.destroy();
    if (leg === this.client) this.#afterClientEnd(now);
    else this.#afterUpstreamEnd(now);
  }

  /** A side's socket is gone. */
  lost(leg: Leg, now: number): void {
    this.#decide({ initiator: leg.side, cause: 'abrupt_end', reset: true }, now);
    leg.lost();
    if (leg === this.client) this.#finishUnlessClosing(this.upstream);
    else this.#afterUpstreamEnd(now);
  }

  /** A side does not answer, or takes no data. */
  died(leg: Leg, cause: 'pong_timeout' | 'stall', now: number): void {
    const { client, upstream } = this;
    if (leg === client) {
      this.#decide({ initiator: 'client', cause }, now);
      client.reset();
      this.#finishUnlessClosing(upstream);
      return;
    }
    const reason = cause === 'stall' ? 'upstream takes no data' : 'upstream does not answer';
    this.#decide({ initiator: 'upstream', cause, code: 1011, reason }, now);
    upstream.reset();
    this.#closeOrFinishClient(1011, reason);
  }

  /** A side has not answered a relayed Close in time. */
  leftCloseUnanswered(leg: Leg): void {
    this.facts = { ...(this.facts as CloseFacts), cause: 'close_timeout', initiator: leg.side, side: leg.side };
    this.client.finish();
    this.upstream.finish();
  }

  /** The proxy stops: a Close of ours both ways, at the next boundary. */
  drained(code: number, reason: string, now: number): void {
    this.#decide({ initiator: 'proxy', cause: 'drain', code, reason }, now);
    for (const leg of [this.client, this.upstream]) leg.sendClose(code, reason);
  }

  /** Something of our own failed. */
  failed(now: number): void {
    this.#decide({ initiator: 'proxy', cause: 'internal_error', code: 1011 }, now);
    this.#closeOrFinishClient(1011, 'internal error in the proxy');
    this.upstream.finish();
  }

  /** The first reason stands. */
  #decide(facts: Pick<CloseFacts, 'initiator' | 'cause'> & Partial<CloseFacts>, now: number): void {
    if (this.facts !== null) return;
    const side = facts.initiator === 'upstream' ? 'upstream' : 'client';
    this.facts = { side, code: null, reason: '', reset: false, ...facts };
    this.decidedAt = now;
    this.idleAtEnd = this.client.keepalive.quietFor(now);
  }

  /** The server ends TCP first (RFC 6455 section 7.1.1), and towards the client the server is the proxy. */
  #finishAfterBothCloses(now: number): void {
    const { client, upstream } = this;
    client.finish();
    if (upstream.ended) upstream.finish();
    else if (upstream.state === 'open') upstream.until = now + LINGER;
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

  /** The client side is told in a Close frame, unless that would stand inside a frame, behind a Close, or before nobody. */
  #closeOrFinishClient(code: number, reason: string): void {
    const client = this.client;
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
}
