import type * as inspector from 'node:inspector/promises';
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { type Clock, systemClock } from './clock.ts';

/** How often it looks, in ms: those who come back after a reload of their front come within seconds. */
const EVERY = 500;
/** Share of the time since the last look that a quiet process was busy, at most. */
const QUIET = 0.2;
/** Growth of the heap from which on looking after it is worth a pause, in bytes. */
const GROWTH = 8 * 1024 * 1024;
/** So many connections have come or gone: a crowd. */
const CROWD = 512;

export interface IdleCollectorDeps {
  readonly clock: Pick<Clock, 'after'>;
  /** Share of the time since the last call that the process was busy, 0 to 1. */
  readonly busy: () => number;
  /** How many connections have come since the process has started, and how many ends were dealt with. */
  readonly changes: () => number;
  /** What the heap takes, used or not, in bytes. */
  readonly heapBytes: () => number;
  /** Collects all garbage and gives the room back, which pauses the process for some ten ms. */
  readonly collect: () => Promise<void>;
}

/**
 * Gives memory back in quiet moments. V8 collects when it allocates, so what a crowd has needed stays for long with a process that has
 * little to do afterwards: of 15 kB for a connection, more than half are garbage of its handshake and room for more of that
 * (docs/benchmarks.md, "What mattered").
 *
 * Only after a crowd, and once at the start: a collection makes V8 begin anew with little room for young objects, and plain requests that
 * come in bursts would be a third slower for ever.
 */
export class IdleCollector {
  readonly #deps: IdleCollectorDeps;
  /** What the heap took when it was last in order. Starting has left some garbage behind. */
  #floor = 0;
  /** `changes` at that time. */
  #changes = -CROWD;
  #disarm: () => void = () => {};

  constructor(deps: IdleCollectorDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#disarm = this.#deps.clock.after(EVERY, () => {
      this.start();
      // What has failed would fail again, and is no reason to stop for anything else.
      this.#look().catch(() => this.stop());
    });
  }

  stop(): void {
    this.#disarm();
  }

  async #look(): Promise<void> {
    const isQuiet = this.#deps.busy() <= QUIET;
    const changes = this.#deps.changes();
    if (!isQuiet || changes - this.#changes < CROWD) return;
    const bytes = this.#deps.heapBytes();
    this.#floor = Math.min(this.#floor, bytes);
    if (bytes <= this.#floor + GROWTH) return;
    this.#changes = changes;
    await this.#deps.collect();
    this.#floor = this.#deps.heapBytes();
  }
}

/** Looks after this process. @param changes see IdleCollectorDeps @returns null in a Node that was built without its inspector, which alone can ask V8 for room */
export async function createIdleCollector(changes: () => number): Promise<IdleCollector | null> {
  const collect = await findCollector();
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
    changes,
    heapBytes,
    collect,
  });
}

function heapBytes(): number {
  return getHeapStatistics().total_heap_size;
}

/** What collects all garbage of this process and gives the room back; null where Node was built without its inspector. */
export async function findCollector(
  load: () => Promise<Pick<typeof inspector, 'Session'>> = () => import('node:inspector/promises'),
): Promise<(() => Promise<void>) | null> {
  try {
    const { Session } = await load();
    return async function collect() {
      const session = new Session();
      session.connect();
      try {
        await session.post('HeapProfiler.collectGarbage');
      } finally {
        session.disconnect();
      }
    };
  } catch {
    return null;
  }
}
