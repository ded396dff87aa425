import { type Deadlined, DeadlineHeap } from '../core/deadline-heap.ts';
import type { Clock } from '../runtime/clock.ts';

/** A timer that comes this late tells of a suspend or a blocked loop, in ms. */
const LATE = 1000;
/** The timer fires at least this often while anything is scheduled, so that lateness is noticed, in ms. */
const MAX_SLEEP = 1000;

/** What the scheduler looks after. */
export interface Scheduled extends Deadlined {
  /** A deadline has come. @returns whether `judge` has to be called once everything that had arrived was read */
  handleTimer(now: number): boolean;
  judge(now: number): void;
  /** The timer was late by `lost` ms, and deadlines that passed meanwhile blame nobody. */
  refresh(lost: number, now: number): void;
  nextDeadline(): number;
}

/**
 * One timer for all connections. Nobody is judged in the timer phase: Node runs expired timers before it reads what has already
 * arrived, so a passed deadline only marks the connection; it is judged after one poll phase.
 */
export class Scheduler {
  readonly #clock: Clock;
  readonly #onLate: (ms: number) => void;
  readonly #heap = new DeadlineHeap<Scheduled>();
  #suspects: Scheduled[] = [];
  #armedFor = Number.POSITIVE_INFINITY;
  #disarm: (() => void) | null = null;

  /** @param onLate the timer came so late, in ms */
  constructor(clock: Clock, onLate: (ms: number) => void = () => {}) {
    this.#clock = clock;
    this.#onLate = onLate;
  }

  /** How many are scheduled. */
  get size(): number {
    return this.#heap.size;
  }

  /** The item's next deadline may be earlier than it was. */
  update(item: Scheduled): void {
    const deadline = item.nextDeadline();
    if (deadline >= item.deadline) return;
    this.#heap.set(item, deadline);
    this.#arm();
  }

  remove(item: Scheduled): void {
    this.#heap.delete(item);
    if (this.#heap.size === 0) this.#stop();
  }

  #arm(): void {
    const { first } = this.#heap;
    if (first === undefined || first.deadline >= this.#armedFor) return;
    this.#stop();
    const now = this.#clock.now();
    const wait = Math.min(Math.max(first.deadline - now, 0), MAX_SLEEP);
    this.#armedFor = now + wait;
    this.#disarm = this.#clock.after(wait, this.#onTimer);
  }

  #stop(): void {
    this.#disarm?.();
    this.#disarm = null;
    this.#armedFor = Number.POSITIVE_INFINITY;
  }

  readonly #onTimer = (): void => {
    // Timers may fire up to a millisecond early by the monotonic clock.
    const now = Math.max(this.#clock.now(), this.#armedFor);
    const lost = now - this.#armedFor;
    this.#stop();
    if (lost > LATE) {
      this.#onLate(lost);
      this.#heap.forEach((item) => item.refresh(lost, now));
    }
    this.#handleDue(now);
    if (this.#suspects.length > 0) this.#clock.afterPoll(this.#onPolled);
    this.#arm();
  };

  #handleDue(now: number): void {
    for (let item = this.#heap.first; item !== undefined && item.deadline <= now; item = this.#heap.first) {
      if (item.handleTimer(now)) {
        this.#suspects.push(item);
        this.#heap.delete(item);
      } else {
        this.#heap.set(item, item.nextDeadline());
      }
    }
  }

  readonly #onPolled = (): void => {
    const suspects = this.#suspects;
    this.#suspects = [];
    const now = this.#clock.now();
    for (const item of suspects) {
      item.judge(now);
      this.update(item);
    }
  };
}
