/** From silences that were survived and silences that were not to the idle limit on the way. Pure; durations are in ms. */
import { likelyOwner, seconds } from '../observe/verdict-words.ts';
import { type Fact, type Finding, note, ok, warn } from './findings.ts';
import { intervalBelow } from './lifetime.ts';

/**
 * `cut`: it was ended in its silence. `dead`: it was open, and yet no echo came. `closed`: ended by a Close frame. `disturbed`: Pings
 * or messages came, so it was no silence.
 */
export type StepResult = 'survived' | 'cut' | 'dead' | 'closed' | 'disturbed' | 'aborted';

export interface Step {
  readonly silenceMs: number;
  readonly result: StepResult;
  /** Length of the silence when it was cut, or null. */
  readonly cutAfterMs: number | null;
  /** When the other side ended it, counted from the start of the first step; null when it did not. */
  readonly endedAtMs: number | null;
}

/** Pings have to come at least twice as often as the limit would have them. */
const SAFETY = 2;
/** A span this narrow can be called by the name of the limit in it. */
const NARROW_MS = 11_000;
const GUESS_STEP_MS = 5_000;
/** The steps begin further apart than this, so what ends several of them within it looks at no silence. */
const SAME_MOMENT_MS = 250;

/**
 * @param steps shortest silence first
 * @param intervalMs at which Pings were seen on another connection of the same way, or null
 */
export function judgeLadder(steps: readonly Step[], intervalMs: number | null): Finding {
  const facts: Readonly<Record<string, Fact>> = { steps: steps.map((step) => ({ ...step })) };
  const known = steps.filter(({ result }) => result !== 'aborted');
  if (known.length === 0) return note('timeouts', 'stopped before the first silence was over', '', facts);
  const spoilt = whatSpoilsIt(known);
  if (spoilt !== null) return warn('timeouts', ...spoilt, facts);
  const firstCut = known.find(({ result }) => result !== 'survived');
  const longest = known.findLast(({ result }) => result === 'survived')?.silenceMs ?? 0;
  if (firstCut !== undefined) return limitFound(firstCut, longest, intervalMs, facts);
  const survived = `silences of up to ${seconds(longest)} survive: no idle limit below that`;
  if (known.length === steps.length) return ok('timeouts', survived, facts);
  return note('timeouts', `stopped early; ${survived}`, '', facts);
}

/** Why the steps prove nothing about idle limits, or null. */
function whatSpoilsIt(steps: readonly Step[]): readonly [text: string, advice: string] | null {
  if (steps.some(({ result }) => result === 'closed')) {
    return [
      'silent connections were closed with a Close frame',
      'A proxy was restarted or reloaded meanwhile. Try again.',
    ];
  }
  if (steps.some(({ result }) => result === 'disturbed')) {
    return [
      'the silent connections were not silent: Pings or messages came on them',
      'Something between the doctor and ws-keepalive-proxy sends them, and no idle limit on that way can be found.',
    ];
  }
  const cuts = steps.filter(({ result }) => result === 'cut');
  const ends = cuts.map(({ endedAtMs }) => endedAtMs ?? 0);
  if (cuts.length > 1 && Math.max(...ends) - Math.min(...ends) < SAME_MOMENT_MS) {
    return [
      `silent connections were all cut at the same moment, after ${seconds(Math.max(...ends))}`,
      'A proxy was reloaded or restarted, or it looks for idle connections only now and then. Try again.',
    ];
  }
  const firstBad = steps.find(({ result }) => result !== 'survived');
  const longest = steps.findLast(({ result }) => result === 'survived')?.silenceMs ?? 0;
  if (firstBad === undefined || longest <= (firstBad.cutAfterMs ?? firstBad.silenceMs)) return null;
  return [
    `a silence was cut after ${seconds(firstBad.cutAfterMs ?? firstBad.silenceMs)}, but ${seconds(longest)} survived`,
    'That is no idle limit but an unsteady network, or a reload. Try again.',
  ];
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
