import type { Clock } from '../../src/runtime/clock.ts';

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is told to go on. */
export class FakeClock implements Clock {
  time = 0;
  /** By how much `now` lags behind the timers, in ms. */
  behind = 0;
  #timers: Timer[] = [];
  #polled: (() => void)[] = [];

  /** How many timers are armed. */
  get armed(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.time - this.behind;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.time + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  afterPoll(callback: () => void): void {
    this.#polled.push(callback);
  }

  /** Lets time pass, firing each timer at its time. `input` stands for what arrives between timers and judgement. */
  advance(ms: number, input: () => void = () => {}): void {
    const end = this.time + ms;
    for (;;) {
      const next = this.#timers.reduce<Timer | null>(
        (first, timer) => (first && first.at <= timer.at ? first : timer),
        null,
      );
      if (next === null || next.at > end) break;
      this.time = Math.max(this.time, next.at);
      this.#fire(next, input);
    }
    this.time = end;
  }

  /** The machine slept: time has passed, and timers fire only now. */
  sleep(ms: number, input: () => void = () => {}): void {
    this.time += ms;
    for (const timer of this.#timers.filter((due) => due.at <= this.time)) this.#fire(timer, input);
  }

  #fire(timer: Timer, input: () => void): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
    timer.callback();
    if (this.#polled.length > 0) input();
    for (const callback of this.#polled.splice(0)) callback();
  }
}
