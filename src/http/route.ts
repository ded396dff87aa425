/**
 * Where a request goes and whether its origin may come in. Paths are compared as they stand on the wire: nothing is
 * decoded or resolved, so an encoded or dotted spelling of a route's path is not that path.
 */

import type { Route } from '../core/settings.ts';

/** First route that fits, or null. `target` is in origin form (see `originForm`); `host` is the Host field. */
export function selectRoute(routes: readonly Route[], host: string | undefined, target: string): Route | null {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  let name: string | undefined;
  function isFor(pattern: string | null): boolean {
    return pattern === null || hostMatches(pattern, (name ??= hostName(host ?? '')));
  }
  return routes.find((route) => isFor(route.host) && pathMatches(route.path, path)) ?? null;
}

function hostMatches(pattern: string, name: string): boolean {
  if (!pattern.startsWith('*.')) return name === pattern;
  const suffix = pattern.slice(1);
  return name.length > suffix.length && name.endsWith(suffix);
}

/** Whole segments only: `/room/alpha` is neither `/room/alphabet` nor `/room/%61lpha`. */
function pathMatches(prefix: string | null, path: string): boolean {
  return prefix === null || path === prefix || path.startsWith(`${prefix}/`);
}

const HOST = /^(?!.*\.\.)(?:\[[0-9a-f:.]+\]|[^\s/?#@\\,:[\]]+)(?::[0-9]*)?$/i;

/** Whether a Host field may be one, RFC 9110 7.2. As in nginx, a name is neither empty nor are its labels. */
export function isHost(value: string): boolean {
  return HOST.test(value);
}

/** The name in a Host field: lower case, without port and trailing dot. */
function hostName(host: string): string {
  return host
    .replace(/:[0-9]*$/, '')
    .replace(/\.$/, '')
    .toLowerCase();
}

/**
 * The path and query of a request target, byte for byte: nothing is decoded, resolved or joined. `*` for OPTIONS alone; null for what
 * no origin server can be asked for. An absolute form loses its scheme and authority (RFC 9112 3.2.2): a client does not choose the upstream.
 */
export function originForm(target: string, method = 'GET'): string | null {
  if (/[^\x21-\x7e\x80-\xff]/.test(target)) return null;
  if (target.startsWith('/')) return target;
  const isForAll = method === 'OPTIONS';
  if (target === '*') return isForAll ? target : null;
  const prefix = /^(?:https?|wss?):\/\/[^/?#]+/i.exec(target);
  if (prefix === null) return null;
  const rest = target.slice(prefix[0].length);
  // RFC 9112 3.2.4: OPTIONS without path or query asks about the server itself.
  if (rest === '' && isForAll) return '*';
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** An origin as browsers write it: scheme, host, port. No user, no path. */
const ORIGIN = /^https?:\/\/(?:\[[0-9a-f:.]+\]|[^\s/?#@\\:[\]]+)(?::[0-9]+)?$/i;

/**
 * May a page of this origin open a WebSocket here?
 *
 * @param allowed exact origins, and `same-host`: the origin's host is the one in the Host field. Ports are not compared for
 *   that, because fronts change or drop them. Empty: everybody may.
 */
export function originAllowed(
  allowed: readonly string[],
  origin: string | undefined,
  host: string | undefined,
): boolean {
  if (allowed.length === 0) return true;
  if (origin === undefined || !ORIGIN.test(origin)) return false;
  const own = normalOrigin(origin);
  return allowed.some((entry) => (entry === 'same-host' ? sameHost(origin, host) : normalOrigin(entry) === own));
}

function sameHost(origin: string, host: string | undefined): boolean {
  return host !== undefined && hostName(origin.replace(/^https?:\/\//i, '')) === hostName(host);
}

/** Lower case and without the scheme's default port, as browsers serialise it (RFC 6454 6.2). */
function normalOrigin(origin: string): string {
  return origin.toLowerCase().replace(/^(?:(http:\/\/.*):80|(https:\/\/.*):443)$/, '$1$2');
}
