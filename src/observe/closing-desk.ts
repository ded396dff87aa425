/**
 * Where closing lines wait for the company they came in. An abrupt end of the client side means one thing when it is
 * alone and another when many come within a second, so such an end waits for a second; all others are passed on at once.
 */
import { agesAgree } from '../core/adaptive.ts';
import type { CloseReport } from '../core/report.ts';

const TOGETHER_MS = 1_000;
/** How long an end is remembered: reports may come this much later than the ends they are about. */
const REMEMBERED_MS = 5_000;
/** More waiting reports than this are passed on early: a bound for memory, far above what one second brings. */
const MAX_WAITING = 20_000;

/** So many tell whether it was a burst and whether the ages differ: a reload ends thousands at once, and each asks about the others. */
const ENOUGH = 100;

/** The monotonic clock and timers: milliseconds, and what takes the call back. */
export interface Timing {
  now(): number;
  after(ms: number, callback: () => void): () => void;
}

/** The abrupt ends of the same front within a second of one of them, that one included; a hundred at most are looked at. */
export interface Company {
  readonly together: number;
  /** Whether they had the same idle age. */
  readonly sameAge: boolean;
}

/** Takes a report on, at this time: `until` for one that waited, or later. */
type Release = (report: CloseReport, company: Company, now: number) => void;

interface Waiting {
  readonly report: CloseReport;
  readonly until: number;
}

interface RecentEnd {
  readonly endedAt: number;
  readonly idleMs: number;
}

export class ClosingDesk {
  readonly #timing: Timing;
  readonly #release: Release;
  /** Oldest first. */
  readonly #waiting: Waiting[] = [];
  readonly #recent = new Map<string, RecentEnd[]>();
  #cancelTimer: (() => void) | null = null;

  constructor(timing: Timing, release: Release) {
    this.#timing = timing;
    this.#release = release;
  }

  /** How many ends are remembered, waiting or not. */
  get remembered(): number {
    return [...this.#recent.values()].reduce((sum, ends) => sum + ends.length, 0);
  }

  take(report: CloseReport): void {
    if (report.cause !== 'abrupt_end' || report.side !== 'client') {
      this.#release(report, { together: 1, sameAge: true }, this.#timing.now());
      return;
    }
    const ends = this.#recent.get(report.front) ?? [];
    ends.push({ endedAt: report.endedAt, idleMs: report.idleMs });
    this.#recent.set(report.front, ends);
    this.#waiting.push({ report, until: this.#timing.now() + TOGETHER_MS });
    if (this.#waiting.length > MAX_WAITING) this.#passOn(1, this.#timing.now());
    this.#arm();
  }

  /** Passes on everything that waits, for a stop. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#passOn(this.#waiting.length, this.#timing.now());
    this.#recent.clear();
  }

  readonly #onTimer = (): void => {
    this.#cancelTimer = null;
    // Timers may fire a little early by the monotonic clock.
    const now = Math.max(this.#timing.now(), this.#waiting[0]?.until ?? 0);
    const notDue = this.#waiting.findIndex(({ until }) => until > now);
    this.#passOn(notDue < 0 ? this.#waiting.length : notDue, now);
    this.#forget(now);
    this.#arm();
  };

  #arm(): void {
    const [first] = this.#waiting;
    if (first === undefined || this.#cancelTimer !== null) return;
    this.#cancelTimer = this.#timing.after(Math.max(0, first.until - this.#timing.now()), this.#onTimer);
  }

  /** Passes on the oldest so many. */
  #passOn(count: number, now: number): void {
    for (const { report } of this.#waiting.splice(0, count)) this.#release(report, this.#companyOf(report), now);
  }

  #companyOf(report: CloseReport): Company {
    let together = 0;
    let sameAge = true;
    for (const end of this.#recent.get(report.front) ?? []) {
      if (Math.abs(end.endedAt - report.endedAt) > TOGETHER_MS) continue;
      together += 1;
      sameAge &&= agesAgree(end.idleMs, report.idleMs);
      if (together === ENOUGH) break;
    }
    return { together, sameAge };
  }

  #forget(now: number): void {
    for (const [front, ends] of this.#recent) {
      const kept = ends.filter(({ endedAt }) => endedAt > now - REMEMBERED_MS);
      if (kept.length === 0) this.#recent.delete(front);
      else this.#recent.set(front, kept);
    }
  }
}
