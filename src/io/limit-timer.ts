/** Longest delay that Node's timers take; a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1;

/** Calls back once after `ms`, never when that is `Infinity`. Returns its own undo. */
export function after(ms: number, callback: () => void): () => void {
  if (ms === Infinity) return () => {};
  const timer = setTimeout(callback, Math.min(ms, LONGEST));
  return () => clearTimeout(timer);
}
