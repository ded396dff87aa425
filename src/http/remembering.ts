/** How many texts are remembered, and the longest of them, in characters. What all clients say has few forms. */
const MAX_REMEMBERED = 256;
const LONGEST = 512;

/** The same function of a text; it need not think about the same one again and again. */
export function remembering<T>(answer: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const old = known.get(text);
    if (old !== undefined || text.length > LONGEST) return old ?? answer(text);
    const value = answer(text);
    if (known.size >= MAX_REMEMBERED) known.clear();
    known.set(text, value);
    return value;
  };
}

/** One copy of a text that comes with many connections: each of them would keep its own until it ends. */
export const interned = remembering((text) => text);
