/**
 * Questions about header fields in Node's flat form: `[name, value, name, value, …]`, order, casing and repetitions kept.
 * Names are asked for in lower case.
 */

export type RawHeaders = readonly string[];

/** Names of fields, which may be asked for in any casing. Most others are told from them by their length alone. */
export class FieldNames {
  readonly #names: ReadonlySet<string>;
  /** A bit for each length, modulo 32. */
  readonly #lengths: number;

  /** @param names in lower case */
  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
    let lengths = 0;
    for (const { length } of this.#names) lengths |= 1 << length;
    this.#lengths = lengths;
  }

  has(name: string): boolean {
    return this.mayHave(name) && this.#names.has(name.toLowerCase());
  }

  /** Whether a name of that length may be among them. */
  mayHave(name: string): boolean {
    return (this.#lengths & (1 << name.length)) !== 0;
  }

  /** These and more of them, in lower case. */
  with(names: readonly string[]): FieldNames {
    return names.length === 0 ? this : new FieldNames([...this.#names, ...names]);
  }
}

export const NO_FIELDS = new FieldNames([]);

/** Fields that belong to one hop and never pass a proxy, RFC 9110 7.6.1. Framing fields are not among them. */
const HOP_BY_HOP = new FieldNames(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade']);

/**
 * Naming these in `Connection` must not remove them: they say whom the message is for, where it ends, what the handshake
 * agreed on, and what the proxy in front has added.
 */
const NEVER_NAMED = /^(?:host|content-length|transfer-encoding|sec-websocket-.*|forwarded|x-real-ip|x-forwarded-.*)$/;

/** Far above what browsers and proxies send, and few enough to look through again and again. */
const MAX_HEADERS = 256;

const FRAMING = new FieldNames(['transfer-encoding']);

/** Values of every field called `name`, in order. */
export function valuesOf(headers: RawHeaders, name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const other = headers[at] as string;
    if (other.length === name.length && other.toLowerCase() === name) values.push(headers[at + 1] as string);
  }
  return values;
}

/** Members of a comma-separated list over all its field lines, trimmed; empty members are skipped (RFC 9110 5.6.1). */
export function elementsOf(headers: RawHeaders, name: string): string[] {
  const elements: string[] = [];
  for (const value of valuesOf(headers, name)) {
    for (const part of value.split(',')) {
      const element = part.trim();
      if (element !== '') elements.push(element);
    }
  }
  return elements;
}

/** The same in lower case, for lists of tokens. */
export function tokensOf(headers: RawHeaders, name: string): string[] {
  return elementsOf(headers, name).map((element) => element.toLowerCase());
}

/** Does the request ask for a WebSocket, however badly? */
export function offersWebSocket(headers: RawHeaders): boolean {
  return tokensOf(headers, 'upgrade').includes('websocket');
}

/** The fields that are called neither by `names` nor by `more`. */
export function withoutFields(headers: RawHeaders, names: FieldNames, more: FieldNames = NO_FIELDS): string[] {
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (names.has(name) || more.has(name)) continue;
    kept.push(name);
    if (at + 1 < headers.length) kept.push(headers[at + 1] as string);
  }
  return kept;
}

/** The fields that pass a proxy: neither hop-by-hop nor named in `Connection`, nor among `more`. */
export function endToEnd(headers: RawHeaders, more: FieldNames = NO_FIELDS): string[] {
  const named = tokensOf(headers, 'connection').filter((name) => !HOP_BY_HOP.has(name) && !NEVER_NAMED.test(name));
  return withoutFields(headers, HOP_BY_HOP, more.with(named));
}

/** The fields as they stand on the wire, each line ended by CRLF. */
export function formatFields(headers: RawHeaders): string {
  let text = '';
  for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
  return text;
}

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
