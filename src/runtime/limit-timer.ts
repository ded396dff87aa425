import { type Clock, systemClock } from './clock.ts';

/** Longest delay that Node's timers take; a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1;

/**
 * Calls back once after `ms`, never when that is `Infinity`. Returns its own undo.
 *
 * What had arrived by then is read first: Node runs expired timers before it reads sockets, so a program that was kept from
 * running would find answers late that were in time.
 */
export function after(
  ms: number,
  callback: () => void,
  clock: Pick<Clock, 'after' | 'afterPoll'> = systemClock,
): () => void {
  if (ms === Infinity) return () => {};
  let isOver = false;
  const cancel = clock.after(Math.min(ms, LONGEST), () =>
    clock.afterPoll(() => {
      if (!isOver) callback();
    }),
  );
  return () => {
    isOver = true;
    cancel();
  };
}
