/** Ends of connections for tests of what is learned from them. */
import type { AdaptiveInterval, Lesson, LearnedOf } from '../../src/core/adaptive.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;

/** An end of the client side after so many milliseconds in which no byte passed. */
interface SilentEnd extends LearnedOf {
  readonly ageMs: number;
}

export const end = (ageMs: number, more: Partial<LearnedOf> = {}): SilentEnd => ({
  route: 'default',
  front: '10.0.0.1',
  ageMs,
  ...more,
});

/** Feeds ends a minute apart, and collects what was learned. */
export function feed(adaptive: AdaptiveInterval, ends: readonly SilentEnd[], from = 0): Lesson[] {
  return ends.flatMap((one, index) => adaptive.observeEnd(one, one.ageMs, from + index * MINUTE) ?? []);
}

/** A small linear congruential generator: the same numbers in every run. */
export function randomFrom(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
