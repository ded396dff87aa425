/** Who closed and why, in a plain sentence: the rules applied to one end and what is remembered of others. */
import type { CloseCause, CloseReport, Initiator, UpgradeFailure } from '../core/events.ts';
import { CLOSE_RULES } from './close-rules.ts';
import { FAILURE_RULES } from './failure-rules.ts';
import { type FrontFit, type JudgedEnd, seconds, type VerdictRule } from './verdict-words.ts';

/** The whole table: every way a WebSocket ends or never begins. */
export const VERDICT_TABLE = { closes: CLOSE_RULES, failures: FAILURE_RULES };

/** What the front did, the surest first: the cause of an end that fits several. */
const FRONT_CAUSES: readonly (readonly [fit: FrontFit, cause: CloseCause])[] = [
  ['idle', 'front_idle_cut'],
  ['lifetime', 'front_lifetime_cut'],
  ['reload', 'front_reload'],
];
const NOTHING: ReadonlySet<FrontFit> = new Set();

/** What is remembered about other connections. Left out: it was alone. */
export type Recall = Partial<Omit<JudgedEnd, keyof CloseReport>>;

export interface Judgement {
  readonly initiator: Initiator;
  readonly cause: CloseCause;
  /** One sentence, with the next step where there is one. */
  readonly verdict: string;
}

type Judged = Omit<JudgedEnd, keyof Judgement> & { -readonly [Key in keyof Judgement]: Judgement[Key] };

/** What most likely ended a connection. The cause of an abrupt end of the client side becomes the front's when others ended likewise. */
export function verdictOf(report: CloseReport, recall: Recall): CloseReport & Judgement {
  const facts: Judged = judgedEnd(report, recall);
  const cause = causeOf(report, recall);
  if (cause !== report.cause) facts.initiator = 'front';
  facts.cause = cause;
  facts.verdict = sentenceOf(CLOSE_RULES[cause], facts, standstillOf(facts));
  return facts;
}

/** Why an upgrade never became a tunnel. */
export function verdictOfFailure(failure: UpgradeFailure): string {
  return sentenceOf(FAILURE_RULES[failure.reason], failure, '');
}

/**
 * A report with what is remembered about others; its verdict is still to be found. Field by field: on Node 20 three objects spread into one
 * become a table of 7 KB, and thousands of ends are judged at once when a front reloads.
 */
export function judgedEnd(report: CloseReport, recall: Recall): JudgedEnd & Judgement {
  return {
    id: report.id,
    route: report.route,
    client: report.client,
    front: report.front,
    frontIsKnown: report.frontIsKnown,
    path: report.path,
    upstream: report.upstream,
    request: report.request,
    initiator: report.initiator,
    cause: report.cause,
    side: report.side,
    code: report.code,
    reason: report.reason,
    reset: report.reset,
    bytesUp: report.bytesUp,
    bytesDown: report.bytesDown,
    framesUp: report.framesUp,
    framesDown: report.framesDown,
    pingsClient: report.pingsClient,
    pingsUpstream: report.pingsUpstream,
    pongsClient: report.pongsClient,
    pongsUpstream: report.pongsUpstream,
    unsolicitedPongs: report.unsolicitedPongs,
    violationsUp: report.violationsUp,
    violationsDown: report.violationsDown,
    endedAt: report.endedAt,
    durationMs: report.durationMs,
    violation: report.violation,
    rttMs: report.rttMs,
    answersPingsClient: report.answersPingsClient,
    answersPingsUpstream: report.answersPingsUpstream,
    idleMs: report.idleMs,
    wireIdleMs: report.wireIdleMs,
    pingUnanswered: report.pingUnanswered,
    together: recall.together ?? 1,
    severalClients: recall.severalClients ?? false,
    someLeft: recall.someLeft ?? false,
    sameSilence: recall.sameSilence ?? false,
    likeOthers: recall.likeOthers ?? false,
    fits: recall.fits ?? NOTHING,
    stoodStillMs: recall.stoodStillMs ?? 0,
    verdict: '',
  };
}

function causeOf({ cause, side }: CloseReport, { fits = NOTHING }: Recall): CloseCause {
  if (cause !== 'abrupt_end' || side !== 'client' || fits.size === 0) return cause;
  return FRONT_CAUSES.find(([fit]) => fits.has(fit))?.[1] ?? cause;
}

function standstillOf({ stoodStillMs }: JudgedEnd): string {
  if (stoodStillMs === 0) return '';
  return `, and this proxy itself had stood still for ${seconds(stoodStillMs)} just before (suspended, or its loop blocked), which may be the reason`;
}

/** The first row that holds. */
export function ruleFor<Facts>(rules: readonly VerdictRule<Facts>[], facts: Facts): VerdictRule<Facts> | undefined {
  return rules.find((rule) => rule.when === undefined || rule.when(facts));
}

function sentenceOf<Facts>(rules: readonly VerdictRule<Facts>[], facts: Facts, addition: string): string {
  const rule = ruleFor(rules, facts);
  if (rule === undefined) return 'Unknown.';
  const next = rule.remedy?.(facts) ?? '';
  return `${rule.sentence(facts)}${addition}${next === '' ? '' : `; ${next}`}.`;
}
