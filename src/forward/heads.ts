/** What the two heads of a forwarded request look like: what passes at all, framing, Expect, trailers. */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { RequestRefusal } from '../core/events.ts';
import { isForwardingField } from '../http/client-address.ts';
import {
  endToEndHeaders,
  FieldNames,
  groupHeaders,
  hasTooManyHeaders,
  headerPairs,
  NO_FIELDS,
  valuesOf,
  withoutFields,
} from '../http/headers.ts';
import { isHost } from '../http/route.ts';

/** A trailer must not change how its message was framed or to whom it went (RFC 9110 6.5.1). */
const NOT_IN_TRAILERS = /^(?:content-length|transfer-encoding|host|trailer|authorization|set-cookie)$/i;

/** More fields make the answer invalid: with a limit of its own Node would drop the rest in silence. */
const MAX_ANSWER_FIELDS = 1023;

/** Why a request is not forwarded. `detail` is fit for the client. */
export interface Refusal {
  readonly status: number;
  readonly reason: RequestRefusal;
  /** Left out: the usual words for the status. */
  readonly detail?: string;
}

/** What Node's parser takes and some server behind may read otherwise. Null: it passes. */
export function faultOf({ rawHeaders, httpVersion, method }: IncomingMessage): Refusal | null {
  if (hasTooManyHeaders(rawHeaders)) return { status: 431, reason: 'header_limit' };
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    return { status: 505, reason: 'version', detail: 'HTTP/1.1 and HTTP/1.0 are served.' };
  }
  // It would show a page the fields that proxies have added.
  if (method === 'TRACE') return { status: 405, reason: 'method', detail: 'TRACE is not served.' };
  const hosts = valuesOf(rawHeaders, 'host');
  // RFC 9112 3.2: with several Host lines two servers may route the request differently.
  if (hosts.length > 1 || !hosts.every(isHost)) {
    return { status: 400, reason: 'bad_host', detail: 'The request needs exactly one valid Host header.' };
  }
  const codings = valuesOf(rawHeaders, 'transfer-encoding');
  if (codings.length === 0) return null;
  if (httpVersion === '1.0')
    return { status: 400, reason: 'transfer_coding', detail: 'HTTP/1.0 has no Transfer-Encoding.' };
  if (isChunked(codings)) return null;
  return { status: 501, reason: 'transfer_coding', detail: 'The one Transfer-Encoding that is served is chunked.' };
}

/** Exactly that: servers differ in how they read anything else, which is request smuggling (RFC 9112 6.1). */
function isChunked([coding = '', ...others]: readonly string[]): boolean {
  return coding.toLowerCase() === 'chunked' && others.length === 0;
}

const EXPECT = new FieldNames(['expect']);
const TRAILER = new FieldNames(['trailer']);

/** A 101 to a plain request would turn the connection of the proxy in front into a tunnel, past its access rules. */
export const UNASKED_SWITCH = 'the upstream switched protocols although nobody asked it to';

/** The head for the upstream: `forwarded` (see forwardHeaders) with the framing of this request. */
export function requestHead(req: IncomingMessage, forwarded: readonly string[]): string[] {
  const codings = valuesOf(req.rawHeaders, 'transfer-encoding').join(', ');
  // RFC 9110 10.1.1: a 100-continue from an HTTP/1.0 client is ignored.
  const dropped = req.httpVersion === '1.0' ? EXPECT : NO_FIELDS;
  // Node refuses to announce trailers where there is no chunked body to put them behind.
  const head = withoutFields(forwarded, dropped, codings === '' ? TRAILER : NO_FIELDS);
  if (codings !== '') head.push('Transfer-Encoding', codings);
  return head;
}

/** Puts a flat list on a request that has not been written yet, in place of what http-proxy and Node put there. */
export function applyHead(outgoing: ClientRequest, head: readonly string[]): void {
  // http-proxy gives every DELETE and OPTIONS a length of 0. Beside a chunked body that would be request smuggling.
  if (outgoing.hasHeader('content-length')) outgoing.removeHeader('content-length');
  for (const { name, values } of groupHeaders(head)) {
    const [first = '', ...rest] = values;
    outgoing.setHeader(name, rest.length === 0 ? first : values);
  }
}

/** Whether a request head announces a body. */
export function hasBody(head: readonly string[]): boolean {
  return valuesOf(head, 'content-length').length > 0 || valuesOf(head, 'transfer-encoding').length > 0;
}

/**
 * Writes the head of an upstream's response to the client. It goes out with the first of the body where that is here already, and
 * without waiting for it else: an event stream that is quiet still has its head.
 *
 * @throws Error for a response that cannot be passed on, before anything was written
 */
export function writeResponseHead(incoming: IncomingMessage, req: IncomingMessage, res: ServerResponse): void {
  const codings = valuesOf(incoming.rawHeaders, 'transfer-encoding');
  if (codings.length > 0 && !isChunked(codings)) {
    throw new Error('the upstream used a transfer coding that nobody asked for');
  }
  if (incoming.statusCode === 101) throw new Error(UNASKED_SWITCH);
  if (incoming.rawHeaders.length > 2 * MAX_ANSWER_FIELDS) {
    throw new Error(`the answer has more than ${MAX_ANSWER_FIELDS} header fields`);
  }
  const trailers = codings.length > 0 && req.httpVersion === '1.1' && mayHaveBody(incoming, req);
  const head = withoutFields(endToEndHeaders(incoming.rawHeaders), trailers ? NO_FIELDS : TRAILER);
  res.sendDate = false;
  res.writeHead(incoming.statusCode ?? 0, incoming.statusMessage ?? '', head);
  // What came in one read with the head has been passed on by then.
  setImmediate(flushHead, incoming, res);
}

/** Sends a head that nothing has taken along yet. */
export function flushHead(incoming: IncomingMessage, res: ServerResponse): void {
  if (!incoming.readableDidRead && !res.writableEnded && !res.destroyed) res.flushHeaders();
}

/** The trailers that may pass, as `addTrailers` takes them. */
export function endToEndTrailers(rawTrailers: readonly string[]): [string, string][] {
  return [...headerPairs(endToEndHeaders(rawTrailers))].filter(
    ([name]) => !NOT_IN_TRAILERS.test(name) && !isForwardingField(name),
  );
}

function mayHaveBody(incoming: IncomingMessage, req: IncomingMessage): boolean {
  return req.method !== 'HEAD' && incoming.statusCode !== 204 && incoming.statusCode !== 304;
}
