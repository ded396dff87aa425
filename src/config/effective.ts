/** From what the schema read to the settings that the other layers see. */
import type { KeepaliveSettings, Route, Settings } from '../core/settings.ts';
import type { Config } from './schema.ts';

type Policy = Config['keepalive'];
type ConfiguredRoute = Config['routes'][number];

/** The name of the route at `index` when the file gives none. */
export function defaultRouteName(index: number): string {
  return `route-${index + 1}`;
}

/** The effective settings. A route inherits the top-level keepalive key by key; the top-level upstream is the last route. */
export function toSettings(config: Config): Settings {
  const routes = config.routes.map((route, index) => toRoute(route, index, config.keepalive));
  const fallback = config.upstream && {
    name: 'default',
    host: null,
    path: null,
    upstream: config.upstream,
    keepalive: toKeepalive(config.keepalive),
  };
  const { connections, connections_per_ip, frame, header_bytes, buffer, control_frames_per_second } = config.limits;
  return {
    listen: config.listen,
    routes: fallback ? [...routes, fallback] : routes,
    upstreamTls: config.upstream_tls,
    allowedOrigins: config.allowed_origins,
    trustedProxies: config.trusted_proxies,
    timeouts: config.timeouts,
    limits: {
      connections,
      connectionsPerIp: connections_per_ip,
      frame,
      headerBytes: header_bytes,
      buffer,
      controlFramesPerSecond: control_frames_per_second,
    },
    admin: config.admin,
    probe: config.probe,
    log: config.log,
  };
}

function toRoute(route: ConfiguredRoute, index: number, inherited: Policy): Route {
  const own = route.keepalive;
  return {
    name: route.name ?? defaultRouteName(index),
    host: route.host ?? null,
    path: route.path ?? null,
    upstream: route.upstream,
    keepalive: toKeepalive({
      ping_interval: own.ping_interval ?? inherited.ping_interval,
      pong_timeout: own.pong_timeout ?? inherited.pong_timeout,
      mode: own.mode ?? inherited.mode,
      upstream_ping_interval: own.upstream_ping_interval ?? inherited.upstream_ping_interval,
      upstream_pong_timeout: own.upstream_pong_timeout ?? inherited.upstream_pong_timeout,
      adaptive: own.adaptive ?? inherited.adaptive,
      front_idle_timeout: own.front_idle_timeout ?? inherited.front_idle_timeout,
    }),
  };
}

function toKeepalive(policy: Policy): KeepaliveSettings {
  const { mode } = policy;
  return {
    client: { interval: policy.ping_interval, timeout: policy.pong_timeout, mode },
    upstream: { interval: policy.upstream_ping_interval, timeout: policy.upstream_pong_timeout, mode },
    adaptive: policy.adaptive,
    frontIdleTimeout: policy.front_idle_timeout,
  };
}
