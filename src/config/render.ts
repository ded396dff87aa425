/** Settings as YAML that loads to the same settings: what `check` prints. */
import { stringify } from 'yaml';
import type { KeepaliveSettings, Route, Settings } from '../core/settings.ts';
import { formatDuration, formatSize } from './duration.ts';
import { formatListen } from './values.ts';

/** The effective configuration. Loading the text again gives equal settings. */
export function renderSettings(settings: Settings): string {
  const fallback = settings.routes.find((route) => route.name === 'default');
  const routes = settings.routes.filter((route) => route !== fallback);
  const { timeouts, admin, probe, log } = settings;
  return stringify({
    listen: settings.listen.map(formatListen),
    ...(fallback && { upstream: fallback.upstream.url }),
    upstream_tls: settings.upstreamTls,
    ...(fallback && { keepalive: renderKeepalive(fallback.keepalive) }),
    routes: routes.map(renderRoute),
    allowed_origins: settings.allowedOrigins,
    trusted_proxies: settings.trustedProxies,
    timeouts: {
      connect: formatDuration(timeouts.connect),
      handshake: formatDuration(timeouts.handshake),
      stall: formatDuration(timeouts.stall),
      drain: formatDuration(timeouts.drain),
    },
    limits: renderLimits(settings.limits),
    admin: { listen: admin.listen === null ? 'off' : formatListen(admin.listen), hosts: admin.hosts },
    probe,
    log,
  });
}

function renderKeepalive({ client, upstream, adaptive, frontIdleTimeout }: KeepaliveSettings): object {
  return {
    ping_interval: formatDuration(client.interval),
    pong_timeout: formatDuration(client.timeout),
    mode: client.mode,
    upstream_ping_interval: formatDuration(upstream.interval),
    upstream_pong_timeout: formatDuration(upstream.timeout),
    adaptive,
    front_idle_timeout: formatDuration(frontIdleTimeout),
  };
}

function renderRoute({ name, host, path, upstream, keepalive }: Route): object {
  return {
    name,
    ...(host !== null && { host }),
    ...(path !== null && { path }),
    upstream: upstream.url,
    keepalive: renderKeepalive(keepalive),
  };
}

function renderLimits(limits: Settings['limits']): object {
  return {
    connections: limits.connections === Infinity ? 'off' : limits.connections,
    connections_per_ip: count(limits.connectionsPerIp),
    frame: formatSize(limits.frame),
    header_bytes: formatSize(limits.headerBytes),
    buffer: formatSize(limits.buffer),
    control_frames_per_second: count(limits.controlFramesPerSecond),
  };
}

function count(value: number): number | 'off' {
  return value === Infinity ? 'off' : value;
}
