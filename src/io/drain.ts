/** An orderly stop: what is open ends bit by bit, so that those who come back elsewhere do not all come at once. */
import type { ServerResponse } from 'node:http';
import type { Clock } from './clock.ts';

/** How often to look what is due, in ms. Thousands are visited a few at a time, not with a timer each. */
const TICK = 10;

/**
 * Visits the items evenly over so many ms, the first at once.
 *
 * @returns what stops it
 */
export function spreadOver<T>(items: readonly T[], ms: number, clock: Clock, visit: (item: T) => void): () => void {
  const startedAt = clock.now();
  const gap = ms / items.length;
  let next = 0;
  let stop: () => void = () => {};
  function visitDue(): void {
    const elapsed = clock.now() - startedAt;
    const due = elapsed >= ms ? items.length : Math.floor(elapsed / gap) + 1;
    for (const item of items.slice(next, due)) visit(item);
    next = due;
    if (next < items.length) stop = clock.after(TICK, visitDue);
  }
  if (items.length > 0) visitDue();
  return () => stop();
}

/** The plain HTTP responses under way. While draining, the connection of each ends with it. */
export class RunningResponses {
  /** Those under way, each in a slot, and the free slots. A Set would be rebuilt all the time, and what it leaves keeps old responses alive. */
  readonly #slots: (ServerResponse | null)[] = [];
  readonly #free: number[] = [];
  readonly #whenEmpty: (() => void)[] = [];
  #isDraining = false;

  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  add(res: ServerResponse): void {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = res;
    if (this.#isDraining) endWith(res);
    res.on('close', () => {
      this.#slots[slot] = null;
      this.#free.push(slot);
      if (this.size === 0) for (const callback of this.#whenEmpty.splice(0)) callback();
    });
  }

  drain(): void {
    this.#isDraining = true;
    for (const res of this.#slots) if (res !== null) endWith(res);
  }

  /** Resolves as soon as no response is under way. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }
}

function endWith(res: ServerResponse): void {
  // Node says so in a head that is still to be written, and ends the connection.
  res.shouldKeepAlive = false;
  if (!res.headersSent) return;
  const { socket } = res;
  res.once('close', () => socket?.destroySoon());
}
