import { performance } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Clock, systemClock } from './io/clock.ts';

/** How often it looks, in ms: longer than the five seconds for which V8 remembers what was allocated. */
const EVERY = 6000;
/** Share of the time since the last look that a quiet process was busy, at most. */
const QUIET = 0.2;
/** Growth of the heap from which on looking after it is worth a pause, in bytes. */
const GROWTH = 8 * 1024 * 1024;
/** Room without objects that is no longer worth another pause, in bytes. */
const SLACK = 12 * 1024 * 1024;
/**
 * The first collection frees what is dead. A later one gives the room for young objects back, if it finds that next to nothing was
 * allocated since the one before; connections that are all kept open by Pings may need several tries.
 */
const MOST_COLLECTIONS = 5;

export interface IdleCollectorDeps {
  readonly clock: Pick<Clock, 'after'>;
  /** Share of the time since the last call that the process was busy, 0 to 1. */
  readonly busy: () => number;
  /** What the heap takes, and how much of that is without objects, in bytes. */
  readonly heap: () => { readonly total: number; readonly free: number };
  /** Collects all garbage; pauses the process for some ten ms. */
  readonly collect: () => void;
}

/**
 * Gives memory back in quiet moments. V8 collects when it allocates, so what a crowd has needed stays for long with a process that has
 * little to do afterwards: of 15 kB for a connection, 9 are garbage of its handshake and room for more of that.
 */
export class IdleCollector {
  readonly #deps: IdleCollectorDeps;
  /** What the heap took when it was last in order. */
  #floor: number;
  /** How many more may be tried. Starting has left some garbage behind. */
  #left = MOST_COLLECTIONS;
  #stop: () => void = () => {};

  constructor(deps: IdleCollectorDeps) {
    this.#deps = deps;
    this.#floor = deps.heap().total;
  }

  start(): void {
    this.#stop = this.#deps.clock.after(EVERY, () => {
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#stop();
  }

  #look(): void {
    const isQuiet = this.#deps.busy() <= QUIET;
    const { total } = this.#deps.heap();
    this.#floor = Math.min(this.#floor, total);
    if (!isQuiet) return;
    if (this.#left === 0 && total > this.#floor + GROWTH) this.#left = MOST_COLLECTIONS;
    if (this.#left === 0) return;
    this.#left--;
    this.#deps.collect();
    const after = this.#deps.heap();
    this.#floor = after.total;
    if (after.free <= SLACK) this.#left = 0;
  }
}

/** Looks after this process. @returns null where V8 does not lend its collector */
export function createIdleCollector(): IdleCollector | null {
  const collect = findCollector();
  if (collect === null) return null;
  let last = performance.eventLoopUtilization();
  return new IdleCollector({
    clock: systemClock,
    busy: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    heap: () => {
      const { total_heap_size: total, used_heap_size: used } = getHeapStatistics();
      return { total, free: total - used };
    },
    collect,
  });
}

/** The function that `--expose-gc` gives to every context made behind it. */
function findCollector(): (() => void) | null {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('typeof gc === "function" ? gc : null');
  setFlagsFromString('--no-expose-gc');
  return typeof found === 'function' ? () => void found() : null;
}
