import type { Clock } from './clock.ts';

/** How long to keep quiet in between, in ms. */
const PAUSE = 10_000;

/** For what may happen thousands of times a second: says it now and then, with how often it has happened since. */
export function rateLimited(clock: Clock, say: (times: number) => void): () => void {
  let times = 0;
  let saidAt = -Infinity;
  return () => {
    times++;
    const now = clock.now();
    if (now - saidAt < PAUSE) return;
    saidAt = now;
    say(times);
    times = 0;
  };
}
