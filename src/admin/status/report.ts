/** `/status`: the state of the program as JSON. Durations are in ms, names as in the log. docs/operations.md describes it. */
import type { ConnectionView } from '../../core/events.ts';
import type { EndGroup } from './end-groups.ts';
import type { ClosedRecord, End, FailedRecord, History, RouteCounts } from './history.ts';
import type { RouteView, StatusSource } from './view.ts';

/** Rises when a field goes or changes its meaning; new fields may come at any time. */
const SHAPE = 1;

export interface StatusOptions {
  readonly version: string;
  readonly events: History;
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
export function routeStatus({ events, source }: StatusOptions): RouteStatus[] {
  const configured = source.routes();
  const smallest = smallestIntervals(source);
  const others = [...events.routes.keys()].filter((name) => !configured.some((route) => route.name === name));
  const gone = others.map((name): RouteView => ({ name, intervalMs: Infinity, adaptive: false }));
  return [...configured, ...gone].map(({ name, intervalMs, adaptive }) => ({
    name,
    intervalMs: finite(smallest.get(name) ?? Infinity),
    configuredMs: finite(intervalMs),
    adaptive,
    ...events.countsOf(name),
  }));
}

export function statusReport(options: StatusOptions, now: number): object {
  const { version, events, source, startedAt } = options;
  const limit = source.connectionsLimit();
  return {
    version: SHAPE,
    program: version,
    uptime_ms: Math.round(now - startedAt),
    draining: source.isDraining(),
    connections_limit: limit === Infinity ? null : limit,
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
      upstreams: source
        .upstreams()
        .filter((upstream) => upstream.route === route.name)
        .map(({ url, isUp, since, error }) => ({ url, up: isUp, since: timeOf(since), error })),
    })),
    learned: source.lessons().map(({ route, front, cutAfterMs, intervalMs }) => ({
      route,
      front,
      cut_after_ms: Math.round(cutAfterMs),
      ping_interval_ms: Math.round(intervalMs),
    })),
    connections: [...source.connections()].map((connection) => connectionReport(connection, now)),
    closes: endsOf(events).flatMap((group) => (group.newest.kind === 'closed' ? [closeOf(group, group.newest)] : [])),
    upgrade_failures: endsOf(events).flatMap((group) =>
      group.newest.kind === 'failed' ? [failureOf(group, group.newest)] : [],
    ),
    minutes: events.minutes.since().map(({ at, open, opened, ends, failed, rttMedian, rttWorst }) => ({
      time: timeOf(at),
      connections_open: open,
      opened,
      ends,
      upgrade_failures: failed,
      rtt_median_ms: rttMedian,
      rtt_worst_ms: rttWorst,
    })),
    marks: events.minutes.marksSince(0).map(({ at, kind, text }) => ({ time: timeOf(at), kind, text })),
  };
}

/** Newest first. */
function endsOf(events: History): EndGroup<End>[] {
  return events.ends.since(0).toReversed();
}

function closeOf(group: EndGroup<End>, end: ClosedRecord): object {
  const { id, route, client, path, durationMs, idleMs, initiator, cause, code, reason, verdict } = end;
  const facts = { initiator, cause, code, reason, verdict };
  return { ...groupOf(group), id, route, client, path, duration_ms: durationMs, idle_ms: idleMs, ...facts };
}

function failureOf(
  group: EndGroup<End>,
  { route, client, path, cause, status, detail, verdict }: FailedRecord,
): object {
  return { ...groupOf(group), route, client, path, reason: cause, status, detail, verdict };
}

/** What is told of the newest one holds for all: how many there were, since when, and of whom. */
function groupOf({ count, since, clients, newest }: EndGroup<End>): object {
  return { time: timeOf(newest.at), count, since: timeOf(since), clients };
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
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
