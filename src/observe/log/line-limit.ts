/**
 * Keeps one client from filling the log: of warnings that say the same, some pass in each span of time and the rest is
 * counted. The count stands in the next line that passes, or in one of its own when none comes.
 */

/** So many lines of one kind pass in each span. */
const LINES = 20;
const SPAN_MS = 10_000;

interface Kind {
  readonly since: number;
  passed: number;
  leftOut: number;
}

export class LineLimit {
  readonly #now: () => number;
  readonly #kinds = new Map<string, Kind>();

  /** @param now ms on the monotonic clock */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * A line of this kind is to be written. Kinds come from a closed set of words, never from outside.
   *
   * @returns how many were left out before it; null: leave this one out as well
   */
  pass(kind: string): number | null {
    const now = this.#now();
    const known = this.#kinds.get(kind);
    if (known === undefined || now - known.since >= SPAN_MS) {
      this.#kinds.set(kind, { since: now, passed: 1, leftOut: 0 });
      return known?.leftOut ?? 0;
    }
    if (known.passed < LINES) {
      known.passed += 1;
      return 0;
    }
    known.leftOut += 1;
    return null;
  }

  /** Whether lines were left out that nobody was told of. */
  get owes(): boolean {
    return [...this.#kinds.values()].some(({ leftOut }) => leftOut > 0);
  }

  /** How many were left out of the kinds whose span is over; those are forgotten with this call. */
  takeLeftOut(): Record<string, number> {
    const now = this.#now();
    const over = [...this.#kinds].filter(([, { since }]) => now - since >= SPAN_MS);
    for (const [kind] of over) this.#kinds.delete(kind);
    return Object.fromEntries(
      over.map(([kind, { leftOut }]) => [kind, leftOut] as const).filter(([, count]) => count > 0),
    );
  }
}
