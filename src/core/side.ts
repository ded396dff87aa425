import { closeFrame, controlFrame, OPCODE_PONG, pingFrame, type RandomInt32 } from './frame.ts';
import { Boundary } from './frame-scanner.ts';
import { type AskedPing, type Keepalive, MAX_JITTER } from './keepalive.ts';
import { type ChunkList, type Direction, END } from './direction.ts';
import type { OutstandingPing, PingTags } from './ping-tags.ts';
import type { Side } from './events.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** A Ping waits for the end of the message under way for this part of its interval, and then for that of a frame. */
export const MESSAGE_PATIENCE = 0.5;
const NO_PAYLOAD = new Uint8Array(0);

/** What the socket's owner reports once a write is with the kernel, as bits. */
export const Flush = { nothing: 0, ping: 1, close: 2, ownClose: 4 } as const;

/**
 * What becomes of one side, from its first byte to the last. A state leads to those in `next` and never back.
 *
 * | State       | Goes out                       | Left when                                                                     |
 * |-------------|--------------------------------|-------------------------------------------------------------------------------|
 * | `open`      | bytes, Pings                   | something ends the connection                                                 |
 * | `lingering` | bytes                          | the other side has ended, or the deadline has come                            |
 * | `closing`   | bytes, until a boundary        | our Close is with the kernel, both sides stand at theirs, or neither can be   |
 * | `awaiting`  | nothing; our Close is the last | the peer answers it or ends, or the deadline has come                         |
 * | `finishing` | nothing; what was queued       | our TCP end is with the kernel                                                |
 * | `finished`  | nothing                        | the peer has ended, or the deadline has come                                  |
 * | `gone`      | nothing                        | never: the socket is destroyed, by us or by the peer                          |
 *
 * What the peer did (`ended`, `hasClosed`) is independent of that, but for one thing: `finished` with `ended` is `gone`.
 */
export const SIDE_STATES = {
  open: { hasDeadline: false, next: ['lingering', 'closing', 'finishing', 'gone'] },
  lingering: { hasDeadline: true, next: ['finishing', 'gone'] },
  closing: { hasDeadline: false, next: ['awaiting', 'finishing', 'gone'] },
  awaiting: { hasDeadline: true, next: ['finishing', 'gone'] },
  finishing: { hasDeadline: false, next: ['finished', 'gone'] },
  finished: { hasDeadline: true, next: ['gone'] },
  gone: { hasDeadline: false, next: [] },
} as const satisfies Record<string, { hasDeadline: boolean; next: readonly string[] }>;
export type SideState = keyof typeof SIDE_STATES;

/** How long the proxy waits for a peer's Close or end before it goes on without, in ms. */
export const LINGER = 3000;

/** What the socket's owner has to do after writing what `out` holds. */
export type SocketAction = 'none' | 'end' | 'destroy' | 'reset';

export function jitter(random: RandomInt32): number {
  return ((random() >>> 0) / 2 ** 32) * MAX_JITTER;
}

/** One side of a tunnel: what goes out to it, what is known of it, and when it has to be looked at. */
export class TunnelSide {
  readonly name: Side;
  readonly keepalive: Keepalive;
  /** The direction that ends here: what it passes goes out to this side. */
  readonly outgoing: Direction;
  /** Bytes for this side. Shared by all tunnels: emptied after every call. */
  readonly out: ChunkList;
  /** What to report when what `out` holds is with the kernel: bits of `Flush`. */
  flush: number = Flush.nothing;
  #state: SideState = 'open';
  // What is seldom set is null, not Infinity: V8 gives each field that has begun with such a number 16 bytes of its own.
  /** When the state ends, in ms; null in those without a deadline. */
  #until: number | null = null;
  action: SocketAction = 'none';
  /** Pongs that went out unasked. */
  unsolicitedPongs = 0;
  /** The peer has ended its direction. */
  ended = false;
  /** The peer has sent a Close. */
  hasClosed = false;

