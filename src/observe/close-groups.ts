/**
 * Groups ends that came within a second. Some kinds of end mean one thing alone and another together with others: these wait for a second and are
 * passed on with their group. All others are passed on at once.
 */
import type { CloseReport, ConnectionInfo } from '../core/events.ts';

const TOGETHER_MS = 1_000;
/** A group that still grows when its second is over waits on, for so long after each end and so long in all: a mass disconnect takes a while to read. */
const GROWING_MS = 250;
const LONGEST_MS = 3_000;
/** Groups fall due in steps, so that many share one look at the open connections. */
const STEP_MS = 100;
/** How long a group is remembered for ends that are reported late. */
const REMEMBERED_MS = 5_000;
/** More waiting reports than this are passed on early: a bound for memory, far above what one second brings. */
const MAX_WAITING = 20_000;

/** The monotonic clock and timers: milliseconds, and what takes the call back. */
export interface Timing {
  now(): number;
  after(ms: number, callback: () => void): () => void;
}

/** Ends that are judged together: abrupt ends and Closes 1001 of one front, ends of one route's upstream. */
export type GroupKind = 'front' | 'leaving' | 'upstream';

/** What an open connection shows of itself. */
export interface OpenConnection {
  readonly info: ConnectionInfo;
  readonly openedAt: number;
  /** Its end has begun. */
  readonly isClosing: boolean;
  /** How long no byte has passed on the client side. */
  wireIdleFor(now: number): number;
}

/** Ends of one kind within a second. */
export class CloseGroup {
  readonly kind: GroupKind;
  /** The front's address, or the route's name. */
  readonly of: string;
  readonly startedAt: number;
  readonly reports: CloseReport[] = [];
  together = 0;
  /** Whether they came from more than one client address. */
  severalClients = false;
  lastAt: number;
  until: number;
  /** An open connection shows that not all were ended: see `isWitness`. */
  someLeft = false;
  #youngest = 0;
  #client: string | null = null;

  constructor(kind: GroupKind, of: string, endedAt: number, now: number) {
    this.kind = kind;
    this.of = of;
    this.startedAt = endedAt;
    this.lastAt = endedAt;
    this.until = now + TOGETHER_MS;
  }

  add(report: CloseReport): void {
    this.together += 1;
    this.lastAt = Math.max(this.lastAt, report.endedAt);
    this.#youngest = Math.max(this.#youngest, report.endedAt - report.durationMs);
    if (this.#client === null) this.#client = report.client;
    else if (this.#client !== report.client) this.severalClients = true;
  }

  /**
   * Whether an open connection shows that not all were ended. A front that is reloaded keeps those that were opened after the reload, which may be
   * older than the end of the others; an upstream that is restarted keeps none.
   */
  isWitness({ openedAt }: OpenConnection): boolean {
    return openedAt < (this.kind === 'upstream' ? this.startedAt : this.#youngest);
  }
}

/** Takes groups whose time is over; their `reports` are to be judged. */
type Release = (groups: readonly CloseGroup[], now: number) => void;

export class CloseGroups {
  readonly #timing: Timing;
  readonly #release: Release;
  /** In the order in which they fall due, by kind and name. */
  readonly #waiting = new Map<string, CloseGroup>();
  readonly #past = new Map<string, CloseGroup>();
  #count = 0;
  #cancelTimer: (() => void) | null = null;

  constructor(timing: Timing, release: Release) {
    this.#timing = timing;
    this.#release = release;
  }

  /** How many groups are known, waiting or not. */
  get remembered(): number {
    return this.#waiting.size + this.#past.size;
  }

  /** Takes an end that waits for others. */
  take(kind: GroupKind, report: CloseReport): void {
    const now = this.#timing.now();
    const of = kind === 'upstream' ? report.route : report.front;
    const key = `${kind} ${of}`;
    const past = this.#past.get(key);
    if (past !== undefined && report.endedAt <= past.lastAt + GROWING_MS) {
      past.add(report);
      past.reports.push(report);
      this.#hand([past], now);
      return;
    }
    const group = this.#waiting.get(key) ?? new CloseGroup(kind, of, report.endedAt, now);
    this.#waiting.set(key, group);
    group.add(report);
    group.reports.push(report);
    this.#count += 1;
    if (this.#count > MAX_WAITING) this.#releaseWhile(() => this.#count > MAX_WAITING, now);
    this.#arm(now);
  }

  /** Passes on everything that waits, for a stop. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#releaseWhile(() => true, this.#timing.now());
    this.#past.clear();
  }

  readonly #onTimer = (): void => {
    this.#cancelTimer = null;
    // Timers may fire a little early by the monotonic clock.
    const now = Math.max(this.#timing.now(), this.#first()?.until ?? 0);
    this.#releaseWhile((group) => this.#isDue(group, now), now);
    for (const [key, group] of this.#past) if (group.until < now - REMEMBERED_MS) this.#past.delete(key);
    this.#arm(now);
  };

  /** A crowd that still grows waits on. */
  #isDue(group: CloseGroup, now: number): boolean {
    if (group.until > now) return false;
    const isGrowing = group.together > 2 && group.lastAt > now - GROWING_MS && now < group.startedAt + LONGEST_MS;
    if (isGrowing) group.until = now + GROWING_MS;
    return !isGrowing;
  }

  #first(): CloseGroup | undefined {
    for (const group of this.#waiting.values()) return group;
    return undefined;
  }

  #arm(now: number): void {
    const first = this.#first();
    if (first === undefined || this.#cancelTimer !== null) return;
    this.#cancelTimer = this.#timing.after(Math.max(STEP_MS, first.until - now), this.#onTimer);
  }

  #releaseWhile(isNext: (group: CloseGroup) => boolean, now: number): void {
    const due: CloseGroup[] = [];
    for (const [key, group] of this.#waiting) {
      if (!isNext(group)) break;
      this.#waiting.delete(key);
      this.#past.delete(key);
      this.#past.set(key, group);
      this.#count -= group.reports.length;
      due.push(group);
    }
    if (due.length > 0) this.#hand(due, now);
  }

  /** What was handed over is not kept. */
  #hand(groups: readonly CloseGroup[], now: number): void {
    this.#release(groups, now);
    for (const group of groups) group.reports.length = 0;
  }
}
