/** Facts about connections, as the relay would report them, for tests of what is made of them. */
import type { MetricsSource } from '../../src/observe/metrics/live-gauges.ts';
import { createMetrics, type Metrics, type MetricsOptions } from '../../src/observe/metrics/metrics.ts';
import { judgedEnd as withRecall } from '../../src/observe/verdict.ts';
import type { JudgedEnd } from '../../src/observe/verdict-words.ts';
import type { CloseReport, ConnectionInfo, Observer, TrafficObserver, UpgradeFailure } from '../../src/core/events.ts';

export const connectionInfo = (more: Partial<ConnectionInfo> = {}): ConnectionInfo => ({
  id: 'c1',
  route: 'default',
  client: '203.0.113.7',
  front: '10.0.0.1',
  frontIsKnown: true,
  path: '/ws?password=[redacted]',
  request: { host: 'rooms.example.com', userAgent: 'Mozilla/5.0', requestId: 'r1' },
  ...more,
});

/** An end of a connection that lived for 90 s: the client left, unless told otherwise. */
export const closeReport = (more: Partial<CloseReport> = {}): CloseReport => ({
  ...connectionInfo(),
  initiator: more.side ?? 'client',
  cause: 'close_frame',
  side: 'client',
  code: null,
  reason: '',
  reset: false,
  endedAt: 0,
  durationMs: 90_000,
  bytesUp: 1,
  bytesDown: 2,
  framesUp: 3,
  framesDown: 4,
  pingsClient: 5,
  pingsUpstream: 6,
  pongsClient: 7,
  pongsUpstream: 8,
  unsolicitedPongs: 9,
  violationsUp: 0,
  violationsDown: 0,
  violation: null,
  rttMs: null,
  answersPingsClient: true,
  answersPingsUpstream: true,
  idleMs: 300,
  wireIdleMs: 300,
  pingUnanswered: false,
  ...more,
});

/** The same with what is known of others; an end that was alone, unless told otherwise. */
export const judgedEnd = (more: Partial<JudgedEnd> = {}): JudgedEnd => ({
  ...withRecall(closeReport(more), {}),
  ...more,
});

export const abruptEnd = (wireIdleMs: number, more: Partial<CloseReport> = {}): CloseReport =>
  closeReport({ cause: 'abrupt_end', idleMs: wireIdleMs, wireIdleMs, ...more });

export const upgradeFailure = (more: Partial<UpgradeFailure> = {}): UpgradeFailure => ({
  reason: 'upstream_unreachable',
  route: 'default',
  client: '203.0.113.7',
  path: '/ws?password=[redacted]',
  status: 502,
  detail: 'upstream http://neko:8080: connection refused',
  ...more,
});

/** Is told everything and does nothing. */
export const SILENT: Observer & TrafficObserver = {
  opened() {},
  closed() {},
  upgradeFailed() {},
  httpRequest() {},
  ponged() {},
  outlived() {},
  stoodStill() {},
  oddHandshake() {},
  bridged() {},
};

/** One route with one upstream and nothing open. */
export const metricsSource = (more: Partial<MetricsSource> = {}): MetricsSource => ({
  routes: () => ['default'],
  openConnections: () => [],
  pingIntervals: () => [{ route: 'default', intervalMs: 10_000 }],
  connectionsLimit: () => 100,
  upstreams: () => [{ route: 'default', upstream: 0, isUp: true }],
  droppedLogLines: () => 0,
  ...more,
});

/** Metrics in which everything has happened once, so that every series has a value. */
export function metricsInUse(options: MetricsOptions = {}): Metrics {
  const metrics = createMetrics({ version: '1', commit: 'c' }, options);
  metrics.attach(metricsSource());
  metrics.opened('default');
  metrics.ended(closeReport());
  metrics.closed('default', 'client', 'close_frame');
  metrics.upgradeFailed('default', 'origin');
  metrics.httpRequest('default', 200);
  metrics.httpRequest('none', 404, 'no_route');
  metrics.rtt('client', 0.02);
  metrics.bridged('default');
  return metrics;
}
