/** A route with nothing switched on, for parts that are tested without a configuration. */
import type { Limits, Route, Timeouts, UpstreamTarget } from '../../src/core/settings.ts';

const PING = { interval: Infinity, timeout: Infinity, mode: 'idle' } as const;
export const TIMEOUTS: Timeouts = { connect: 5000, handshake: 15_000, stall: 60_000, drain: 8000 };
const LIMITS = {
  requests: Infinity,
  requestsPerIp: Infinity,
  handshakes: Infinity,
  age: Infinity,
  connections: Infinity,
  connectionsPerIp: Infinity,
  frame: Infinity,
  headerBytes: 16_384,
  buffer: 262_144,
  controlFramesPerSecond: Infinity,
};

interface Changes {
  readonly path?: string | null;
  readonly timeouts?: Partial<Timeouts>;
  readonly limits?: Partial<Limits & { readonly connections: number }>;
}

export function routeTo(
  upstream: UpstreamTarget | readonly UpstreamTarget[],
  name = 'default',
  changes: Changes = {},
): Route {
  return {
    name,
    host: null,
    path: changes.path ?? null,
    upstreams: [upstream].flat(),
    keepalive: { client: PING, upstream: PING, adaptive: false, frontIdleTimeout: Infinity },
    timeouts: { ...TIMEOUTS, ...changes.timeouts },
    limits: { ...LIMITS, ...changes.limits },
  };
}
