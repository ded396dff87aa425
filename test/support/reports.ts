/** Facts about connections, as the relay would report them, for tests of what is made of them. */
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts';
import type { CloseReport, ConnectionInfo, UpgradeFailure } from '../../src/core/report.ts';

export const connectionInfo = (more: Partial<ConnectionInfo> = {}): ConnectionInfo => ({
  id: 'c1',
  route: 'default',
  client: '203.0.113.7',
  front: '10.0.0.1',
  path: '/ws?password=[redacted]',
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
  violationsUp: 0,
  violationsDown: 0,
  violation: null,
  rttMs: null,
  idleMs: 300,
  ...more,
});

export const abruptEnd = (idleMs: number, more: Partial<CloseReport> = {}): CloseReport =>
  closeReport({ cause: 'abrupt_end', idleMs, ...more });

export const upgradeFailure = (more: Partial<UpgradeFailure> = {}): UpgradeFailure => ({
  reason: 'upstream_unreachable',
  route: 'default',
  client: '203.0.113.7',
  path: '/ws?password=[redacted]',
  status: 502,
  detail: 'upstream http://neko:8080: connection refused',
  ...more,
});

/** Metrics in which everything has happened once, so that every series has a value. */
export function metricsInUse(): Metrics {
  const metrics = createMetrics({ version: '1', commit: 'c' });
  metrics.attach({ openConnections: () => [], pingIntervals: () => [{ route: 'default', intervalMs: 10_000 }] });
  metrics.opened();
  metrics.ended(closeReport());
  metrics.closed('default', 'client', 'close_frame');
  metrics.upgradeFailed('default', 'origin');
  metrics.httpRequest('default', 200);
  metrics.rtt('client', 0.02);
  metrics.bridged('default');
  return metrics;
}
