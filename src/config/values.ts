/** Readers for single values. Each takes trimmed text, returns the value in its canonical form, and throws ValueError. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Address, ListenAddress, UpstreamTarget } from '../core/settings.ts';
import { ValueError, shown } from './errors.ts';
import { didYouMean, nearest } from './nearest.ts';

/** Linux keeps 108 bytes for the path of a unix socket, the closing zero included. */
const UNIX_PATH_BYTES = 107;
const NAME = /^[a-zA-Z0-9_-]+$/;
const HOST = /^(?!-)[a-zA-Z0-9_-]{1,63}(?:\.[a-zA-Z0-9_-]{1,63})*$/;

/** Where to listen: `host:port`, `[v6]:port`, `unix:/path`. Port 0 lets the system choose. */
export function parseListen(text: string): Address {
  if (text.startsWith('unix:')) return parseUnix(text);
  if (text.startsWith('fd:')) throw new ValueError('a descriptor is only for listen; write host:port or unix:/path');
  const [, v6, name, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,9})$/.exec(text) ?? [];
  const host = v6 ?? name;
  if (host === undefined || port === undefined) throw new ValueError(listenAdvice(text));
  if (host === '' || host === '*')
    throw new ValueError(`${shown(text)} has no host; write 0.0.0.0:${port} or [::]:${port}`);
  if (v6 !== undefined ? !isIPv6(v6) : !isHost(host))
    throw new ValueError(`${shown(host)} is not a host name or address`);
  if (Number(port) > 65_535) throw new ValueError(`port ${port} is out of range; ports end at 65535`);
  return { kind: 'tcp', host: host.toLowerCase(), port: Number(port) };
}

function listenAdvice(text: string): string {
  const [, v6 = '', port = ''] = /^(.*[^:]):(\d{2,5})$/.exec(text) ?? [];
  if (isIPv6(v6))
    return `${shown(text)} may be an address without a port; write "[${v6}]:${port}", with quotes in YAML`;
  if (isIPv6(text)) return `${shown(text)} has no port; write "[${text}]:8080", with quotes in YAML`;
  if (/^\d+$/.test(text))
    return `${text} has no host; write 0.0.0.0:${text}, or 127.0.0.1:${text} for this machine only`;
  if (text.includes('://')) return `${shown(text)} is a URL; write host:port, such as 0.0.0.0:8080`;
  return `${shown(text)} is not an address; write host:port, "[::]:port" or unix:/path`;
}

/** As `parseListen`, or `fd:3`: a socket that the parent process has opened. */
export function parseListenOrDescriptor(text: string): ListenAddress {
  if (!text.startsWith('fd:')) return parseListen(text);
  const [, digits] = /^fd:(\d{1,6})$/.exec(text) ?? [];
  if (digits === undefined) throw new ValueError(`${shown(text)} is not a descriptor; write fd:3`);
  if (Number(digits) < 3) throw new ValueError(`${text} is standard input or output; sockets begin at fd:3`);
  return { kind: 'fd', fd: Number(digits) };
}

/** The inverse of `parseListen` and `parseListenOrDescriptor`. */
export function formatListen(address: ListenAddress): string {
  if (address.kind === 'fd') return `fd:${address.fd}`;
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

function parseUnix(text: string): Address {
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
  if (!path.startsWith('/')) throw new ValueError('a unix socket needs an absolute path; write unix:/run/app.sock');
  if (path.includes('\0') || Buffer.byteLength(path) > UNIX_PATH_BYTES) {
    throw new ValueError(`the path of a unix socket has at most ${UNIX_PATH_BYTES} bytes`);
  }
  return { kind: 'unix', path };
}

/** `http://`, `ws://`, `https://`, `wss://` with a host and perhaps a port, or `unix:/path`. */
export function parseUpstream(text: string): UpstreamTarget {
  if (text.startsWith('unix:')) return { address: parseUnix(text), tls: false, url: text };
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) throw new ValueError(upstreamAdvice(text));
  const protocol = scheme.toLowerCase();
  if (!['http', 'https', 'ws', 'wss'].includes(protocol)) {
    throw new ValueError(`${scheme}:// is not supported; use http://, https://, ws://, wss:// or unix:/path`);
  }
  refuseUrlExtras(rest);
  const authority = rest.replace(/\/$/, '');
  const tls = protocol === 'https' || protocol === 'wss';
  return { address: parseAuthority(authority, tls), tls, url: `${protocol}://${authority}` };
}

function upstreamAdvice(text: string): string {
  const advice = HOST.test(text.replace(/:\d+$/, '')) ? `http://${text}` : 'http://neko:8080';
  return `${shown(text)} is not an upstream; write ${advice}, or https://, ws://, wss://, unix:/path`;
}

