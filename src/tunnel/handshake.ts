/**
 * The rules of the WebSocket opening handshake (RFC 6455 4) for both of the proxy's ends: what a client must ask and what an
 * upstream must answer. No sockets here.
 */

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import {
  endToEnd,
  FieldNames,
  formatFields,
  hasTooManyHeaders,
  offersWebSocket,
  type RawHeaders,
  tokensOf,
  valuesOf,
  withoutFields,
} from '../http/headers.ts';
import type { ResponseHead } from '../http/response-head.ts';
import { isHost, originForm } from '../http/route.ts';

/** Why a request is not let in. `detail` may be shown to the client: it says what to change and quotes nothing. */
export interface RequestRefusal {
  readonly status: 400 | 426 | 431;
  readonly detail: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a client offered, in its own spelling. */
export interface Offer {
  readonly protocols: readonly string[];
  readonly extensions: readonly string[];
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** The answer to a key, RFC 6455 4.2.2. */
export function acceptFor(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}

/** Null when the request may be passed on. Looks at the fields as sent: `req.headers` hides repetitions. */
export function checkRequest(
  req: Pick<IncomingMessage, 'method' | 'url' | 'httpVersion' | 'rawHeaders'>,
): RequestRefusal | null {
  if (req.httpVersion !== '1.1') {
    return upgradeRequired('a WebSocket needs HTTP/1.1; nginx sends it with the line: proxy_http_version 1.1;');
  }
  if (req.method !== 'GET') return bad('a WebSocket is opened with GET');
  if (originForm(req.url ?? '') === null) return bad('the request target is neither a path nor a URL');
  return checkFields(req.rawHeaders) ?? checkWebSocketFields(req.rawHeaders);
}

/** RFC 9112 3.2 and 6. */
function checkFields(headers: RawHeaders): RequestRefusal | null {
  if (hasTooManyHeaders(headers)) return { status: 431, detail: 'the request has too many headers', headers: {} };
  const hosts = valuesOf(headers, 'host');
  if (hosts.length !== 1 || !isHost(hosts[0] ?? '')) return bad('exactly one valid Host header is needed');
  // A body would be read as frames by one of the two ends.
  if (valuesOf(headers, 'transfer-encoding').length > 0) return bad('a WebSocket request has no body');
  if (valuesOf(headers, 'content-length').some((length) => !/^0+$/.test(length))) {
    return bad('a WebSocket request has no body');
  }
  return null;
}

/** RFC 6455 4.2.1. */
function checkWebSocketFields(headers: RawHeaders): RequestRefusal | null {
  if (!tokensOf(headers, 'connection').includes('upgrade')) return bad('the header Connection: Upgrade is missing');
  if (!offersWebSocket(headers)) return bad('the header Upgrade: websocket is missing');
  const keys = valuesOf(headers, 'sec-websocket-key');
  if (keys.length !== 1 || !KEY.test(keys[0] ?? '')) {
    return bad('exactly one Sec-WebSocket-Key of 16 bytes in base64 is needed');
  }
  const versions = valuesOf(headers, 'sec-websocket-version');
  if (versions.length !== 1 || versions[0] !== '13') {
    return upgradeRequired('exactly one Sec-WebSocket-Version is needed, and it must be 13');
  }
  return null;
}

function bad(detail: string): RequestRefusal {
  return { status: 400, detail, headers: {} };
}

/** RFC 9110 15.5.22 wants Upgrade in the answer, RFC 6455 4.4 the version that is spoken here. */
function upgradeRequired(detail: string): RequestRefusal {
  return {
    status: 426,
    detail,
    headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
  };
}

/** The subprotocols and extensions that a request offers. */
export function offerOf(headers: RawHeaders): Offer {
  return {
    protocols: valuesOf(headers, 'sec-websocket-protocol')
      .flatMap((value) => value.split(','))
      .map((protocol) => protocol.trim()),
    extensions: extensionNames(valuesOf(headers, 'sec-websocket-extensions')),
  };
}

/** Names of the extensions, without their parameters; commas inside quoted parameters do not separate (RFC 6455 9.1). */
export function extensionNames(values: readonly string[]): string[] {
  return values
    .flatMap((value) => withoutQuoted(value).split(','))
    .map((extension) => (extension.split(';', 1)[0] ?? '').trim())
    .filter((name) => name !== '');
}

/** Without quoted strings (RFC 9110 5.6.4). A regular expression would take quadratic time on quotes that never close. */
function withoutQuoted(value: string): string {
  let text = '';
  let quoted = false;
  for (let at = 0; at < value.length; at += 1) {
    const char = value.charAt(at);
    if (char === '"') quoted = !quoted;
    else if (quoted && char === '\\') at += 1;
    else if (!quoted) text += char;
  }
  return text;
}

/** Null when a 101 is a true one (RFC 6455 4.1, 4.2.2), or what is wrong with it, in words that quote nothing. */
export function checkResponse(head: ResponseHead, key: string): string | null {
  const fields = head.rawHeaders;
  if (head.status !== 101) return 'it is not a 101';
  const upgrades = valuesOf(fields, 'upgrade');
  if (upgrades.length !== 1 || upgrades[0]?.toLowerCase() !== 'websocket') return 'its Upgrade header is not websocket';
  if (!tokensOf(fields, 'connection').includes('upgrade')) return 'its Connection header does not say Upgrade';
  const accepts = valuesOf(fields, 'sec-websocket-accept');
  if (accepts.length !== 1 || accepts[0] !== acceptFor(key)) return 'its Sec-WebSocket-Accept does not fit the key';
  return null;
}

/**
 * What is odd about a true 101, in words that quote nothing; null: nothing. It passes all the same: clients differ in what they take, and
 * each judges for itself, as it would without the proxy.
 */
export function oddityOf(head: ResponseHead, offer: Offer): string | null {
  if (head.version === '1.0') return 'it is HTTP/1.0 (RFC 6455 asks for 1.1)';
  const protocols = valuesOf(head.rawHeaders, 'sec-websocket-protocol');
  if (protocols.length > 1) return 'it chose more than one subprotocol';
  if (protocols.some((protocol) => !offer.protocols.includes(protocol))) {
    return 'it chose a subprotocol that was not offered, or in another spelling';
  }
  const lines = valuesOf(head.rawHeaders, 'sec-websocket-extensions');
  const names = extensionNames(lines);
  // RFC 6455 11.3.2: one line in an answer.
  if (lines.length > 1 || new Set(names).size !== names.length)
    return 'it named extensions in more than one line, or twice';
  return names.every((name) => offer.extensions.includes(name)) ? null : 'it chose an extension that was not offered';
}

const REPLACED_IN_REQUEST = new FieldNames(['connection', 'upgrade', 'sec-websocket-key', 'sec-websocket-version']);

/** The request head for the upstream, Latin-1. `headers` are the client's that pass on; `key` is the proxy's own. */
export function formatRequest(target: string, headers: RawHeaders, key: string): string {
  const passed = formatFields(withoutFields(headers, REPLACED_IN_REQUEST));
  return (
    `GET ${target} HTTP/1.1\r\n${passed}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`
  );
}

/** A 101 has no body (RFC 9110 15.2), so it has no framing either; the accept answers the upstream's key, not the client's. */
const DROPPED_FROM_101 = new FieldNames(['sec-websocket-accept', 'content-length', 'transfer-encoding']);

/** The 101 for the client, Latin-1: its own accept, and what else the upstream said to it. */
export function formatSwitchingProtocols(upstream: RawHeaders, clientKey: string): string {
  const passed = formatFields(withoutFields(endToEnd(upstream), DROPPED_FROM_101));
  return (
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${acceptFor(clientKey)}\r\n${passed}\r\n`
  );
}
