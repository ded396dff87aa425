/**
 * The interval that learns: something on the way (the proxy in front, a load balancer, a NAT) cuts connections after
 * T of silence, nobody told us T, and the configured ping interval is longer. Learn T from the connections it cut.
 * It learns only downwards, for each route and front address alone, and forgets again.
 *
 * Evidence is an abrupt end (FIN, no Close frame) of the client side after at least a second of silence. A reset is
 * none (our own Ping into a dead connection provokes one), nor is anything with a Close frame or a dead peer.
 * Ends of one route and front within a second are one piece of evidence when their ages agree (many clients heard
 * the same broadcast last), and none when they differ (the front was reloaded).
 *
 * T is set when at least three pieces agree within max(250 ms, 3 %), no connection survived a longer silence since the
 * first of them, **and** they outnumber the pieces that disagree by three. Why the last: crashed browsers end
 * connections at random ages, and among random ages three that agree turn up soon. Simulated with ages uniform over
 * 1 to 25 s, 2,000 runs of 2,000 ends each: a plain "any three agree" finds a limit that is not there in every run,
 * after 19 ends in the median. Demanding that nothing outlived them helps little, since ever more ages gather just
 * below the longest: still every run, after 50 ends. Random ages cannot outnumber their own disagreement once a few
 * are in, so what remains is a run whose very first three agree, 1 in 1,000, at the price of some needless Pings.
 *
 * Pure: `now` is an argument, in milliseconds of a monotonic clock, and so are all durations.
 */
import type { CloseReport } from './report.ts';

/** Ends closer together than this are judged as one event. */
const TOGETHER_MS = 1_000;
/** Silences shorter than this tell nothing about idle limits. */
const SHORTEST_AGE_MS = 1_000;
const SHORTEST_INTERVAL_MS = 1_000;
const AGREEING_PIECES = 3;
const DAY_MS = 86_400_000;
/** Evidence older than this is dropped. */
const WINDOW_MS = DAY_MS;
/** After each of these without fresh evidence the interval grows by half. */
const FORGET_STEP_MS = 3 * DAY_MS;
const FORGET_STEPS = 10;
const MAX_PIECES = 32;
const MAX_SURVIVED = 16;
/** Bounds memory: routes times front addresses that are remembered at once. */
const MAX_FRONTS = 1_024;

/** How a connection ended, as far as it matters here. */
export type EndFacts = Pick<CloseReport, 'route' | 'front' | 'side' | 'cause' | 'reset' | 'idleMs'>;

/** A silence that a connection lived through: traffic passed again after it, or it still lasts. */
export interface SurvivedGap {
  readonly route: string;
  readonly front: string;
  readonly gapMs: number;
}

/** What was learned about one front, with the reasoning. */
export interface Lesson {
  readonly route: string;
  readonly front: string;
  /** T: the silence after which the front cuts. */
  readonly cutAfterMs: number;
  /** Half of T, at least a second; grown again by what was forgotten since. */
  readonly intervalMs: number;
  /** The idle ages that agreed, oldest first. */
  readonly agesMs: readonly number[];
}

interface Piece {
  readonly ageMs: number;
  readonly at: number;
}

/** Ends that came within a second of the first. */
interface Group {
  readonly route: string;
  readonly front: string;
  readonly startedAt: number;
  readonly ageMs: number;
  agree: boolean;
}

/** Evidence about one route and front. */
interface Evidence {
  pieces: Piece[];
  /** Longest silences survived: lengths fall, times rise, so the first one after any moment is the longest since. */
  survived: Piece[];
}

interface Learned {
  readonly route: string;
  readonly front: string;
  readonly cutAfterMs: number;
  readonly agesMs: readonly number[];
  /** When evidence for it was last seen. */
  since: number;
}

/** Whether two idle ages are the same idle limit: within 250 ms or 3 % of the longer. */
export function agesAgree(one: number, other: number): boolean {
  return Math.abs(one - other) <= Math.max(250, 0.03 * Math.max(one, other));
}