function refuseUrlExtras(rest: string): void {
  if (/[?#]/.test(rest)) throw new ValueError('an upstream has no query and no fragment; requests bring their own');
  if (rest.includes('@'))
    throw new ValueError('an upstream carries no user name or password; remove them from the URL');
  if (rest.includes(','))
    throw new ValueError('of several upstreams each has its scheme; write http://a:8080,http://b:8080');
  if (/\/./.test(rest))
    throw new ValueError('an upstream has no path: paths pass unchanged; end the URL after the host and port');
}

function parseAuthority(authority: string, tls: boolean): Address {
  const written = `http://${authority}`;
  // URL would quietly drop tabs and line ends, and read a backslash as a slash.
  const url = /[\s\\]/.test(authority) || !URL.canParse(written) ? null : new URL(written);
  if (url === null || authority.endsWith(':')) {
    throw new ValueError(`${shown(authority)} is not a host with an optional port, such as neko:8080`);
  }
  const port = /:(\d+)$/.exec(authority)?.[1];
  if (port !== undefined && Number(port) === 0)
    throw new ValueError('port 0 cannot be connected to; give the real one');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { kind: 'tcp', host, port: Number(port ?? (tls ? 443 : 80)) };
}

/** `loopback`, `private`, an address, or a CIDR. */
export function parseTrustedProxy(text: string): string {
  if (text === 'loopback' || text === 'private') return text;
  const [address = '', prefix] = text.split('/');
  // ipaddr.js alone would take `127` and `010.1` for addresses.
  const isAddress = isIP(address) !== 0 && !address.includes('%');
  const isRange = prefix === undefined || (/^\d+$/.test(prefix) && ipaddr.isValidCIDR(text));
  if (isAddress && isRange) return text.toLowerCase();
  throw new ValueError(`${shown(text)} is not loopback, private, an address or a range such as 10.0.0.0/8`);
}

/** `same-host`, or an origin as browsers send it: scheme, host, and a port that is not the scheme's own. */
export function parseOrigin(text: string): string {
  if (text === 'same-host') return text;
  if (text === '*') throw new ValueError('* is not an origin; leave the list empty to accept every origin');
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:\/\/[^\s\\]+$/i.test(text)) {
    throw new ValueError(`${shown(text)} is not an origin; write same-host, or for example https://neko.example.com`);
  }
  if (!/^[^:]+:\/\/[^/?#@]+$/.test(text)) {
    throw new ValueError(`an origin has no path, query or user; write ${url.protocol}//${url.host}`);
  }
  return url.origin;
}

/** A `Host` name that a listener answers to: no port. Lower case. */
export function parseHostName(text: string): string {
  if (isHost(text)) return text.toLowerCase();
  throw new ValueError(`${shown(text)} is not a host name${/:\d+$/.test(text) ? '; leave the port out' : ''}`);
}

/** A route's host: exact, or `*.suffix`. Lower case. */
export function parseRouteHost(text: string): string {
  if (text === '*') throw new ValueError('leave host out to match every host');
  const suffix = text.replace(/^\*\./, '');
  if (suffix.includes('*')) {
    const rest = /\*\.?([^*]*)$/.exec(suffix)?.[1] ?? '';
    throw new ValueError(
      `${shown(text)}: a * stands once, at the beginning, for all names below; write *.${rest === '' ? 'example.com' : rest}`,
    );
  }
  return suffix === text ? parseHostName(text) : `*.${parseHostName(suffix)}`;
}

/** A route's path prefix without a trailing slash; null for `/`, which is any path. */
export function parseRoutePath(text: string): string | null {
  if (!text.startsWith('/')) throw new ValueError('a path starts with /');
  if (/[?#]/.test(text)) throw new ValueError('a path has no query and no fragment');
  const [, above] = /^(.*)\/\*{1,2}$/.exec(text) ?? [];
  if (above === '') throw new ValueError('leave path out to match every path');
  if (above !== undefined) throw new ValueError(`a path matches all that is below it; write ${above}`);
  if (!/^[\x21-\x7e]+$/.test(text) || text.includes('\\')) {
    throw new ValueError(
      'a path is compared as it stands in requests: write spaces, backslashes and letters beyond ASCII as %XX',
    );
  }
  const path = text.replace(/\/$/, '');
  const segments = path.split('/').slice(1);
  if (segments.some((segment) => /^(?:\.|%2e){0,2}$/i.test(segment))) {
    throw new ValueError('a path has no empty segments and none that are . or ..');
  }
  return path === '' ? null : path;
}

/** A label in logs and metrics. */
export function parseRouteName(text: string): string {
  if (text === 'default' || text === 'none') throw new ValueError(`the name ${text} is reserved; choose another`);
  if (!NAME.test(text)) throw new ValueError(`${shown(text)} is not a name; use only letters, digits, _ and -`);
  return text;
}

export function parseBoolean(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new ValueError(`${shown(text)} is neither true nor false`);
}

/** `on` or `off`, or what YAML calls true and false. */
export function parseOnOff(text: string): boolean {
  if (text === 'on' || text === 'true') return true;
  if (text === 'off' || text === 'false') return false;
  throw new ValueError(`${shown(text)} is neither on nor off`);
}

/** Registered codes that fit a proxy that stops; 1000 would say that the client, or the server, is done. */
export const OWN_CLOSE_CODES = [1001, 1011, 1012, 1013];

/** `off` is null. */
export function parseCloseCode(text: string): number | null {
  if (text === 'off') return null;
  const code = /^\d{4}$/.test(text) ? Number(text) : 0;
  const isOurs = OWN_CLOSE_CODES.includes(code) || (code >= 3000 && code <= 4999);
  if (!isOurs)
    throw new ValueError(
      `${shown(text)} is no code for this; write ${OWN_CLOSE_CODES.join(', ')}, 3000 to 4999, or off`,
    );
  return code;
}

/** A whole number from 1; `off` is `Infinity`. */
export function parseCount(text: string): number {
  if (text === 'off') return Infinity;
  if (/^\d{1,15}$/.test(text) && Number(text) > 0) return Number(text);
  throw new ValueError(`${shown(text)} is not a whole number from 1, or off`);
}

/** One of a closed set of words. */
export function parseWord<const T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((known) => known === text);
    if (word !== undefined) return word;
    throw new ValueError(`${shown(text)} is not one of ${words.join(', ')}${didYouMean(nearest(text, words))}`);
  };
}

function isHost(text: string): boolean {
  // What ends in a number is an address (WHATWG URL, "ends in a number"), so `300.1.2.3` is no name.
  return /(?:^|\.)\d+$/.test(text) ? isIPv4(text) : text.length <= 253 && HOST.test(text);
}
