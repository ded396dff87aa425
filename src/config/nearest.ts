/**
 * The candidate that was most likely meant by `word`: one that begins with it and goes on with another word, else one that
 * it is a misspelling of, else one that it is the beginning of. Null when none is close.
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  const all = [...candidates];
  const longer = all.filter((candidate) => candidate.toLowerCase().startsWith(word.toLowerCase()));
  const whole = shortest(longer.filter((candidate) => /^[_-]/.test(candidate.slice(word.length))));
  if (word === '' || whole !== null) return whole;
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of all) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best ?? shortest(longer);
}

function shortest(words: readonly string[]): string | null {
  return words.toSorted((one, other) => one.length - other.length)[0] ?? null;
}

/** `; did you mean X?`, or nothing. */
export function didYouMean(guess: string | null): string {
  return guess === null ? '' : `; did you mean ${guess}?`;
}

/** Insertions, deletions, substitutions and swaps of neighbours between two short words (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 0; i < from.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j += 1) {
      const substituted = (row[j] ?? 0) + (from[i] === to[j] ? 0 : 1);
      const isSwapped = i > 0 && j > 0 && from[i] === to[j - 1] && from[i - 1] === to[j];
      const swapped = isSwapped ? (before[j - 1] ?? 0) + 1 : Infinity;
      next.push(Math.min(substituted, swapped, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[to.length] ?? 0;
}
