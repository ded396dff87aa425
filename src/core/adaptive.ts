/**
 * The interval that learns: something on the way (the proxy in front, a load balancer, a NAT) cuts connections after
 * T of silence, nobody told us T, and the configured ping interval is longer. Learn T from the connections it cut.
 * It learns only downwards, for each route and front address alone, and forgets again.
 *
 * Evidence is an end of the client side without a Close frame after at least a second in which no byte passed: a FIN, or a
 * reset while no Ping of ours was unanswered (a Ping into a dead connection provokes one). Ends of one route and front within
 * a second are one piece of evidence when their ages agree (many clients heard the same broadcast last), and none when they
 * differ (the front was reloaded); the caller groups them.
 *
 * T is found when at least three observations agree within max(250 ms, 3 %), no connection outlived a longer silence since the
 * first of them, **and** they outnumber the observations that disagree by three. Why the last: crashed browsers end
 * connections at random ages, and among random ages three that agree turn up soon. Simulated with ages uniform over
 * 1 to 25 s, 2,000 runs of 2,000 ends each: a plain "any three agree" finds a limit that is not there in every run,
 * after 19 ends in the median. Demanding that nothing outlived them helps little, since ever more ages gather just
 * below the longest: still every run, after 50 ends. Random ages cannot outnumber their own disagreement once a few
 * are in, so what remains is a run whose very first three agree, 1 in 1,000, at the price of some needless Pings.
 *
 * A limit below 10 s is told in verdicts but not learned: real ones are longer, and strangers who come and go could set
 * everybody's interval with it. So the shortest learned interval is 5 s.
 *
 * Pure: `now` is an argument, in milliseconds of a monotonic clock, and so are all durations.
 */

/** Silences shorter than this tell nothing about idle limits. */
const SHORTEST_AGE_MS = 1_000;
/** A shorter limit is not learned. */
const SHORTEST_LIMIT_MS = 10_000;
const AGREEING_PIECES = 3;
const DAY_MS = 86_400_000;
/** Evidence older than this is dropped. */
const WINDOW_MS = DAY_MS;
/** After each of these without fresh evidence the interval grows by half. */
const FORGET_STEP_MS = 3 * DAY_MS;
const FORGET_STEPS = 10;
const MAX_OBSERVATIONS = 32;
const MAX_SURVIVED = 16;
/** Bounds memory: routes times front addresses that are remembered at once. */
const MAX_FRONTS = 1_024;

/** What is learned holds for one route and one address of a front. */
export interface LearnedOf {
  readonly route: string;
  readonly front: string;
}

/** A silence that a connection lived through: traffic passed again after it, or it still lasts. */
export interface SurvivedGap extends LearnedOf {
  readonly gapMs: number;
}

/** What was learned about one front, with the reasoning. */
export interface Lesson extends LearnedOf {
  /** T: the silence after which the front cuts. */
  readonly cutAfterMs: number;
  /** Half of T; grown again by what was forgotten since. */
  readonly intervalMs: number;
  /** The idle ages that agreed, oldest first. */
  readonly agesMs: readonly number[];
}

/** What is known about an idle limit of a certain length. */
export interface IdleEvidence {
  /** It was learned. */
  readonly isLearned: boolean;
  /** Pieces of evidence for it, and for others. */
  readonly agreeing: number;
  readonly others: number;
  /** A connection lived through a longer silence since the first of those that agree. */
  readonly isOutlived: boolean;
}

interface Observation {
  readonly ageMs: number;
  readonly at: number;
}

/** Evidence about one route and front. */
interface Evidence {
  observations: Observation[];
  /** Longest silences survived: lengths fall, times rise, so the first one after any moment is the longest since. */
  survived: Observation[];
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

  /**
   * Takes note of an end after this silence, or of several that came together and agree.
   *
   * @returns what was learned from it, for the log
   */
  observeEnd(of: LearnedOf, ageMs: number, at: number): Lesson | null {
    if (!(ageMs >= SHORTEST_AGE_MS)) return null;
    const key = keyOf(of);
    const known = this.#current(key, at);
    if (known !== null && agesAgree(known.cutAfterMs, ageMs)) {
      known.since = at;
      return null;
    }
    const evidence = this.#touch(key);
    const observation = { ageMs, at };
    evidence.observations = [...evidence.observations.filter((old) => old.at > at - WINDOW_MS), observation].slice(
      -MAX_OBSERVATIONS,
    );
    noteSurvived(evidence, observation);
    const agesMs = agreementOn(observation, evidence);
    return agesMs === null ? null : this.#learn(key, of, agesMs, at);
  }

