/** Settings that are valid and probably not meant: one sentence each, with what to do. */
import { isIP } from 'node:net';
import type { Address, ListenAddress, Route, Settings } from '../core/settings.ts';
import { formatDuration } from './duration.ts';

/** The warnings about `settings`, in the order of the configuration. */
export function warningsFor(settings: Settings): string[] {
  return [
    ...settings.routes.flatMap((route) =>
      route.upstreams
        .filter(({ address }) => isOwn(address, settings.listen))
        .map(({ url }) => selfWarning(route, url)),
    ),
    ...(settings.upstreamTls.verify
      ? []
      : ['upstream_tls.verify is false: anyone on the way can pose as the upstream']),
    ...settings.routes.flatMap(keepaliveWarnings),
    ...settings.routes.flatMap((route, index) => hiddenWarnings(route, settings.routes.slice(0, index))),
    ...settings.trustedProxies.filter((entry) => entry.endsWith('/0')).map(trustWarning),
  ];
}

function selfWarning(route: Route, url: string): string {
  return `route ${route.name}: the upstream ${url} is this proxy's own address; requests would go round in a circle`;
}

function trustWarning(entry: string): string {
  return `trusted_proxies: ${entry} lets every client choose the address it is known by; name the proxies in front instead`;
}

function keepaliveWarnings(route: Route): string[] {
  const { client, frontIdleTimeout } = route.keepalive;
  if (frontIdleTimeout === Infinity || client.interval * 2 <= frontIdleTimeout) return [];
  const front = `keepalive.front_idle_timeout (${formatDuration(frontIdleTimeout)})`;
  const why =
    client.interval === Infinity
      ? `is off: the proxy in front will cut connections that are quiet for ${front}`
      : `(${formatDuration(client.interval)}) is over half of ${front}: one late Ping and a quiet connection is cut; shorten it`;
  return [`route ${route.name}: keepalive.ping_interval ${why}`];
}

function hiddenWarnings(route: Route, earlier: readonly Route[]): string[] {
  const hiding = earlier.find((other) => hostCovers(other.host, route.host) && pathCovers(other.path, route.path));
  if (hiding === undefined) return [];
  return [`route ${route.name} is never used: route ${hiding.name} before it matches everything it would; swap them`];
}

function hostCovers(wide: string | null, narrow: string | null): boolean {
  if (wide === null || wide === narrow) return true;
  return narrow !== null && wide.startsWith('*.') && narrow.endsWith(wide.slice(1));
}

function pathCovers(wide: string | null, narrow: string | null): boolean {
  if (wide === null || wide === narrow) return true;
  return narrow !== null && narrow.startsWith(`${wide}/`);
}

function isOwn(address: Address, listen: readonly ListenAddress[]): boolean {
  return listen.some((own) => {
    if (own.kind === 'fd') return false;
    if (own.kind === 'unix' || address.kind === 'unix') {
      return own.kind === 'unix' && address.kind === 'unix' && own.path === address.path;
    }
    if (own.port !== address.port || own.port === 0) return false;
    return own.host === address.host || (isWildcard(own.host) && isLoopback(address.host));
  });
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
