/** Ends of connections for tests of what is learned from them. */
import type { AdaptiveInterval, EndFacts, Lesson } from '../../src/core/adaptive.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;

/** An abrupt end of the client side after so many milliseconds of silence. */
export const end = (idleMs: number, more: Partial<EndFacts> = {}): EndFacts => ({
  route: 'default',
  front: '10.0.0.1',
  side: 'client',
  cause: 'abrupt_end',
  reset: false,
  idleMs,
  ...more,
});

/** Feeds ends a minute apart, each settled, and collects what was learned. */
export function feed(adaptive: AdaptiveInterval, ends: readonly EndFacts[], from = 0): Lesson[] {
  return ends.flatMap((one, index) => {
    const at = from + index * MINUTE;
    adaptive.observeEnd(one, at);
    return [...adaptive.settle(at + SECOND)];
  });
}

/** A small linear congruential generator: the same numbers in every run. */
export function randomFrom(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