export class AdaptiveInterval {
  readonly #evidence = new Map<string, Evidence>();
  readonly #learned = new Map<string, Learned>();
  /** Ends that may turn out to be a burst, by key, oldest first. */
  readonly #groups = new Map<string, Group>();
  /** Learned, but not yet told by {@link settle}. */
  #fresh: Lesson[] = [];

  /** Takes note of an end, of whatever kind. It is judged by {@link settle} once a second has passed. */
  observeEnd(end: EndFacts, now: number): void {
    if (end.cause !== 'abrupt_end' || end.side !== 'client' || end.reset || !(end.idleMs >= SHORTEST_AGE_MS)) return;
    const key = keyOf(end);
    const group = this.#groups.get(key);
    if (group !== undefined && now < group.startedAt + TOGETHER_MS) {
      group.agree &&= agesAgree(group.ageMs, end.idleMs);
      return;
    }
    if (group !== undefined) this.#conclude(key, group);
    if (this.#groups.size >= MAX_FRONTS) return;
    const { route, front, idleMs: ageMs } = end;
    this.#groups.set(key, { route, front, startedAt: now, ageMs, agree: true });
  }

  /**
   * Takes note of a silence on the client side that was no reason to cut: traffic passed again after it, or it still
   * lasts. Only silences of a second and more matter; telling it while nothing is suspected costs a look-up.
   */
  observeSurvivedGap(gap: SurvivedGap, now: number): void {
    if (!(gap.gapMs >= SHORTEST_AGE_MS)) return;
    const key = keyOf(gap);
    const group = this.#groups.get(key);
    const evidence = group === undefined ? this.#evidence.get(key) : this.#touch(key);
    if (evidence !== undefined) noteSurvived(evidence, { ageMs: gap.gapMs, at: now });
  }

  /** Judges the ends that are a second old. Returns what was learned since the last call, for the log. */
  settle(now: number): readonly Lesson[] {
    for (const [key, group] of this.#groups) {
      if (now < group.startedAt + TOGETHER_MS) break;
      this.#conclude(key, group);
    }
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  /** When {@link settle} has something to judge next; `Infinity` when nothing waits. */
  nextDeadline(): number {
    for (const group of this.#groups.values()) return group.startedAt + TOGETHER_MS;
    return Infinity;
  }

  /**
   * The ping interval in force: half of the learned limit, at least a second, never above the configured one.
   * Pings that are switched off (`Infinity`) stay off.
   */
  intervalFor(route: string, front: string, configured: number, now: number): number {
    const learned = this.#current(keyOf({ route, front }), now);
    return learned === null || configured === Infinity ? configured : Math.min(configured, intervalOf(learned, now));
  }

  /** The learned limit of a front, in milliseconds, or null. */
  cutAfter(route: string, front: string, now: number): number | null {
    return this.#current(keyOf({ route, front }), now)?.cutAfterMs ?? null;
  }

  /** How many earlier ends of this route and front had this idle age. */
  agreeing(route: string, front: string, idleMs: number): number {
    const pieces = this.#evidence.get(keyOf({ route, front }))?.pieces ?? [];
    return pieces.filter((piece) => agesAgree(piece.ageMs, idleMs)).length;
  }

  /** Everything that is in force, for the status page and the metrics. */
  learned(now: number): Lesson[] {
    const keys = [...this.#learned.keys()];
    return keys.flatMap((key) => this.#current(key, now) ?? []).map((learned) => lessonOf(learned, now));
  }

  /** A group has had its second: it is a burst, one piece of evidence, or the confirmation of a known limit. */
  #conclude(key: string, group: Group): void {
    this.#groups.delete(key);
    if (!group.agree) return;
    const piece = { ageMs: group.ageMs, at: group.startedAt };
    const known = this.#current(key, piece.at);
    if (known !== null && agesAgree(known.cutAfterMs, piece.ageMs)) {
      known.since = piece.at;
      return;
    }
    const evidence = this.#touch(key);
    evidence.pieces = [...evidence.pieces.filter(({ at }) => at > piece.at - WINDOW_MS), piece].slice(-MAX_PIECES);
    noteSurvived(evidence, piece);
    const agesMs = agreementOn(piece, evidence);
    if (agesMs !== null) this.#learn(key, group, agesMs, piece.at);
  }

  #learn(key: string, group: Group, agesMs: readonly number[], now: number): void {
    this.#evidence.delete(key);
    const cutAfterMs = Math.min(...agesMs);
    const known = this.#current(key, now);
    if (known !== null && known.cutAfterMs <= cutAfterMs) return;
    // A full table learns nothing new: a flood of addresses must not push out what real fronts taught.
    if (known === null && this.#learned.size >= MAX_FRONTS && this.learned(now).length >= MAX_FRONTS) return;
    const learned = { route: group.route, front: group.front, cutAfterMs, agesMs, since: now };
    this.#learned.set(key, learned);
    this.#fresh.push(lessonOf(learned, now));
  }

  /** What is known and not yet forgotten. */
  #current(key: string, now: number): Learned | null {
    const learned = this.#learned.get(key);
    if (learned === undefined) return null;
    if (stepsForgotten(learned, now) < FORGET_STEPS) return learned;
    this.#learned.delete(key);
    return null;
  }

  /** The evidence of a front, now the most recently used; the least recently used one makes room. */
  #touch(key: string): Evidence {
    const evidence = this.#evidence.get(key) ?? { pieces: [], survived: [] };
    this.#evidence.delete(key);
    this.#evidence.set(key, evidence);
    for (const oldest of this.#evidence.keys()) {
      if (this.#evidence.size <= MAX_FRONTS) break;
      this.#evidence.delete(oldest);
    }
    return evidence;
  }
}

/** The ages that agree with the newest piece if they prove a limit, oldest first; else null. */
function agreementOn(newest: Piece, evidence: Evidence): readonly number[] | null {
  const { pieces, survived } = evidence;
  const candidates = pieces.map((low) => runFrom(low, pieces)).filter((run) => run.includes(newest));
  const agreeing = candidates.reduce((best, run) => (run.length > best.length ? run : best));
  const disagreeing = pieces.length - agreeing.length;
  if (agreeing.length < AGREEING_PIECES + disagreeing) return null;
  const firstAt = Math.min(...agreeing.map(({ at }) => at));
  const limit = Math.min(...agreeing.map(({ ageMs }) => ageMs));
  const outlived = survived.find(({ at }) => at >= firstAt);
  if (outlived !== undefined && outlived.ageMs > limit && !agesAgree(outlived.ageMs, limit)) return null;
  return agreeing.map(({ ageMs }) => ageMs);
}

/** The pieces that agree with `low` and are not below it, so that all of them agree with each other. */
function runFrom(low: Piece, pieces: readonly Piece[]): Piece[] {
  return pieces.filter(({ ageMs }) => ageMs >= low.ageMs && agesAgree(ageMs, low.ageMs));
}

function noteSurvived(evidence: Evidence, gap: Piece): void {
  const { survived } = evidence;
  while ((survived.at(-1)?.ageMs ?? Infinity) <= gap.ageMs) survived.pop();
  survived.push(gap);
  if (survived.length <= MAX_SURVIVED) return;
  // Too many: the longest is taken for as recent as the next one, which at worst delays learning.
  const longest = Math.max(...survived.map(({ ageMs }) => ageMs));
  evidence.survived = survived.slice(1).map((next, index) => (index === 0 ? { ageMs: longest, at: next.at } : next));
}

function stepsForgotten(learned: Learned, now: number): number {
  return Math.max(0, Math.floor((now - learned.since) / FORGET_STEP_MS));
}

function intervalOf(learned: Learned, now: number): number {
  return Math.max(SHORTEST_INTERVAL_MS, learned.cutAfterMs / 2) * 1.5 ** stepsForgotten(learned, now);
}

function lessonOf(learned: Learned, now: number): Lesson {
  const { route, front, cutAfterMs, agesMs } = learned;
  return { route, front, cutAfterMs, intervalMs: intervalOf(learned, now), agesMs };
}

/** Names of routes hold no spaces. */
function keyOf(of: { readonly route: string; readonly front: string }): string {
  return `${of.route} ${of.front}`;
}
