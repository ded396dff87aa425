/** By what operators find a request again in other logs: its host, its user agent, and an id that travels along. */
import { randomFillSync } from 'node:crypto';
import type { RequestIdentity } from '../core/events.ts';
import { type RawHeaders, valuesOf } from './headers.ts';
import { printable, redactText } from './redact.ts';
import { remembering } from './remembering.ts';

/** Longest host and user agent that are shown, in characters. */
const SHOWN_LENGTH = 256;
/** Visible ASCII without blanks: safe in every log and header. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
/** version-traceid-parentid-flags, W3C Trace Context 3.2. An id of zeros is none. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** Random bytes for ids: one call into the system for many of them. */
const pool = Buffer.allocUnsafeSlow(4096);
let next = pool.length;

/** What a request says of itself, fit to be shown. */
export function identify(rawHeaders: RawHeaders, isPeerTrusted: boolean): RequestIdentity {
  return {
    host: shown(valuesOf(rawHeaders, 'host')[0] ?? ''),
    userAgent: shown(valuesOf(rawHeaders, 'user-agent')[0] ?? ''),
    requestId: requestIdOf(rawHeaders, isPeerTrusted),
  };
}

/** The id of a request: its `X-Request-ID`, or the trace id of its `traceparent`, when the peer is trusted; else it is made. */
export function requestIdOf(rawHeaders: RawHeaders, isPeerTrusted: boolean): string {
  return (isPeerTrusted ? givenId(rawHeaders) : null) ?? newId();
}

/** The fields for the upstream, with the id where no `X-Request-ID` came. */
export function withRequestId(headers: readonly string[], requestId: string): readonly string[] {
  return valuesOf(headers, 'x-request-id').length > 0 ? headers : [...headers, 'X-Request-ID', requestId];
}

function givenId(rawHeaders: RawHeaders): string | null {
  const ids = valuesOf(rawHeaders, 'x-request-id');
  const [id] = ids;
  if (ids.length === 1 && id !== undefined && REQUEST_ID.test(id)) return id;
  return TRACEPARENT.exec(valuesOf(rawHeaders, 'traceparent')[0] ?? '')?.[1] ?? null;
}

function newId(): string {
  if (next === pool.length) {
    randomFillSync(pool);
    next = 0;
  }
  next += 16;
  return pool.toString('hex', next - 16, next);
}

const shown = remembering((value) => printable(redactText(value, 'redact'), SHOWN_LENGTH));
