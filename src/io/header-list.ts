/** What HTTP messages on their way need of header lists, beyond the questions that `core/raw-headers.ts` answers. */
import { endToEnd, FieldNames, type RawHeaders, tokensOf } from '../core/raw-headers.ts';

/** Far above what browsers and proxies send, and few enough to look through again and again. */
const MAX_HEADERS = 256;

const FRAMING = new FieldNames(['transfer-encoding']);

/** More fields than any honest request has: 431. Node's own limit would drop the rest silently. */
export function hasTooManyHeaders(rawHeaders: RawHeaders): boolean {
  return rawHeaders.length > 2 * MAX_HEADERS;
}

/** The name and value pairs of a flat list. */
export function* headerPairs(headers: RawHeaders): Generator<[name: string, value: string]> {
  for (let at = 0; at + 1 < headers.length; at += 2) yield [headers[at] ?? '', headers[at + 1] ?? ''];
}

/**
 * The list without what belongs to one hop, chunking included, since Node says that anew. `TE` is reduced to `trailers`, the one
 * value that can be promised for the next hop as well.
 */
export function endToEndHeaders(headers: RawHeaders): string[] {
  const kept = endToEnd(headers, FRAMING);
  if (tokensOf(headers, 'te').includes('trailers')) kept.push('TE', 'trailers');
  return kept;
}

/** Puts repeated fields together under the first spelling of their name, as Node's `setHeader` wants them. */
export function groupHeaders(headers: readonly string[]): { name: string; values: string[] }[] {
  const groups = new Map<string, { name: string; values: string[] }>();
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] as string;
    const value = headers[at + 1] as string;
    const key = name.toLowerCase();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { name, values: [value] });
    else group.values.push(value);
  }
  return [...groups.values()];
}
