/**
 * Header lists as Node hands them out in `rawHeaders`: flat, `[name, value, name, value, …]`, in the order and with the
 * casing of the wire. Knows which fields belong to one hop only (RFC 9110 7.6.1). Names are asked for in lower case.
 */

/** Fields that speak of one connection; what they mean is said again by whoever writes the next one. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Fields that a `Connection` header cannot remove. RFC 9110 7.6.1 forbids such options, and obeying them would let a client
 * take the length off a body (so that its bytes become a request) or take off what the proxy in front has added.
 */
const NOT_REMOVABLE = /^(?:host|content-length|forwarded|x-real-ip|x-forwarded-.*|sec-websocket-.*)$/;

/** Far above what browsers and proxies send, and few enough to look through again and again. */
const MAX_HEADERS = 256;

/** More fields than any honest request has: 431. Node's own limit would drop the rest silently. */
export function hasTooManyHeaders(rawHeaders: readonly string[]): boolean {
  return rawHeaders.length > 2 * MAX_HEADERS;
}

/** The name and value pairs of a flat list. */
export function* headerPairs(headers: readonly string[]): Generator<[name: string, value: string]> {
  for (let at = 0; at + 1 < headers.length; at += 2) yield [headers[at] ?? '', headers[at + 1] ?? ''];
}

/** Every value of the header `name`, one for each line. */
export function headerValues(headers: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (const [key, value] of headerPairs(headers)) {
    if (key.toLowerCase() === name) values.push(value);
  }
  return values;
}

/** The elements of a comma-separated header over all its lines, trimmed; empty ones are skipped (RFC 9110 5.6.1). */
export function listElements(headers: readonly string[], name: string): string[] {
  return headerValues(headers, name)
    .flatMap((value) => value.split(','))
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

/** The list without the fields called one of `names`. */
export function withoutHeaders(headers: readonly string[], names: ReadonlySet<string>): string[] {
  return [...headerPairs(headers)].filter(([name]) => !names.has(name.toLowerCase())).flat();
}

/**
 * The list without what belongs to one hop: the fixed fields and those that `Connection` names. Order, casing and
 * repetition stay. `TE` is reduced to `trailers`, the one value that can be promised for the next hop as well.
 */
export function endToEndHeaders(headers: readonly string[]): string[] {
  const named = listElements(headers, 'connection')
    .map((option) => option.toLowerCase())
    .filter((option) => !NOT_REMOVABLE.test(option));
  const kept = withoutHeaders(headers, new Set([...HOP_BY_HOP, ...named]));
  const te = listElements(headers, 'te').some((coding) => coding.toLowerCase() === 'trailers');
  if (te) kept.push('TE', 'trailers');
  return kept;
}

/** Puts repeated fields together under the first spelling of their name, as Node's `setHeader` wants them. */
export function groupHeaders(headers: readonly string[]): { name: string; values: string[] }[] {
  const groups = new Map<string, { name: string; values: string[] }>();
  for (const [name, value] of headerPairs(headers)) {
    const group = groups.get(name.toLowerCase());
    if (group === undefined) groups.set(name.toLowerCase(), { name, values: [value] });
    else group.values.push(value);
  }
  return [...groups.values()];
}