  readonly #tags: PingTags;
  readonly #random: RandomInt32;
  /** The newest Ping that had to wait for a frame boundary. */
  #waiting: OutstandingPing | null = null;
  /** Until when it waits for the end of a message, in ms; null: it does not. */
  #patienceUntil: number | null = null;
  /** When an unsolicited Pong last went out in the place of a Ping, or was left out, in ms. */
  #pongedAt: number | null = null;

  constructor(
    name: Side,
    keepalive: Keepalive,
    outgoing: Direction,
    tags: PingTags,
    out: ChunkList,
    random: RandomInt32,
  ) {
    this.name = name;
    this.keepalive = keepalive;
    this.outgoing = outgoing;
    this.out = out;
    this.#tags = tags;
    this.#random = random;
  }

  /** A Ping of ours is not answered yet. */
  get awaitsPong(): boolean {
    return this.#tags.size > 0;
  }

  /** The oldest Ping of ours that is not answered yet. */
  get oldestPing(): AskedPing | null {
    return this.#tags.oldest;
  }

  get state(): SideState {
    return this.#state;
  }

  get until(): number {
    return this.#until ?? NEVER;
  }

  /** When this side has to be judged, in ms; `Infinity`: not for now. */
  judgementDue(): number {
    if (this.#state === 'gone') return NEVER;
    // A Pong can come only from a side that is open and has not ended; queued bytes can stall until the socket is gone.
    const canAnswer = this.#state === 'open' && !this.ended;
    return Math.min(this.until, canAnswer ? this.keepalive.judgementDue() : this.keepalive.stallDue());
  }

  /**
   * When a Ping is due; `Infinity`: not for now. While the peer owes as many Pongs as it may and goes on sending, none is: peers
   * queue their Pongs behind an upload, and some give up over a heap of them.
   */
  pingDue(): number {
    const due = this.keepalive.pingDue();
    return this.#tags.isFull ? Math.max(due, this.keepalive.heardAt + this.keepalive.settings.interval) : due;
  }

  /** When an unsolicited Pong is due in the place of a Ping that is not; `Infinity`: not for now. Towards an upstream none ever is. */
  pongDue(): number {
    if (this.name === 'upstream' || !this.#tags.isFull) return NEVER;
    const { heardAt, sentAt, settings } = this.keepalive;
    const quietSince = Math.max(sentAt, this.#pongedAt ?? sentAt);
    return quietSince < heardAt ? quietSince + settings.interval : NEVER;
  }

  /** When a Ping no longer waits for the end of a message; `Infinity`: none does. */
  patienceDue(): number {
    return this.#patienceUntil ?? NEVER;
  }

  /** Sends a Ping at the end of the message under way, unless one waits for that already. */
  ping(now: number): void {
    const { keepalive, outgoing } = this;
    if (!outgoing.isWaiting) {
      const ping = this.#nextPing(now);
      const frame = pingFrame(ping.high, ping.low, this.#maskKey());
      if (outgoing.inject(frame, false, Boundary.message, this.out)) this.#notePing(ping);
      else {
        this.#waiting = ping;
        this.#patienceUntil = now + keepalive.settings.interval * MESSAGE_PATIENCE;
      }
    }
    keepalive.pinged(jitter(this.#random), now);
  }

  /** The Ping that waits for the end of a message goes out at the end of a frame. */
  losePatience(now: number): void {
    this.#patienceUntil = null;
    if (this.outgoing.settleForFrame(this.out)) this.afterInjection(now);
  }

  /**
   * Sends an empty Pong that nobody asked for (RFC 6455 section 5.5.3), so that the way to the peer is not idle.
   *
   * @param mayBeMistaken the peer waits for the answer to a Ping of its own, and could take this for it: none is sent
   */
  pong(mayBeMistaken: boolean, now: number): void {
    this.#pongedAt = now;
    const { outgoing } = this;
    if (mayBeMistaken || outgoing.isWaiting || !outgoing.canInject) return;
    this.unsolicitedPongs++;
    outgoing.inject(controlFrame(OPCODE_PONG, NO_PAYLOAD, null), false, Boundary.frame, this.out);
  }

  /** Sends a Close of our own at the next such place. The caller has asked `outgoing.mayInject`. */
  sendClose(code: number, reason: string, place: Boundary, now: number): void {
    this.#enter('closing', now);
    if (this.outgoing.inject(closeFrame(code, reason, this.#maskKey()), true, place, this.out))
      this.flush |= Flush.ownClose;
  }

  /** The output ends at the end of the message under way; TCP does when `finish` is called. */
  stopAtBoundary(now: number): void {
    this.#enter('closing', now);
    this.outgoing.inject(END, true, Boundary.message, this.out);
  }

  /** The output has ended without a Close. */
  get hasStopped(): boolean {
    return this.outgoing.discarding && !this.outgoing.closed;
  }

  /** What waited for a boundary has reached it: a Ping or a Close is in `out`, or the output ends there. */
  afterInjection(now: number): void {
    if (this.#state === 'closing') {
      if (this.outgoing.closed) this.flush |= Flush.ownClose;
      return;
    }
    this.#patienceUntil = null;
    this.keepalive.waitedEnough();
    this.#notePing({ ...(this.#waiting as OutstandingPing), position: this.keepalive.position, sentAt: now });
    this.#waiting = null;
  }

  /** A Close of ours is with the kernel. A peer that has sent its own owes nothing more. */
  awaitAnswer(now: number): void {
    if (this.hasClosed) this.finish();
    else this.#enter('awaiting', now);
  }

  /** What is still on its way passes for a while, and then TCP ends. */
  linger(now: number): void {
    if (this.#state === 'open') this.#enter('lingering', now);
  }

  /** TCP ends behind what is queued. */
  finish(): void {
    if (this.#state === 'finishing' || this.#state === 'finished' || this.#state === 'gone') return;
    this.#leave('finishing', 'end');
  }

  /** Our TCP end is with the kernel. */
  finished(now: number): void {
    if (this.#state !== 'finishing') return;
    if (this.ended) this.destroy();
    else this.#enter('finished', now);
  }

  /** The timers were late: whatever is waited for gets its whole time again. */
  refresh(lost: number, now: number): void {
    this.keepalive.refresh(lost, now);
    if (this.#until !== null) this.#until = now + LINGER;
  }

  destroy(): void {
    this.#leave('gone', 'destroy');
  }

  reset(): void {
    this.#leave('gone', 'reset');
  }

  /** The socket is gone already. */
  lost(): void {
    this.#leave('gone', 'none');
  }

  #enter(state: SideState, now: number): void {
    this.#state = state;
    this.#patienceUntil = null;
    this.#until = SIDE_STATES[state].hasDeadline ? now + LINGER : null;
  }

  /** Nothing more goes out. */
  #leave(state: 'finishing' | 'gone', action: SocketAction): void {
    this.#enter(state, NEVER);
    this.action = action;
    this.outgoing.stop();
  }

  /** A Ping of ours is in `out`: from now on a Pong with its tag is ours. */
  #notePing(ping: OutstandingPing): void {
    this.#tags.add(ping);
    this.keepalive.sentPing(ping, ping.sentAt);
    this.flush |= Flush.ping;
  }

  /** With as many tags outstanding as there may be, the newest is sent again: if one were forgotten, its Pong would pass to the other side. */
  #nextPing(now: number): OutstandingPing {
    const { keepalive } = this;
    const { high, low } = this.#tags.toRepeat ?? { high: this.#random(), low: this.#random() };
    return { high, low, copies: 1, sentAt: now, position: keepalive.position, flushedAt: NEVER, excused: 0, drain: 0 };
  }

  /** Frames are masked towards the upstream, with a fresh key, and never towards the client (RFC 6455 section 5.1). */
  #maskKey(): number | null {
    return this.name === 'client' ? null : this.#random();
  }
}
