/** `/status`: the state of the program as JSON. Durations are in ms, names as in the log. */
import type { ConnectionView } from '../../core/report.ts';
import type { Ledger, RouteCounts } from './ledger.ts';
import type { RouteView, StatusSource } from './view.ts';

export interface StatusOptions {
  readonly version: string;
  readonly ledger: Ledger;
  readonly source: StatusSource;
  /** When the program started, in ms on the monotonic clock. */
  readonly startedAt: number;
}

export interface RouteStatus extends RouteCounts {
  readonly name: string;
  /** The smallest in force; null: Pings are off. */
  readonly intervalMs: number | null;
  /** As configured; null: off, or a route that is no longer configured. */
  readonly configuredMs: number | null;
  readonly adaptive: boolean;
}

/** Every configured route, and those on which anything has happened. */
export function routeStatus({ ledger, source }: StatusOptions): RouteStatus[] {
  const configured = source.routes();
  const smallest = smallestIntervals(source);
  const others = [...ledger.routes.keys()].filter((name) => !configured.some((route) => route.name === name));
  const gone = others.map((name): RouteView => ({ name, intervalMs: Infinity, adaptive: false }));
  return [...configured, ...gone].map(({ name, intervalMs, adaptive }) => ({
    name,
    intervalMs: finite(smallest.get(name) ?? Infinity),
    configuredMs: finite(intervalMs),
    adaptive,
    ...ledger.countsOf(name),
  }));
}

export function statusReport(options: StatusOptions, now: number): object {
  const { version, ledger, source, startedAt } = options;
  return {
    version,
    uptime_ms: Math.round(now - startedAt),
    draining: source.isDraining(),
    routes: routeStatus(options).map((route) => ({
      name: route.name,
      ping_interval_ms: route.intervalMs,
      configured_ping_interval_ms: route.configuredMs,
      adaptive: route.adaptive,
      connections_open: route.open,
      connections_total: route.opened,
      cuts_prevented: route.cutsPrevented,
      closes: route.closes,
      upgrade_failures: route.failures,
    })),
    learned: source.lessons().map(({ route, front, cutAfterMs, intervalMs }) => ({
      route,
      front,
      cut_after_ms: Math.round(cutAfterMs),
      ping_interval_ms: Math.round(intervalMs),
    })),
    connections: [...source.connections()].map((connection) => connectionReport(connection, now)),
    closes: ledger.closes.map(({ at, id, route, client, path, durationMs, idleMs, ...end }) => ({
      time: new Date(at).toISOString(),
      id,
      route,
      client,
      path,
      duration_ms: durationMs,
      idle_ms: idleMs,
      initiator: end.initiator,
      cause: end.cause,
      code: end.code,
      reason: end.reason,
      verdict: end.verdict,
    })),
    upgrade_failures: ledger.failures.map(({ at, route, client, path, cause, status, detail, verdict }) => ({
      time: new Date(at).toISOString(),
      route,
      client,
      path,
      reason: cause,
      status,
      detail,
      verdict,
    })),
  };
}

/** What is in force: where something was learned, new connections from that front get the learned interval. */
export function smallestIntervals(source: StatusSource): Map<string, number> {
  const smallest = new Map(source.routes().map(({ name, intervalMs }) => [name, intervalMs]));
  const note = (route: string, intervalMs: number): void => {
    smallest.set(route, Math.min(smallest.get(route) ?? Infinity, intervalMs));
  };
  // Pings that are off stay off, whatever was learned.
  for (const { route, intervalMs } of source.lessons()) if (smallest.get(route) !== Infinity) note(route, intervalMs);
  for (const { route, intervalMs } of source.connections()) note(route, intervalMs);
  return smallest;
}

function connectionReport(connection: ConnectionView, now: number): object {
  const { id, route, client, front, path, state, rttMs, pings, pongs, bytesUp, bytesDown } = connection;
  return {
    id,
    route,
    client,
    front,
    path,
    state,
    age_ms: Math.round(now - connection.openedAt),
    idle_ms: Math.round(now - connection.activeAt),
    rtt_ms: rttMs,
    pings,
    pongs,
    bytes_up: bytesUp,
    bytes_down: bytesDown,
    ping_interval_ms: finite(connection.intervalMs),
  };
}

function finite(ms: number): number | null {
  return ms === Infinity ? null : Math.round(ms);
}
