/** Who closed and why, in a plain sentence: the rules applied to one end and what is remembered of others. */
import { agesAgree } from '../core/adaptive.ts';
import type { CloseCause, CloseReport, Initiator, UpgradeFailure } from '../core/report.ts';
import { CLOSE_RULES } from './close-rules.ts';
import { FAILURE_RULES } from './failure-rules.ts';
import { likelyOwner } from './verdict-words.ts';
import type { VerdictRule } from './verdict-words.ts';

/** The whole table: every way a WebSocket ends or never begins. */
export const VERDICT_TABLE = { closes: CLOSE_RULES, failures: FAILURE_RULES };

/** How many abrupt ends of one front within a second are the front's doing. */
const BURST = 3;
/** Silences shorter than this tell nothing about idle limits. */
const SHORTEST_AGE_MS = 1_000;

/** What is remembered about other connections of the same route and front. */
export interface Recall {
  /** The idle limit that was learned, in milliseconds. */
  readonly cutAfterMs: number | null;
  /** Pieces of evidence with this idle age, this end's own included. */
  readonly agreeing: number;
  /** Abrupt ends of this front within a second of this one, this one included. */
  readonly together: number;
  /** Whether all of those had the same idle age. */
  readonly sameAge: boolean;
}

export interface Judgement {
  readonly initiator: Initiator;
  readonly cause: CloseCause;
  /** One sentence, with the next step where there is one. */
  readonly verdict: string;
}

/** What most likely ended a connection. The cause of an abrupt end may become the front's when others ended likewise. */
export function verdictOf(report: CloseReport, recall: Recall): Judgement {
  const cause = causeOf(report, recall);
  const initiator = cause === report.cause ? report.initiator : 'front';
  return { initiator, cause, verdict: sentenceOf(CLOSE_RULES[cause], report) };
}

/** Why an upgrade never became a tunnel. */
export function verdictOfFailure(failure: UpgradeFailure): string {
  return sentenceOf(FAILURE_RULES[failure.reason], failure);
}

function causeOf(report: CloseReport, recall: Recall): CloseCause {
  if (report.cause !== 'abrupt_end' || report.side !== 'client') return report.cause;
  const { idleMs } = report;
  // A reset is no idle cut: proxies end idle connections in order.
  const isIdle = !report.reset && idleMs >= SHORTEST_AGE_MS;
  if (isIdle && recall.cutAfterMs !== null && agesAgree(recall.cutAfterMs, idleMs)) return 'front_idle_cut';
  if (isIdle && recall.agreeing > 1 && likelyOwner(idleMs) !== null) return 'front_idle_cut';
  if (recall.together < BURST) return 'abrupt_end';
  // Connections that heard the same broadcast last are cut together, at the same age.
  return isIdle && recall.sameAge ? 'front_idle_cut' : 'front_reload';
}

/** The first row that holds. */
export function ruleFor<Facts>(rules: readonly VerdictRule<Facts>[], facts: Facts): VerdictRule<Facts> | undefined {
  return rules.find((rule) => rule.when === undefined || rule.when(facts));
}

function sentenceOf<Facts>(rules: readonly VerdictRule<Facts>[], facts: Facts): string {
  const rule = ruleFor(rules, facts);
  if (rule === undefined) return 'Unknown.';
  const next = rule.remedy === undefined ? '' : `; ${rule.remedy(facts)}`;
  return `${rule.sentence(facts)}${next}.`;
}
