/**
 * Prometheus metrics. Labels are closed sets — names of routes, sides, directions, causes, statuses — and never an
 * address or a path, so the number of series does not depend on what clients send.
 *
 * What the hot path counts in plain numbers (frames, bytes, Pings) is added up when somebody asks: the totals of the
 * connections that have ended plus those of the open ones.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CloseCause, CloseReport, Initiator, Side, UpgradeFailureReason } from '../core/report.ts';
import { RouteTotals } from './route-totals.ts';
import type { RouteShare, Counted } from './route-totals.ts';

const PREFIX = 'ws_keepalive_';
const DURATION_BUCKETS = [1, 5, 15, 30, 60, 300, 900, 3_600, 14_400, 43_200, 86_400];
/** Just above the idle limits met in the wild, so that each has a bucket of its own. */
const IDLE_BUCKETS = [1, 5, 10, 20, 31, 45, 51, 56, 61, 101, 241, 301, 351, 601];
const RTT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Where live numbers come from when somebody asks for the metrics. */
interface MetricsSource {
  /** A connection has to leave this list in the same turn in which its end is reported, or it counts twice or not at all. */
  openConnections(): Iterable<RouteShare>;
  /** The ping intervals in force, in milliseconds; a route may stand there more than once, or not at all. `Infinity` (off) is left out. */
  pingIntervals(): Iterable<{ readonly route: string; readonly intervalMs: number }>;
}

export interface BuildInfo {
  readonly version: string;
  readonly commit: string;
}

export interface Metrics {
  /** Sets where live numbers come from. */
  attach(source: MetricsSource): void;
  opened(): void;
  /** A connection is over; who closed it may follow a little later with {@link Metrics.closed}. */
  ended(report: CloseReport): void;
  closed(route: string, initiator: Initiator, cause: CloseCause): void;
  upgradeFailed(route: string, reason: UpgradeFailureReason): void;
  httpRequest(route: string, status: number): void;
  rtt(side: Side, seconds: number): void;
  bridged(route: string): void;
  /** The exposition for a request with this Accept field: OpenMetrics when it is preferred, else Prometheus text. */
  exposition(accept?: string): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Made once: a label set for each Pong would be garbage. */
const SIDES = { client: { side: 'client' }, upstream: { side: 'upstream' } } as const;

export function createMetrics(build: BuildInfo): Metrics {
  const registry = new Registry();
  const registers = [registry];
  let source: MetricsSource | null = null;
  const totals = new RouteTotals();
  collectTotals(registry, () => totals.with(source?.openConnections() ?? []));
  collectIntervals(registry, () => source?.pingIntervals() ?? []);

  new Gauge({
    name: `${PREFIX}build_info`,
    help: 'Always 1; the labels tell what runs.',
    labelNames: ['version', 'commit', 'node'],
    registers,
  }).set({ version: build.version, commit: build.commit, node: process.version }, 1);
  const open = new Gauge({ name: `${PREFIX}connections_open`, help: 'WebSockets that are open.', registers });
  const { connections, closes, upgradeFailures, cutsPrevented, httpRequests } = createCounters(registry);
  const { duration, idle, rtt } = createHistograms(registry);

  return {
    attach: (live) => void (source = live),
    opened() {
      connections.inc();
      open.inc();
    },
    ended(report) {
      open.dec();
      totals.add(report);
      duration.observe(report.durationMs / 1_000);
      idle.observe(report.idleMs / 1_000);
    },
    closed: (route, initiator, cause) => closes.inc({ route, initiator, cause }),
    upgradeFailed: (route, reason) => upgradeFailures.inc({ route, reason }),
    httpRequest: (route, status) => httpRequests.inc({ route, status: statusLabel(status) }),
    rtt: (side, seconds) => rtt.observe(SIDES[side], seconds),
    bridged: (route) => cutsPrevented.inc({ route }),
    exposition: (accept) => expose(registry, accept),
  };
}

function createCounters(registry: Registry) {
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
    new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] });
  return {
    connections: counter('connections_total', 'WebSockets that were opened.', []),
    closes: counter('closes_total', 'WebSockets that were closed, by whom and how.', ['route', 'initiator', 'cause']),
    upgradeFailures: counter('upgrade_failures_total', 'Upgrades that became no WebSocket.', ['route', 'reason']),
    cutsPrevented: counter('cuts_prevented_total', 'Silences longer than front_idle_timeout that Pings bridged.', [
      'route',
    ]),
    httpRequests: counter('http_requests_total', 'Plain HTTP requests by status; 499: the client left before.', [
      'route',
      'status',
    ]),
  };
}

