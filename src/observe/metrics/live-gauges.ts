/** What is asked for when somebody reads the metrics: intervals, the limit, upstreams, dropped log lines. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { RouteShare } from './route-totals.ts';

export const PREFIX = 'ws_keepalive_';

/** Whether an upstream takes connections. */
interface UpstreamState {
  readonly route: string;
  /** Its place in the list of its route, from 0. */
  readonly upstream: number;
  /** Null: not known yet. */
  readonly isUp: boolean | null;
}

/** Where live numbers come from when somebody asks for the metrics. */
export interface MetricsSource {
  /** The names of all configured routes. */
  routes(): Iterable<string>;
  /** WebSockets that are let in at once; `Infinity`: no limit. */
  connectionsLimit(): number;
  upstreams(): Iterable<UpstreamState>;
  /** Log lines that nobody took, since the start. */
  droppedLogLines(): number;
  /** A connection has to leave this list in the same turn in which its end is reported, or it counts twice or not at all. */
  openConnections(): Iterable<RouteShare>;
  /** The ping intervals in force, in milliseconds; a route may stand there more than once, or not at all. `Infinity` (off) is left out. */
  pingIntervals(): Iterable<{ readonly route: string; readonly intervalMs: number }>;
}

/** Gauges that are asked for when somebody reads them. */
export function collectLiveGauges(registry: Registry, source: () => MetricsSource | null): void {
  const gauge = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    fill: (gauge: Gauge<Label>, live: MetricsSource) => void,
  ): void => {
    const made: Gauge<Label> = new Gauge({
      name: `${PREFIX}${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        const live = source();
        made.reset();
        if (live !== null) fill(made, live);
      },
    });
  };
  gauge(
    'ping_interval_seconds',
    'The smallest ping interval in force towards clients; absent where Pings are off.',
    ['route'],
    (made, live) => {
      const smallest = new Map<string, number>();
      for (const { route, intervalMs } of live.pingIntervals()) {
        smallest.set(route, Math.min(intervalMs, smallest.get(route) ?? Infinity));
      }
      for (const [route, intervalMs] of smallest) if (intervalMs < Infinity) made.set({ route }, intervalMs / 1_000);
    },
  );
  gauge('connections_limit', 'WebSockets that are let in at once; +Inf: no limit.', [], (made, live) =>
    made.set(live.connectionsLimit()),
  );
  gauge(
    'upstream_up',
    '1: the upstream took the newest connection, 0: it did not; absent until it was tried.',
    ['route', 'upstream'],
    (made, live) => {
      for (const { route, upstream, isUp } of live.upstreams()) {
        if (isUp !== null) made.set({ route, upstream: String(upstream) }, isUp ? 1 : 0);
      }
    },
  );
  const dropped = new Counter({
    name: `${PREFIX}log_lines_dropped_total`,
    help: 'Log lines that were dropped because nobody read them in time.',
    registers: [registry],
    collect() {
      dropped.reset();
      dropped.inc(source()?.droppedLogLines() ?? 0);
    },
  });
}
