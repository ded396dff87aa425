/** An orderly stop: connections end one after the other, so that their clients do not all reconnect at the same time. */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../runtime/clock.ts';
import { Slots } from '../runtime/slots.ts';

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
  readonly #running = new Slots<ServerResponse>();
  readonly #whenEmpty: (() => void)[] = [];
  #isDraining = false;

  get size(): number {
    return this.#running.size;
  }

  add(res: ServerResponse): void {
    const slot = this.#running.add(res);
    if (this.#isDraining) endWith(res);
    res.on('close', () => {
      this.#running.remove(slot);
      if (this.size === 0) for (const callback of this.#whenEmpty.splice(0)) callback();
    });
  }

  drain(): void {
    this.#isDraining = true;
    for (const res of this.#running) endWith(res);
  }

  /** Resolves as soon as no response is under way. */
  empty(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }
}

function endWith(res: ServerResponse): void {
  // Typed, not documented: Node puts `Connection: close` into a head that is still to be written. Without it the end comes unannounced.
  res.shouldKeepAlive = false;
  const { socket } = res;
  res.once('close', () => socket?.destroySoon());
}
