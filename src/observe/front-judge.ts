/** What a front has done: judged from ends of its connections without a Close frame, of earlier ones, and of those that are open. */
import { type AdaptiveInterval, agesAgree, type Lesson } from '../core/adaptive.ts';
import type { CloseReport } from '../core/events.ts';
import type { CloseGroup, OpenConnection } from './close-groups.ts';
import { type LifetimeFit, LifetimeLimits } from './lifetime-limits.ts';
import type { Recall } from './verdict.ts';
import type { FrontFit } from './verdict-words.ts';

const NOTHING: ReadonlySet<FrontFit> = new Set();
/** How many abrupt ends of one front within a second may be a reload. */
const CROWD = 3;
/** Silences shorter than this tell nothing about idle limits. */
const SHORTEST_AGE_MS = 1_000;
const AGREEING = 3;
/** Our own Pings end silences at this share of their interval or later, so silences of about that length prove nothing. */
const PINGED_FROM = 0.88;
const PINGED_UNTIL = 1.05;

export interface FrontJudgeOptions {
  readonly adaptive: AdaptiveInterval;
  /** The ping interval of a route as it is configured, in ms; `Infinity`: off. */
  readonly intervalOf: (route: string) => number;
}

/** What a group's ends have in common, and what the open connections say to that. */
interface Evidence {
  readonly group: CloseGroup;
  readonly isReload: boolean;
  readonly lifetime: LifetimeFit;
  readonly lifetimeMs: number;
}

export class FrontJudge {
  readonly #options: FrontJudgeOptions;
  readonly #lifetimes = new LifetimeLimits();

  constructor(options: FrontJudgeOptions) {
    this.#options = options;
  }

  /** Whether the open connections have to be looked at to judge these ends. */
  wantsToLook({ together, reports, of }: CloseGroup): boolean {
    const { adaptive } = this.#options;
    return (
      together > 1 ||
      this.#lifetimes.suspects(of) ||
      reports.some(({ route }) => adaptive.suspects({ route, front: of }))
    );
  }

  /**
   * Learns from a group of ends, and says for each of them what the front may have done.
   *
   * @param open connections of that front
   */
  judge(group: CloseGroup, open: readonly OpenConnection[], now: number): (report: CloseReport) => Recall {
    const [first] = group.reports;
    if (first === undefined) return () => ({});
    const lifetime = this.#lifetimes.observe(first);
    const isOutlived = open.some(({ openedAt }) => isLonger(now - openedAt, first.durationMs));
    const isReload = first.frontIsKnown && group.together >= CROWD && group.severalClients && !group.someLeft;
    const evidence = { group, isReload, lifetime: isOutlived ? 'no' : lifetime, lifetimeMs: first.durationMs } as const;
    const sameSilence = group.together > 1 && agree(group.reports);
    return (report) => {
      const fits = this.#fits(report, evidence, now);
      // Clients that come directly may all leave after the same silence.
      const likeOthers = !report.frontIsKnown && fits.has('idle');
      return { sameSilence, likeOthers, fits: likeOthers ? NOTHING : fits };
    };
  }

  /** What idle limits these ends teach: one piece of evidence for each route, if they agree. */
  learn({ reports, of: front }: CloseGroup, now: number): Lesson[] {
    const byRoute = new Map<string, CloseReport[]>();
    for (const report of reports) {
      const some = byRoute.get(report.route);
      if (some === undefined) byRoute.set(report.route, [report]);
      else some.push(report);
    }
    return [...byRoute].flatMap(([route, some]) => {
      const [first] = some;
      if (first === undefined || !agree(some)) return [];
      return this.#options.adaptive.observeEnd({ route, front }, first.wireIdleMs, now) ?? [];
    });
  }

  /** Silences that still last were no reason to cut. */
  noteSilences({ of: front }: CloseGroup, open: readonly OpenConnection[], now: number): void {
    const longest = new Map<string, number>();
    for (const connection of open) {
      const { route } = connection.info;
      longest.set(route, Math.max(longest.get(route) ?? 0, connection.wireIdleFor(now)));
    }
    for (const [route, gapMs] of longest) this.#options.adaptive.observeSurvivedGap({ route, front, gapMs }, now);
  }

  #fits(report: CloseReport, { isReload, lifetime, lifetimeMs }: Evidence, now: number): ReadonlySet<FrontFit> {
    const fits = new Set<FrontFit>();
    if (this.#isIdleCut(report, now)) fits.add('idle');
    const isThatOld = agesAgree(report.durationMs, lifetimeMs);
    if (isThatOld && (lifetime === 'yes' || (lifetime === 'or_idle' && fits.has('idle')))) fits.add('lifetime');
    if (isReload) fits.add('reload');
    return fits;
  }

  #isIdleCut(report: CloseReport, now: number): boolean {
    if (!isIdleEnd(report)) return false;
    const { adaptive, intervalOf } = this.#options;
    const { route, front, wireIdleMs } = report;
    const { isLearned, agreeing, others, isOutlived } = adaptive.evidenceFor({ route, front }, wireIdleMs, now);
    if (isLearned) return true;
    const interval = adaptive.intervalFor(route, front, intervalOf(route), now);
    const isPinged = wireIdleMs > interval * PINGED_FROM && wireIdleMs < interval * PINGED_UNTIL;
    return !isPinged && !isOutlived && agreeing >= AGREEING + others;
  }
}

/** It may be an idle cut. A reset that a Ping may have provoked is none. */
function isIdleEnd({ wireIdleMs, reset, pingUnanswered }: CloseReport): boolean {
  return wireIdleMs >= SHORTEST_AGE_MS && !(reset && pingUnanswered);
}

/** Whether all of them may be idle cuts after the same silence. */
function agree(reports: readonly CloseReport[]): boolean {
  let [shortest, longest] = [Infinity, 0];
  for (const report of reports) {
    if (!isIdleEnd(report)) return false;
    shortest = Math.min(shortest, report.wireIdleMs);
    longest = Math.max(longest, report.wireIdleMs);
  }
  return agesAgree(shortest, longest);
}

function isLonger(ageMs: number, limitMs: number): boolean {
  return ageMs > limitMs && !agesAgree(ageMs, limitMs);
}