  /**
   * Takes note of a silence on the client side that was no reason to cut: traffic passed again after it, or it still
   * lasts. Only silences of a second and more matter; telling it while nothing is suspected costs a look-up.
   */
  observeSurvivedGap(gap: SurvivedGap, now: number): void {
    if (!(gap.gapMs >= SHORTEST_AGE_MS) || this.#evidence.size + this.#learned.size === 0) return;
    const key = keyOf(gap);
    const evidence = this.#evidence.get(key);
    if (evidence !== undefined) noteSurvived(evidence, { ageMs: gap.gapMs, at: now });
    const learned = this.#learned.get(key);
    if (learned !== undefined && isLonger(gap.gapMs, learned.cutAfterMs)) this.#learned.delete(key);
  }

  /**
   * The ping interval in force: half of the learned limit, never above the configured one.
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

  /** What speaks for an idle limit of this length, the end that is asked about included. */
  evidenceFor(of: LearnedOf, ageMs: number, now: number): IdleEvidence {
    const key = keyOf(of);
    const learned = this.#current(key, now);
    const isLearned = learned !== null && agesAgree(learned.cutAfterMs, ageMs);
    const evidence = this.#evidence.get(key);
    if (evidence === undefined) return { isLearned, agreeing: 0, others: 0, isOutlived: false };
    const agreeing = evidence.observations.filter((observation) => agesAgree(observation.ageMs, ageMs));
    const others = evidence.observations.length - agreeing.length;
    return { isLearned, agreeing: agreeing.length, others, isOutlived: isOutlived(agreeing, evidence) };
  }

  /** Whether there is so much evidence that a look at the open connections is worth while. */
  suspects(of: LearnedOf): boolean {
    const key = keyOf(of);
    return this.#evidence.has(key) || this.#learned.has(key);
  }

  /** Everything that is in force, for the status page and the metrics. */
  learned(now: number): Lesson[] {
    const keys = [...this.#learned.keys()];
    return keys.flatMap((key) => this.#current(key, now) ?? []).map((learned) => lessonOf(learned, now));
  }

  #learn(key: string, { route, front }: LearnedOf, agesMs: readonly number[], now: number): Lesson | null {
    const cutAfterMs = Math.min(...agesMs);
    if (cutAfterMs < SHORTEST_LIMIT_MS) return null;
    this.#evidence.delete(key);
    const known = this.#current(key, now);
    if (known !== null && known.cutAfterMs <= cutAfterMs) return null;
    // A full table learns nothing new: a flood of addresses must not push out what real fronts taught.
    if (known === null && this.#learned.size >= MAX_FRONTS && this.learned(now).length >= MAX_FRONTS) return null;
    const learned = { route, front, cutAfterMs, agesMs, since: now };
    this.#learned.set(key, learned);
    return lessonOf(learned, now);
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
    const evidence = this.#evidence.get(key) ?? { observations: [], survived: [] };
    this.#evidence.delete(key);
    this.#evidence.set(key, evidence);
    for (const oldest of this.#evidence.keys()) {
      if (this.#evidence.size <= MAX_FRONTS) break;
      this.#evidence.delete(oldest);
    }
    return evidence;
  }
}

/** The ages that agree with the newest observation if they prove a limit, oldest first; else null. */
function agreementOn(newest: Observation, evidence: Evidence): readonly number[] | null {
  const { observations } = evidence;
  const candidates = observations.map((low) => runFrom(low, observations)).filter((run) => run.includes(newest));
  const agreeing = candidates.reduce((best, run) => (run.length > best.length ? run : best));
  const disagreeing = observations.length - agreeing.length;
  if (agreeing.length < AGREEING_PIECES + disagreeing || isOutlived(agreeing, evidence)) return null;
  return agreeing.map(({ ageMs }) => ageMs);
}

/** Whether a silence longer than these was lived through since the first of them. */
function isOutlived(agreeing: readonly Observation[], { survived }: Evidence): boolean {
  const firstAt = Math.min(...agreeing.map(({ at }) => at));
  const limit = Math.min(...agreeing.map(({ ageMs }) => ageMs));
  const longest = survived.find(({ at }) => at >= firstAt);
  return longest !== undefined && isLonger(longest.ageMs, limit);
}

/** Longer than a limit, and not just by what limits and clocks differ. */
function isLonger(ageMs: number, limitMs: number): boolean {
  return ageMs > limitMs && !agesAgree(ageMs, limitMs);
}

/** The observations that agree with `low` and are not below it, so that all of them agree with each other. */
function runFrom(low: Observation, observations: readonly Observation[]): Observation[] {
  return observations.filter(({ ageMs }) => ageMs >= low.ageMs && agesAgree(ageMs, low.ageMs));
}

function noteSurvived(evidence: Evidence, gap: Observation): void {
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
  return (learned.cutAfterMs / 2) * 1.5 ** stepsForgotten(learned, now);
}

function lessonOf(learned: Learned, now: number): Lesson {
  const { route, front, cutAfterMs, agesMs } = learned;
  return { route, front, cutAfterMs, intervalMs: intervalOf(learned, now), agesMs };
}

/** Unambiguous: names of routes hold no spaces. */
function keyOf(of: LearnedOf): string {
  return `${of.route} ${of.front}`;
}
