import type { Clock } from '../runtime/clock.ts';
import type { Connection } from './connection.ts';

/** How often ages are checked, in ms. */
const EVERY = 1000;
/** Connections that were opened together end over this share of their age, so that they do not come back together. */
const SPREAD = 0.1;
/** How long an end waits for the end of a message, in ms. */
const PATIENCE = 10_000;

export interface AgeLimitDeps {
  readonly clock: Clock;
  readonly connections: Iterable<Connection>;
  /** In ms; `Infinity`: no limit. Asked each time, so that a reload counts for open connections as well. */
  readonly ageOf: (route: string) => number;
}

/** Ends connections that have become too old (`limits.age`). */
export class AgeLimit {
  readonly #deps: AgeLimitDeps;
  /** Those that wait for the end of a message, and until when. */
  readonly #ending = new Map<Connection, number>();
  #disarm: () => void = () => {};

  constructor(deps: AgeLimitDeps) {
    this.#deps = deps;
  }

  /** @param isNeeded any route has a limit */
  apply(isNeeded: boolean): void {
    this.#disarm();
    if (isNeeded) this.#disarm = this.#deps.clock.after(EVERY, this.#look);
  }

  stop(): void {
    this.#disarm();
    this.#ending.clear();
  }

  readonly #look = (): void => {
    const { clock, connections, ageOf } = this.#deps;
    const now = clock.now();
    for (const connection of connections) {
      const age = ageOf(connection.info.route);
      const isDue = now - connection.openedAt >= age * (1 - SPREAD * fractionOf(connection.info.id));
      if (isDue && !this.#ending.has(connection)) {
        this.#ending.set(connection, now + PATIENCE);
        connection.expire();
      }
    }
    this.#finishLate(now);
    this.#disarm = clock.after(EVERY, this.#look);
  };

  #finishLate(now: number): void {
    const open = new Set(this.#deps.connections);
    for (const [connection, until] of this.#ending) {
      if (!open.has(connection)) this.#ending.delete(connection);
      else if (until <= now) connection.finish();
    }
  }
}

/** From 0 to 1, the same each time: ids are random, and begin with eight hexadecimal digits. */
function fractionOf(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16) / 2 ** 32;
}