function createHistograms(registry: Registry) {
  const histogram = <Label extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly Label[],
  ): Histogram<Label> => new Histogram({ name: `${PREFIX}${name}`, help, buckets, labelNames, registers: [registry] });
  return {
    duration: histogram('connection_duration_seconds', 'How long closed WebSockets were open.', DURATION_BUCKETS, []),
    idle: histogram(
      'idle_at_close_seconds',
      'How long nothing had passed on the client side at the end.',
      IDLE_BUCKETS,
      [],
    ),
    rtt: histogram('pong_rtt_seconds', 'From an injected Ping to its Pong.', RTT_BUCKETS, ['side']),
  };
}

/** The counters that are added up on demand. They only rise, because an end moves a connection's totals over at once. */
function collectTotals(registry: Registry, totals: () => RouteTotals): void {
  const total = (name: string, help: string, label: string, values: Readonly<Record<string, Counted>>): void => {
    const counter = new Counter({
      name: `${PREFIX}${name}`,
      help,
      labelNames: ['route', label],
      registers: [],
      collect() {
        this.reset();
        for (const [route, counts] of totals()) {
          for (const [value, key] of Object.entries(values)) this.inc({ route, [label]: value }, counts[key]);
        }
      },
    });
    registry.registerMetric(counter);
  };
  total('pings_sent_total', 'Injected Pings.', 'side', { client: 'pingsClient', upstream: 'pingsUpstream' });
  total('pongs_received_total', 'Answers to injected Pings.', 'side', {
    client: 'pongsClient',
    upstream: 'pongsUpstream',
  });
  total('frames_total', 'Frames relayed: up to the upstream, down to the client.', 'direction', {
    up: 'framesUp',
    down: 'framesDown',
  });
  total('bytes_total', 'Bytes relayed: up to the upstream, down to the client.', 'direction', {
    up: 'bytesUp',
    down: 'bytesDown',
  });
  total('protocol_violations_relayed_total', 'Frames relayed although they break RFC 6455.', 'direction', {
    up: 'violationsUp',
    down: 'violationsDown',
  });
}

function collectIntervals(registry: Registry, intervals: () => ReturnType<MetricsSource['pingIntervals']>): void {
  const gauge = new Gauge({
    name: `${PREFIX}ping_interval_seconds`,
    help: 'The smallest ping interval in force towards clients; absent where Pings are off.',
    labelNames: ['route'],
    registers: [],
    collect() {
      this.reset();
      const smallest = new Map<string, number>();
      for (const { route, intervalMs } of intervals()) {
        smallest.set(route, Math.min(intervalMs, smallest.get(route) ?? Infinity));
      }
      for (const [route, intervalMs] of smallest) if (intervalMs < Infinity) this.set({ route }, intervalMs / 1_000);
    },
  });
  registry.registerMetric(gauge);
}

/** Statuses that are no statuses share one label: an upstream may answer with any number. */
function statusLabel(status: number): string {
  return Number.isInteger(status) && status >= 100 && status <= 599 ? String(status) : 'other';
}

async function expose(registry: Registry, accept: string | undefined): Promise<{ contentType: string; body: string }> {
  const body = await registry.metrics();
  if (!prefersOpenMetrics(accept)) return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, body };
  return { contentType: Registry.OPENMETRICS_CONTENT_TYPE, body: toOpenMetrics(body) };
}

/**
 * Prometheus text as OpenMetrics 1.0: a counter's name is declared without `_total`, and the end is marked. (A registry
 * of prom-client that is switched to OpenMetrics renames its counters for good, so the next reader of plain text would
 * find other names.)
 */
function toOpenMetrics(body: string): string {
  const counters = new Set([...body.matchAll(/^# TYPE (\w+)_total counter$/gm)].map((match) => match[1]));
  const declared = body.replace(/^(# (?:HELP|TYPE) )(\w+)_total /gm, (line, start: string, name: string) =>
    counters.has(name) ? `${start}${name} ` : line,
  );
  return `${declared.replace(/\n{2,}/g, '\n')}# EOF\n`;
}

/** Whether an Accept field ranks OpenMetrics above plain text; without a field, or at equal rank, text it is. */
function prefersOpenMetrics(accept = ''): boolean {
  const ranges = accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return {
      type,
      version: parameters.find((parameter) => parameter.startsWith('version=')),
      quality: Number(quality ?? 1),
    };
  });
  const best = (wanted: (range: (typeof ranges)[number]) => boolean): number =>
    Math.max(0, ...ranges.filter(wanted).map(({ quality }) => (quality >= 0 ? quality : 0)));
  const isOpen = ({ type, version = 'version=1.0.0' }: (typeof ranges)[number]): boolean =>
    type === 'application/openmetrics-text' && version === 'version=1.0.0';
  return best(isOpen) > best(({ type }) => type === 'text/plain');
}
