/**
 * Questions about header fields in Node's flat form: `[name, value, name, value, …]`, order, casing and repetitions kept.
 * Names are asked for in lower case.
 */

export type RawHeaders = readonly string[];

/** Fields that belong to one hop and never pass a proxy, RFC 9110 7.6.1. Framing fields are not among them. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade']);

/**
 * Naming these in `Connection` must not remove them: they say whom the message is for, where it ends, what the handshake
 * agreed on, and what the proxy in front has added.
 */
const NEVER_NAMED = /^(?:host|content-length|transfer-encoding|sec-websocket-.*|forwarded|x-real-ip|x-forwarded-.*)$/;

/** Values of every field called `name`, in order. */
export function valuesOf(headers: RawHeaders, name: string): string[] {
  return headers.filter((_, at) => at % 2 === 1 && headers[at - 1]?.toLowerCase() === name);
}

/** Members of a comma-separated list over all its field lines, trimmed; empty members are skipped (RFC 9110 5.6.1). */
export function elementsOf(headers: RawHeaders, name: string): string[] {
  return valuesOf(headers, name)
    .flatMap((value) => value.split(','))
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

/** The same in lower case, for lists of tokens. */
export function tokensOf(headers: RawHeaders, name: string): string[] {
  return elementsOf(headers, name).map((element) => element.toLowerCase());
}

/** The fields whose lower-case name is not in `names`. */
export function withoutFields(headers: RawHeaders, names: ReadonlySet<string>): string[] {
  return headers.filter((_, at) => !names.has((headers[at - (at % 2)] as string).toLowerCase()));
}

/** The fields that pass a proxy: neither hop-by-hop nor named in `Connection`. */
export function endToEnd(headers: RawHeaders): string[] {
  const named = tokensOf(headers, 'connection').filter((name) => !NEVER_NAMED.test(name));
  return withoutFields(headers, new Set([...HOP_BY_HOP, ...named]));
}

/** The fields as they stand on the wire, each line ended by CRLF. */
export function formatFields(headers: RawHeaders): string {
  return headers.map((part, at) => (at % 2 === 0 ? `${part}: ` : `${part}\r\n`)).join('');
}
