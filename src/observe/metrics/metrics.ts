/**
 * Prometheus metrics. Labels are closed sets — names of routes, sides, directions, causes, statuses — and never an
 * address or a path, so the number of series does not depend on what clients send.
 *
 * What the hot path counts in plain numbers (frames, bytes, Pings) is added up when somebody asks: the totals of the
 * connections that have ended plus those of the open ones.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import {
  CLOSE_CAUSES,
  type CloseCause,
  type CloseReport,
  type Initiator,
  REQUEST_REFUSALS,
  type RequestRefusal,
  type Side,
  UPGRADE_FAILURES,
  type UpgradeFailureReason,
} from '../../core/events.ts';
import { type Exposition, expose } from './exposition.ts';
import { collectLiveGauges, type MetricsSource, PREFIX } from './live-gauges.ts';
import { type Counted, RouteTotals } from './route-totals.ts';

const DURATION_BUCKETS = [1, 5, 15, 30, 60, 300, 900, 3_600, 14_400, 43_200, 86_400];
/** Just above the idle limits met in the wild, so that each has a bucket of its own. */
const IDLE_BUCKETS = [1, 5, 10, 20, 31, 45, 51, 56, 61, 101, 241, 301, 351, 601];
const RTT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export interface BuildInfo {
  readonly version: string;
  readonly commit: string;
}

export interface Metrics {
  /** Sets where live numbers come from. Every series that an alert may ask for exists from then on. */
  attach(source: MetricsSource): void;
  /** The configuration was read again. @param ok it is in force; there may be new routes */
  reloaded(ok: boolean): void;
  opened(route: string): void;
  /** A connection is over; who closed it may follow a little later with {@link Metrics.closed}. */
  ended(report: CloseReport): void;
  closed(route: string, initiator: Initiator, cause: CloseCause): void;
  upgradeFailed(route: string, reason: UpgradeFailureReason): void;
  oddHandshake(route: string): void;
  /** @param refusal see {@link Observer.httpRequest} */
  httpRequest(route: string, status: number, refusal?: RequestRefusal): void;
  rtt(side: Side, seconds: number): void;
  bridged(route: string): void;
  exposition(accept?: string): Promise<Exposition>;
}

export interface MetricsOptions {
  /** ms since 1970. */
  readonly wallClock?: () => number;
  /** Also tell of this process: CPU, memory, the event loop. Once in a process: it starts a timer of Node's own. */
  readonly process?: boolean;
}

/** Made once: a label set for each Pong would be garbage. */
const SIDES = { client: { side: 'client' }, upstream: { side: 'upstream' } } as const;

export function createMetrics(build: BuildInfo, options: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  let source: MetricsSource | null = null;
  const totals = new RouteTotals();
  collectTotals(registry, () => totals.with(source?.openConnections() ?? []));
  collectLiveGauges(registry, () => source);
  buildInfo(registry, build);
  const reload = createReloadGauges(registry, options.wallClock ?? Date.now);
  const open = gaugeIn(registry, 'connections_open', 'WebSockets that are open.', ['route']);
  const counters = createCounters(registry);
  const { duration, idle, rtt } = createHistograms(registry);
  if (options.process === true) collectDefaultMetrics({ register: registry });

  /** `increase()` does not see a series begin: those that matter begin before anything has happened. */
  function beginRoutes(): void {
    for (const route of source?.routes() ?? []) {
      open.inc({ route }, 0);
      totals.begin(route);
      beginCounters(counters, route);
    }
    beginRefusals(counters, 'none');
    for (const side of Object.values(SIDES)) rtt.zero(side);
  }

  return {
    attach(live) {
      source = live;
      beginRoutes();
    },
    reloaded(ok) {
      reload(ok);
      beginRoutes();
    },
    opened(route) {
      counters.connections.inc({ route });
      open.inc({ route });
    },
    ended(report) {
      open.dec({ route: report.route });
      totals.add(report);
      duration.observe(report.durationMs / 1_000);
      idle.observe(report.idleMs / 1_000);
    },
    closed: (route, initiator, cause) => counters.closes.inc({ route, initiator, cause }),
    upgradeFailed: (route, reason) => counters.upgradeFailures.inc({ route, reason }),
    oddHandshake: (route) => counters.oddHandshakes.inc({ route }),
    httpRequest(route, status, refusal) {
      counters.httpRequests.inc({ route, status: statusLabel(status) });
      if (refusal !== undefined) counters.refused.inc({ route, reason: refusal });
    },
    rtt: (side, seconds) => rtt.observe(SIDES[side], seconds),
    bridged: (route) => counters.cutsPrevented.inc({ route }),
    exposition: (accept) => expose(registry, accept),
  };
}

