/** From silences that were survived and silences that were not to the idle limit on the way. Pure; durations are in ms. */
import { likelyOwner, seconds } from '../observe/verdict-words.ts';
import { type Fact, type Finding, note, ok, warn } from './findings.ts';
import { intervalBelow } from './lifetime.ts';

/** `cut`: it was ended in its silence. `dead`: it was open, and yet no echo came. `closed`: ended by a Close frame. */
export type StepResult = 'survived' | 'cut' | 'dead' | 'closed' | 'aborted';

export interface Step {
  readonly silenceMs: number;
  readonly result: StepResult;
  /** When it was cut, or null. */
  readonly cutAfterMs: number | null;
}

/** Pings have to come at least twice as often as the limit would have them. */
const SAFETY = 2;
/** A span this narrow can be called by the name of the limit in it. */
const NARROW_MS = 11_000;
const GUESS_STEP_MS = 5_000;

/**
 * @param steps shortest silence first
 * @param intervalMs at which Pings were seen on another connection of the same way, or null
 */
export function judgeLadder(steps: readonly Step[], intervalMs: number | null): Finding {
  const facts: Readonly<Record<string, Fact>> = { steps: steps.map((step) => ({ ...step })) };
  if (steps.some(({ result }) => result === 'aborted')) return note('timeouts', 'stopped before the end', '', facts);
  if (steps.some(({ result }) => result === 'closed')) {
    return warn('timeouts', 'the proxy was restarted meanwhile', 'Try again.', facts);
  }
  const firstCut = steps.find(({ result }) => result !== 'survived');
  const longest = steps.findLast(({ result }) => result === 'survived')?.silenceMs ?? 0;
  if (firstCut === undefined) {
    return ok('timeouts', `silences of up to ${seconds(longest)} survive: no idle limit below that`, facts);
  }
  if (longest > firstCut.silenceMs) {
    const text = `a silence of ${seconds(firstCut.silenceMs)} was cut, but ${seconds(longest)} survived`;
    return warn('timeouts', text, 'That is no idle limit but an unsteady network, or a reload. Try again.', facts);
  }
  return limitFound(firstCut, longest, intervalMs, facts);
}

function limitFound(cut: Step, longest: number, intervalMs: number | null, facts: Finding['facts']): Finding {
  const limitMs = cut.cutAfterMs ?? (longest > 0 ? longest : cut.silenceMs);
  const owner = cut.cutAfterMs === null ? guessOwner(longest, cut.silenceMs) : likelyOwner(cut.cutAfterMs);
  const pingInterval = intervalBelow(limitMs);
  const all = {
    ...facts,
    survivedMs: longest,
    notSurvivedMs: cut.silenceMs,
    cutAfterMs: cut.cutAfterMs,
    owner,
    pingInterval,
  };
  const whose = owner === null ? '' : `: probably the idle limit of ${owner}`;
  const text = `${spanOf(cut, longest)}${whose}`;
  if (intervalMs !== null && intervalMs <= limitMs / SAFETY) {
    return ok('timeouts', `${text}; Pings every ${seconds(intervalMs)} stay below it`, all);
  }
  return warn('timeouts', text, `Set keepalive.ping_interval to ${pingInterval} or less.`, all);
}

function spanOf({ cutAfterMs, silenceMs }: Step, longest: number): string {
  const span =
    longest > 0
      ? `${seconds(longest)} survives, ${seconds(silenceMs)} does not`
      : `the shortest try, ${seconds(silenceMs)}, is cut`;
  if (cutAfterMs === null) return `silent connections die without a word (${span})`;
  return `silent connections are cut after ${seconds(cutAfterMs)} (${span})`;
}

/** Whose limit lies in a span, when the moment of the cut could not be seen. */
function guessOwner(above: number, upTo: number): string | null {
  if (upTo - above > NARROW_MS) return null;
  const first = Math.floor(above / GUESS_STEP_MS + 1) * GUESS_STEP_MS;
  for (let limit = first; limit <= upTo; limit += GUESS_STEP_MS) {
    const owner = likelyOwner(limit);
    if (owner !== null) return owner;
  }
  return null;
}
