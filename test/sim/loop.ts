import type { Clock } from '../../src/runtime/clock.ts';
import { EventQueue } from './event-queue.ts';
import type { Random } from './random.ts';

/** Lateness from which on the proxy may give everybody a fresh window, in ms. */
const LATE = 990;
/** Rounds of the proxy's loop at one moment after which it is said to run in a circle. */
const MAX_ROUNDS = 10_000;

/** Something of the proxy's that the kernel may have news for. */
export interface Pollable {
  poll(): void;
}

/**
 * Virtual time, the world outside, and the proxy's event loop in Node's order: expired timers, then input, then immediates,
 * then `close` events, with the next-tick queue emptied after each callback. The world goes on while the loop is blocked.
 */
export class Loop implements Clock {
  time = 0;
  /** How many things have happened, and how often the proxy's loop went round. */
  events = 0;
  rounds = 0;
  /** Until when the loop was last blocked for long enough to be noticed. */
  lateEnd = Number.NEGATIVE_INFINITY;
  /** Until when the machine sleeps: what is sent to it arrives some time later. */
  suspendedUntil = Number.NEGATIVE_INFINITY;

  readonly #random: Random;
  readonly #world = new EventQueue();
  readonly #timers = new EventQueue();
  #ticks: (() => void)[] = [];
  #polled: (() => void)[] = [];
  #closing: (() => void)[] = [];
  #ready = new Set<Pollable>();
  #isStopped = false;
  #blockedSince = 0;
  #blockedUntil = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  now(): number {
    return this.time;
  }

  /** As Node's timers: up to a millisecond early by the monotonic clock, more often late. */
  after(ms: number, callback: () => void): () => void {
    return this.#timers.add(this.time + Math.max(ms + this.#random.between(-1, 3), 0), callback);
  }

  afterPoll(callback: () => void): void {
    this.#polled.push(callback);
  }

  /** `process.nextTick` */
  nextTick(callback: () => void): void {
    this.#ticks.push(callback);
  }

  /** Calls back in the phase for `close` events. */
  whenClosing(callback: () => void): void {
    this.#closing.push(callback);
  }

  /** The kernel has news for it. */
  wake(pollable: Pollable): void {
    this.#ready.add(pollable);
  }

  /** Plans something in the world outside. @returns what takes it back */
  plan(ms: number, run: () => void): () => void {
    return this.#world.add(this.time + ms, run);
  }

  /** The proxy's loop stands still from now on. */
  block(ms: number): void {
    if (this.#blockedUntil <= this.time) this.#blockedSince = this.time;
    this.#blockedUntil = Math.max(this.#blockedUntil, this.time + ms);
    if (this.#blockedUntil - this.#blockedSince > LATE) this.lateEnd = this.#blockedUntil;
  }

  /** The whole machine stands still, its network too. */
  suspend(ms: number): void {
    this.block(ms);
    this.suspendedUntil = this.#blockedUntil;
  }

  /** How many timers of the proxy are armed. */
  get armed(): number {
    return this.#timers.size;
  }

  /** Has the proxy do something of its own accord, as soon as its loop goes round: a signal, a new connection. */
  enter(callback: () => void): void {
    this.#timers.add(this.time, callback);
  }

  /** Lets no more time pass. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Lets time pass. */
  run(until: number): void {
    while (!this.#isStopped) {
      const isBusy = this.#ready.size + this.#polled.length + this.#closing.length > 0;
      const own = Math.max(this.#blockedUntil, isBusy ? this.time : this.#timers.next);
      const next = Math.min(own, this.#world.next);
      if (next > until) break;
      this.time = Math.max(this.time, next);
      while (this.#world.next <= this.time) this.#happen();
      if (this.#blockedUntil <= this.time) this.#settle();
    }
    this.time = until;
  }

  #happen(): void {
    this.events++;
    this.#world.take()();
  }

  /** The loop goes round until nothing is left to do at this moment. */
  #settle(): void {
    for (let round = 0; this.#hasWork(); round++) {
      if (round > MAX_ROUNDS) throw new Error(`the event loop runs in a circle at ${this.time}`);
      this.#goRound();
    }
  }

  #hasWork(): boolean {
    return this.#timers.next <= this.time || this.#ready.size + this.#polled.length + this.#closing.length > 0;
  }

  #goRound(): void {
    this.rounds++;
    while (this.#timers.next <= this.time) this.#call(this.#timers.take());
    const ready = [...this.#ready];
    this.#ready.clear();
    // The kernel names them in any order.
    if (ready.length > 1 && this.#random.chance(0.5)) ready.reverse();
    for (const pollable of ready) this.#call(() => pollable.poll());
    for (const callback of this.#polled.splice(0)) this.#call(callback);
    for (const callback of this.#closing.splice(0)) this.#call(callback);
  }

  #call(callback: () => void): void {
    this.events++;
    callback();
    for (let i = 0; i < this.#ticks.length; i++) (this.#ticks[i] as () => void)();
    if (this.#ticks.length > 0) this.#ticks = [];
  }
}