function gaugeIn<Label extends string>(registry: Registry, name: string, help: string, labelNames: readonly Label[]) {
  return new Gauge({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] });
}

function buildInfo(registry: Registry, { version, commit }: BuildInfo): void {
  const labels = ['version', 'commit', 'node'] as const;
  gaugeIn(registry, 'build_info', 'Always 1; the labels tell what runs.', labels).set(
    { version, commit, node: process.version },
    1,
  );
}

/** @returns what notes a reload */
function createReloadGauges(registry: Registry, wallClock: () => number): (ok: boolean) => void {
  const successful = gaugeIn(registry, 'config_last_reload_successful', '1: the newest configuration is in force.', []);
  const at = gaugeIn(registry, 'config_last_reload_timestamp_seconds', 'When a configuration was last taken.', []);
  const note = (ok: boolean): void => {
    successful.set(ok ? 1 : 0);
    if (ok) at.set(wallClock() / 1_000);
  };
  note(true);
  return note;
}

type Counters = ReturnType<typeof createCounters>;

function createCounters(registry: Registry) {
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
    new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] });
  return {
    connections: counter('connections_total', 'WebSockets that were opened.', ['route']),
    closes: counter('closes_total', 'WebSockets that were closed, by whom and how.', ['route', 'initiator', 'cause']),
    upgradeFailures: counter('upgrade_failures_total', 'Upgrades that became no WebSocket.', ['route', 'reason']),
    oddHandshakes: counter('odd_handshakes_total', 'Answers of upstreams that break a rule and passed all the same.', [
      'route',
    ]),
    cutsPrevented: counter('cuts_prevented_total', 'Silences longer than front_idle_timeout that Pings bridged.', [
      'route',
    ]),
    httpRequests: counter('http_requests_total', 'Plain HTTP requests by status; 499: the client left before.', [
      'route',
      'status',
    ]),
    refused: counter('requests_refused_total', 'Plain HTTP requests that the proxy answered and did not forward.', [
      'route',
      'reason',
    ]),
  };
}

/** Statuses that the proxy gives by itself, and the usual one. Others begin when an upstream first says them. */
const OWN_STATUSES = ['200', '499', '502', '503', '504'];

function beginCounters(counters: Counters, route: string): void {
  const { connections, closes, oddHandshakes, cutsPrevented, httpRequests } = counters;
  connections.inc({ route }, 0);
  oddHandshakes.inc({ route }, 0);
  cutsPrevented.inc({ route }, 0);
  for (const cause of CLOSE_CAUSES) {
    for (const initiator of initiatorsOf(cause)) closes.inc({ route, initiator, cause }, 0);
  }
  beginRefusals(counters, route);
  for (const status of OWN_STATUSES) httpRequests.inc({ route, status }, 0);
}

function beginRefusals({ upgradeFailures, refused }: Counters, route: string): void {
  for (const reason of UPGRADE_FAILURES) upgradeFailures.inc({ route, reason }, 0);
  for (const reason of REQUEST_REFUSALS) refused.inc({ route, reason }, 0);
}

/** Who can be the initiator of an end of this cause. */
export function initiatorsOf(cause: CloseCause): readonly Initiator[] {
  if (cause.startsWith('front_')) return ['front'];
  if (OF_THE_PROXY.has(cause)) return ['proxy'];
  return ['client', 'upstream'];
}

const OF_THE_PROXY: ReadonlySet<string> = new Set(['max_age', 'drain', 'internal_error']);

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
  const total = (name: string, help: string, label: string | null, values: Readonly<Record<string, Counted>>): void => {
    const counter = new Counter({
      name: `${PREFIX}${name}`,
      help,
      labelNames: label === null ? ['route'] : ['route', label],
      registers: [],
      collect() {
        this.reset();
        for (const [route, counts] of totals()) {
          for (const [value, key] of Object.entries(values)) {
            this.inc(label === null ? { route } : { route, [label]: value }, counts[key]);
          }
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
  total('unsolicited_pongs_total', 'Empty Pongs sent unasked, to clients that owe answers to several Pings.', null, {
    '': 'unsolicitedPongs',
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

/** Statuses that are no statuses share one label: an upstream may answer with any number. */
function statusLabel(status: number): string {
  return Number.isInteger(status) && status >= 100 && status <= 599 ? String(status) : 'other';
}
