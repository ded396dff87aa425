/** An orderly stop: connections end one after the other, so that their clients do not all reconnect at the same time. */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../runtime/clock.ts';

/** How often the items that are due are visited, in ms: one timer for all of them. */
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
  /** Each response has a slot. A Set is rebuilt as it changes, and the old tables keep responses alive that are over. */
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
  // Typed, not documented: Node puts `Connection: close` into a head that is still to be written, and ends the connection. Without it the
  // connection ends when it is next idle or cut.
  res.shouldKeepAlive = false;
  if (!res.headersSent) return;
  const { socket } = res;
  res.once('close', () => socket?.destroySoon());
}
