/**
 * Who the client is, and what the upstream is told about it.
 *
 * Neko believes `True-Client-IP`, then `X-Real-IP`, then the first entry of `X-Forwarded-For`, from anyone, and bans by that
 * address. So whatever a client can forge is taken out here, and the first entry left is the client.
 */
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import { elementsOf, endToEndHeaders, FieldNames, valuesOf } from './headers.ts';
import { remembering } from './remembering.ts';

export type Trust = (address: string) => boolean;
type Range = ReturnType<typeof ipaddr.parseCIDR>;

/** What a peer on a unix socket is called: file permissions say who may connect, so it is trusted like the own host. */
const UNIX_PEER = '127.0.0.1';
/** A peer that was gone before its address could be asked for. Never trusted. A valid element of X-Forwarded-For. */
export const UNKNOWN_PEER = 'unknown';

const NAMED_RANGES: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/** Believed from a trusted peer alone. */
const TRUSTED_FIELDS = new FieldNames(['forwarded', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-port']);
/** And those that are written here alone. */
const FORWARDING_FIELDS = TRUSTED_FIELDS.with(['x-real-ip', 'x-forwarded-for', 'true-client-ip']);

/**
 * Compiles a list of trusted proxies: the names `loopback` and `private` (RFC 1918 and fc00::/7), CIDRs, or addresses.
 * IPv4 written as IPv4-mapped IPv6 is IPv4, in the list and in what is asked.
 *
 * @throws RangeError for an entry that is none of these.
 */
export function compileTrust(list: readonly string[]): Trust {
  const ranges = list.flatMap((entry) => (NAMED_RANGES[entry] ?? [entry]).map(parseRange));
  return remembering((address) => {
    if (isIP(address) === 0) return false;
    const parsed = ipaddr.process(address);
    return ranges.some(([base, bits]) => base.kind() === parsed.kind() && parsed.match(base, bits));
  });
}

function parseRange(entry: string): Range {
  const [address = '', bits, ...rest] = entry.split('/');
  const version = isIP(address);
  const width = version === 4 ? 32 : 128;
  const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (version === 0 || rest.length > 0 || !(prefix <= width)) {
    throw new RangeError(`"${entry}" is no address, no CIDR and none of: ${Object.keys(NAMED_RANGES).join(', ')}`);
  }
  const base = ipaddr.parse(address);
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8. A shorter prefix covers more than IPv4 and stays IPv6.
  if (base instanceof ipaddr.IPv6 && base.isIPv4MappedAddress() && prefix >= 96) {
    return [base.toIPv4Address(), prefix - 96];
  }
  return [base, prefix];
}

/** The client's address as a PROXY head said it, on the socket itself: a WeakMap costs the collector more. */
const kFromHead = Symbol('address from the PROXY head');

/** A PROXY head said whose connection this is. */
export function setAddressFromHead(socket: Socket, address: string): void {
  (socket as Socket & { [kFromHead]?: string })[kFromHead] = address;
}

/**
 * The address for the functions below: of the client as a PROXY head said it, else of the TCP peer. Forwarding fields are believed only
 * if that address is trusted.
 */
export function peerAddress(socket: Socket): string {
  return (socket as Socket & { [kFromHead]?: string })[kFromHead] ?? tcpPeer(socket);
}

/**
 * The address of the TCP peer; `''` for a unix socket. Ask as soon as the connection is there: a TCP peer that is already gone has no
 * address and must not pass for a unix socket, so it is `unknown`.
 */
export function tcpPeer(socket: Socket): string {
  if (socket.remoteAddress !== undefined) return socket.remoteAddress;
  return socket.destroyed || socket.localAddress !== undefined ? UNKNOWN_PEER : '';
}

/**
 * The client's address, found from the right through trusted proxies.
 *
 * @param peer the TCP peer's address as Node gives it; empty for a unix socket, which is trusted and called 127.0.0.1.
 */
export function resolveClient(peer: string, rawHeaders: readonly string[], trusted: Trust): string {
  return believedChain(peer, rawHeaders, trusted)[0] ?? UNKNOWN_PEER;
}

/**
 * The headers for the upstream: end-to-end ones in their order and casing, then `X-Real-IP` and `X-Forwarded-For` made anew.
 * `Connection`, `Upgrade` and `Transfer-Encoding` are left for the caller to write.
 *
 * @param peer see {@link resolveClient}
 */
export function forwardHeaders(rawHeaders: readonly string[], peer: string, trusted: Trust): string[] {
  const chain = believedChain(peer, rawHeaders, trusted);
  const peerTrusted = isTrustedPeer(peer, trusted);
  const passing = endToEndHeaders(rawHeaders);
  const headers: string[] = [];
  for (let at = 0; at + 1 < passing.length; at += 2) {
    const name = passing[at] as string;
    if (mayPass(name, peerTrusted)) headers.push(name, passing[at + 1] as string);
  }
  headers.push('X-Real-IP', chain[0] ?? UNKNOWN_PEER, 'X-Forwarded-For', chain.join(', '));
  return headers;
}

/** Whether what this peer says of a client is believed. File permissions say who may connect to a unix socket. */
export function isTrustedPeer(peer: string, trusted: Trust): boolean {
  return peer === '' || trusted(peer);
}

/** True for a header that tells of the client or of the way to here. A trailer must not carry it. */
export function isForwardingField(name: string): boolean {
  return FORWARDING_FIELDS.mayHave(name) && FORWARDING_FIELDS.has(plainName(name));
}

function mayPass(name: string, peerTrusted: boolean): boolean {
  return !isForwardingField(name) || (peerTrusted && TRUSTED_FIELDS.has(name));
}

/** CGI and its heirs read X_Real_IP as X-Real-IP, and some do so for every sign that is no letter. */
function plainName(name: string): string {
  return name.replace(/[^a-z0-9]/gi, '-');
}

/** The addresses that can be believed, client first, peer last. */
function believedChain(peer: string, rawHeaders: readonly string[], trusted: Trust): string[] {
  const self = peer === '' ? UNIX_PEER : parsePeer(peer);
  const chain = [self];
  if (peer !== '' && !trusted(self)) return chain;
  const claims = elementsOf(rawHeaders, 'x-forwarded-for');
  if (claims.length === 0) claims.push(...soleRealIp(rawHeaders));
  for (const claim of claims.toReversed()) {
    const address = parseAddress(claim);
    if (address === undefined) break;
    chain.unshift(address);
    if (!trusted(address)) break;
  }
  return chain;
}

/** `X-Real-IP`, unless there are several: then nobody knows which of them the front has written. */
function soleRealIp(rawHeaders: readonly string[]): string[] {
  const values = valuesOf(rawHeaders, 'x-real-ip');
  return values.length === 1 ? values : [];
}

const parsePeer = remembering((peer) => parseAddress(peer) ?? UNKNOWN_PEER);

/** `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5` as a bare address, IPv4-mapped as IPv4; anything else is undefined. */
function parseAddress(text: string): string | undefined {
  const trimmed = text.trim();
  const match = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(trimmed) ?? /^([\d.]+):\d{1,5}$/.exec(trimmed);
  const address = match?.[1] ?? trimmed;
  if (isIP(address) === 0) return undefined;
  const parsed = ipaddr.parse(address);
  return parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : address;
}
