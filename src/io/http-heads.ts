/** What the two heads of a forwarded request look like: framing, Expect, trailers, 1xx.  */
import type { ClientRequest, IncomingMessage, InformationEvent, ServerResponse } from 'node:http';
import { isForwardingField } from './forwarded.ts';
import { FieldNames, NO_FIELDS, tokensOf, valuesOf, withoutFields } from '../core/raw-headers.ts';
import { endToEndHeaders, groupHeaders, headerPairs } from './header-list.ts';

/** A trailer must not change how its message was framed or to whom it went (RFC 9110 6.5.1). */
const NOT_IN_TRAILERS = /^(?:content-length|transfer-encoding|host|trailer|authorization|set-cookie)$/i;

const EXPECT = new FieldNames(['expect']);
const TRAILER = new FieldNames(['trailer']);

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
  const codings = tokensOf(incoming.rawHeaders, 'transfer-encoding');
  if (codings.some((coding) => coding !== 'chunked')) {
    throw new Error('the upstream used a transfer coding that nobody asked for');
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

/** Passes a 1xx on: 100 to a client that waits for it, 102 and 103 to any that knows 1xx. Others are dropped, as they may be. */
export function relayInformation(information: InformationEvent, req: IncomingMessage, res: ServerResponse): void {
  // RFC 9110 15.2: no 1xx for HTTP/1.0.
  if (req.httpVersion === '1.0' || res.headersSent || res.destroyed) return;
  if (information.statusCode === 100 && valuesOf(req.rawHeaders, 'expect').length > 0) res.writeContinue();
  else if (information.statusCode === 102) res.writeProcessing();
  else if (information.statusCode === 103) relayEarlyHints(information.rawHeaders, res);
}

function relayEarlyHints(rawHeaders: readonly string[], res: ServerResponse): void {
  const hints: Record<string, string | string[]> = {};
  for (const { name, values } of groupHeaders(endToEndHeaders(rawHeaders))) {
    hints[name.toLowerCase()] = name.toLowerCase() === 'link' ? values : values.join(', ');
  }
  try {
    res.writeEarlyHints(hints);
  } catch {
    // Node takes only links of one shape. A hint is a hint: the response does without it.
  }
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
