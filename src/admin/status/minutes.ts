/**
 * The last hour in figures, minute by minute: what the status page draws. Everybody who looks sees the same, however much
 * has happened: these are counts, not what is left of a list. Memory is fixed.
 */

/** Where on the way a connection ended. */
export type Hop = 'browser' | 'front' | 'proxy' | 'upstream';

const MINUTES = 60;
const MINUTE_MS = 60_000;
/** Marks remembered. */
const MAX_MARKS = 100;

/** Round trips are counted in classes that are a tenth apart, from a tenth of a millisecond to a minute. */
const GROWTH = 1.1;
const SMALLEST_MS = 0.1;
const CLASSES = 141;

/** Ends at one hop in one minute. */
interface HopCounts {
  all: number;
  /** Those that somebody should look at. */
  trouble: number;
}

/** One minute, as it is told. */
export interface Minute {
  /** Its beginning, in ms since 1970. */
  readonly at: number;
  /** Connections open at its end, or now. */
  readonly open: number;
  readonly opened: number;
  readonly ends: Readonly<Record<Hop, Readonly<HopCounts>>>;
  /** Upgrades that became no WebSocket, by where that was decided; without those whose client left. */
  readonly failed: Readonly<Record<Hop, number>>;
  /** Of the Pings that clients answered, in ms; null: none was. The median is exact to a tenth. */
  readonly rttMedian: number | null;
  readonly rttWorst: number | null;
}

export const MARKS = ['reloaded', 'reload failed', 'learned', 'upstream lost', 'upstream back'] as const;

/** Something that explains what the figures do. */
export interface Mark {
  /** Rises by one from mark to mark. */
  readonly seq: number;
  /** ms since 1970. */
  readonly at: number;
  readonly kind: (typeof MARKS)[number];
  readonly text: string;
}

class Counts {
  readonly at: number;
  open: number;
  opened = 0;
  readonly failed: Record<Hop, number> = { browser: 0, front: 0, proxy: 0, upstream: 0 };
  readonly ends: Record<Hop, HopCounts>;
  readonly #roundTrips = new Uint32Array(CLASSES);
  #answers = 0;
  #worst = 0;

  constructor(at: number, open: number) {
    this.at = at;
    this.open = open;
    const none = (): HopCounts => ({ all: 0, trouble: 0 });
    this.ends = { browser: none(), front: none(), proxy: none(), upstream: none() };
  }

  ponged(rttMs: number): void {
    const index = Math.round(Math.log(Math.max(rttMs, SMALLEST_MS) / SMALLEST_MS) / Math.log(GROWTH));
    const at = Math.min(CLASSES - 1, index);
    this.#roundTrips[at] = (this.#roundTrips[at] ?? 0) + 1;
    this.#answers += 1;
    this.#worst = Math.max(this.#worst, rttMs);
  }

  told(): Minute {
    const { at, open, opened, ends, failed } = this;
    const isKnown = this.#answers > 0;
    return {
      at,
      open,
      opened,
      ends,
      failed,
      rttMedian: isKnown ? Number(Math.min(this.#median(), this.#worst).toPrecision(2)) : null,
      rttWorst: isKnown ? Number(this.#worst.toFixed(1)) : null,
    };
  }

  #median(): number {
    let seen = 0;
    const index = this.#roundTrips.findIndex((count) => (seen += count) * 2 >= this.#answers);
    return SMALLEST_MS * GROWTH ** index;
  }
}

export class Minutes {
  readonly #wallClock: () => number;
  /** Oldest first, without gaps; the last one is the present minute. */
  readonly #minutes: Counts[] = [];
  readonly #marks: Mark[] = [];
  #seq = 0;

  /** @param wallClock ms since 1970 */
  constructor(wallClock: () => number) {
    this.#wallClock = wallClock;
  }

  opened(): void {
    const minute = this.#now();
    minute.opened += 1;
    minute.open += 1;
  }

  closed(): void {
    this.#now().open -= 1;
  }

  ended(hop: Hop, isTrouble: boolean): void {
    const counts = this.#now().ends[hop];
    counts.all += 1;
    if (isTrouble) counts.trouble += 1;
  }

  failed(hop: Hop): void {
    this.#now().failed[hop] += 1;
  }

  ponged(rttMs: number): void {
    this.#now().ponged(rttMs);
  }

  mark(kind: Mark['kind'], text: string): void {
    this.#seq += 1;
    this.#marks.push({ seq: this.#seq, at: Math.round(this.#wallClock()), kind, text });
    if (this.#marks.length > MAX_MARKS) this.#marks.shift();
  }

  /** The last hour, oldest first, the present minute last. @param from leaves out those before this time */
  since(from = 0): Minute[] {
    this.#now();
    return this.#minutes.filter(({ at }) => at >= from).map((counts) => counts.told());
  }

  /** Those of the last hour behind the one with this number, oldest first. */
  marksSince(seq: number): Mark[] {
    const oldest = this.#wallClock() - MINUTES * MINUTE_MS;
    return this.#marks.filter((mark) => mark.seq > seq && mark.at >= oldest);
  }

  #now(): Counts {
    const at = Math.floor(this.#wallClock() / MINUTE_MS) * MINUTE_MS;
    const last = this.#minutes.at(-1);
    // A clock that was set back goes on in the minute that it came from.
    if (last !== undefined && last.at >= at) return last;
    const open = last?.open ?? 0;
    const oldest = at - (MINUTES - 1) * MINUTE_MS;
    for (let next = Math.max(oldest, last === undefined ? at : last.at + MINUTE_MS); next <= at; next += MINUTE_MS) {
      this.#minutes.push(new Counts(next, open));
    }
    while ((this.#minutes[0]?.at ?? oldest) < oldest) this.#minutes.shift();
    return this.#minutes.at(-1) as Counts;
  }
}
