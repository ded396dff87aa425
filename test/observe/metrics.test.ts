import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_CAUSES, REQUEST_REFUSALS, UPGRADE_FAILURES } from '../../src/core/events.ts';
import { createMetrics, initiatorsOf, type Metrics } from '../../src/observe/metrics/metrics.ts';
import { type Exposition, parseExposition } from '../support/exposition.ts';
import { closeReport, metricsInUse, metricsSource } from '../support/reports.ts';

const build = { version: '1.2.3', commit: 'abc' };
const scrape = async (metrics: Metrics): Promise<Exposition> =>
  parseExposition((await metrics.exposition()).body, 'text');

/** What DESIGN promises: names, types and label names. */
const promised: readonly (readonly [name: string, type: string, labels: string])[] = [
  ['connections_open', 'gauge', 'route'],
  ['connections_total', 'counter', 'route'],
  ['connections_limit', 'gauge', ''],
  ['upstream_up', 'gauge', 'route,upstream'],
  ['config_last_reload_successful', 'gauge', ''],
  ['config_last_reload_timestamp_seconds', 'gauge', ''],
  ['log_lines_dropped_total', 'counter', ''],
  ['closes_total', 'counter', 'cause,initiator,route'],
  ['connection_duration_seconds', 'histogram', ''],
  ['idle_at_close_seconds', 'histogram', ''],
  ['pings_sent_total', 'counter', 'route,side'],
  ['pongs_received_total', 'counter', 'route,side'],
  ['pong_rtt_seconds', 'histogram', 'side'],
  ['frames_total', 'counter', 'direction,route'],
  ['bytes_total', 'counter', 'direction,route'],
  ['upgrade_failures_total', 'counter', 'reason,route'],
  ['odd_handshakes_total', 'counter', 'route'],
  ['cuts_prevented_total', 'counter', 'route'],
  ['ping_interval_seconds', 'gauge', 'route'],
  ['protocol_violations_relayed_total', 'counter', 'direction,route'],
  ['unsolicited_pongs_total', 'counter', 'route'],
  ['requests_refused_total', 'counter', 'reason,route'],
  ['http_requests_total', 'counter', 'route,status'],
  ['build_info', 'gauge', 'commit,node,version'],
];

test('every promised metric is there with its type and labels, and no other', async () => {
  const { samples, types } = await scrape(metricsInUse());
  assert.deepEqual([...types.keys()].sort(), promised.map(([name]) => `ws_keepalive_${name}`).sort());
  for (const [name, type, labels] of promised) {
    assert.equal(types.get(`ws_keepalive_${name}`), type);
    const some = samples.filter((sample) => sample.name.startsWith(`ws_keepalive_${name}`));
    assert.ok(some.length > 0, name);
    for (const sample of some) {
      const names = Object.keys(sample.labels).filter((label) => label !== 'le');
      assert.equal(names.sort().join(','), labels, name);
    }
  }
});

test('build_info tells version, commit and the version of Node', async () => {
  const labels = { ...build, node: process.version };
  assert.equal((await scrape(createMetrics(build))).value('ws_keepalive_build_info', labels), 1);
});

test('an end counts once, with its duration, its silence and what it moved', async () => {
  const metrics = createMetrics(build);
  metrics.opened('default');
  metrics.opened('default');
  metrics.ended(closeReport({ durationMs: 61_000, idleMs: 60_050 }));
  const { value } = await scrape(metrics);
  assert.equal(value('ws_keepalive_connections_total', { route: 'default' }), 2);
  assert.equal(value('ws_keepalive_connections_open', { route: 'default' }), 1);
  assert.equal(value('ws_keepalive_connection_duration_seconds_sum'), 61);
  assert.equal(value('ws_keepalive_idle_at_close_seconds_bucket', { le: '56' }), 0);
  assert.equal(value('ws_keepalive_idle_at_close_seconds_bucket', { le: '61' }), 1);
  assert.equal(value('ws_keepalive_bytes_total', { route: 'default', direction: 'up' }), 1);
  assert.equal(value('ws_keepalive_bytes_total', { route: 'default', direction: 'down' }), 2);
  assert.equal(value('ws_keepalive_frames_total', { route: 'default', direction: 'up' }), 3);
  assert.equal(value('ws_keepalive_frames_total', { route: 'default', direction: 'down' }), 4);
  assert.equal(value('ws_keepalive_pings_sent_total', { route: 'default', side: 'client' }), 5);
  assert.equal(value('ws_keepalive_pings_sent_total', { route: 'default', side: 'upstream' }), 6);
  assert.equal(value('ws_keepalive_pongs_received_total', { route: 'default', side: 'client' }), 7);
  assert.equal(value('ws_keepalive_pongs_received_total', { route: 'default', side: 'upstream' }), 8);
  assert.equal(value('ws_keepalive_unsolicited_pongs_total', { route: 'default' }), 9);
});

test('open connections count while they are open, and neither twice nor less when they end', async () => {
  const metrics = createMetrics(build);
  const open = [closeReport({ bytesUp: 100 }), { ...closeReport({ route: 'alpha', bytesUp: 7 }), violationsUp: 2 }];
  metrics.attach(metricsSource({ routes: () => ['default', 'alpha'], openConnections: () => open }));
  const bytesUp = async (): Promise<unknown[]> => {
    const { value } = await scrape(metrics);
    return ['default', 'alpha'].map((route) => value('ws_keepalive_bytes_total', { route, direction: 'up' }));
  };
  assert.deepEqual(await bytesUp(), [100, 7]);
  assert.deepEqual(await bytesUp(), [100, 7]);
  const last = open.pop();
  assert.ok(last);
  metrics.ended(last);
  assert.deepEqual(await bytesUp(), [100, 7]);
  open.push(closeReport({ route: 'alpha', bytesUp: 3 }));
  assert.deepEqual(await bytesUp(), [100, 10]);
  const violations = { route: 'alpha', direction: 'up' };
  assert.equal((await scrape(metrics)).value('ws_keepalive_protocol_violations_relayed_total', violations), 2);
});

test('the ping interval of a route is the smallest in force, and absent when Pings are off', async () => {
  const metrics = createMetrics(build);
  const intervals = [
    { route: 'default', intervalMs: 10_000 },
    { route: 'default', intervalMs: 1_500 },
    { route: 'off', intervalMs: Infinity },
  ];
  metrics.attach(metricsSource({ pingIntervals: () => intervals }));
  const { value } = await scrape(metrics);
  assert.equal(value('ws_keepalive_ping_interval_seconds', { route: 'default' }), 1.5);
  assert.equal(value('ws_keepalive_ping_interval_seconds', { route: 'off' }), undefined);
});

test('every series that an alert asks for is there before anything has happened, for routes of a reload as well', async () => {
  const metrics = createMetrics(build, { wallClock: () => 5_000 });
  const routes = ['alpha'];
  metrics.attach(metricsSource({ routes: () => routes }));
  routes.push('beta');
  metrics.reloaded(true);
  const { samples, value } = await scrape(metrics);
  for (const route of routes) {
    assert.equal(value('ws_keepalive_connections_open', { route }), 0);
    assert.equal(value('ws_keepalive_connections_total', { route }), 0);
    assert.equal(value('ws_keepalive_bytes_total', { route, direction: 'up' }), 0);
    assert.equal(value('ws_keepalive_unsolicited_pongs_total', { route }), 0);
    const causes = samples.filter((s) => s.name === 'ws_keepalive_closes_total' && s.labels['route'] === route);
    assert.deepEqual(new Set(causes.map(({ labels }) => labels['cause'])), new Set(CLOSE_CAUSES));
  }
  for (const route of [...routes, 'none']) {
    for (const reason of UPGRADE_FAILURES)
      assert.equal(value('ws_keepalive_upgrade_failures_total', { route, reason }), 0);
    for (const reason of REQUEST_REFUSALS)
      assert.equal(value('ws_keepalive_requests_refused_total', { route, reason }), 0);
  }
  assert.equal(value('ws_keepalive_pong_rtt_seconds_count', { side: 'client' }), 0);
});

test('what a cause can have as its initiator follows from its name', () => {
  assert.deepEqual(initiatorsOf('front_reload'), ['front']);
  assert.deepEqual(initiatorsOf('drain'), ['proxy']);
  assert.deepEqual(initiatorsOf('stall'), ['client', 'upstream']);
});

test('reloads, the limit, upstreams and dropped lines are told as they are', async () => {
  const clock = { now: 5_000 };
  const metrics = createMetrics(build, { wallClock: () => clock.now });
  const upstreams = [
    { route: 'default', upstream: 0, isUp: false },
    { route: 'default', upstream: 1, isUp: null },
  ];
  const live = { connectionsLimit: () => Infinity, upstreams: () => upstreams, droppedLogLines: () => 7 };
  metrics.attach(metricsSource(live));
  clock.now = 9_000;
  metrics.reloaded(false);
  const { value } = await scrape(metrics);
  assert.equal(value('ws_keepalive_config_last_reload_successful'), 0);
  assert.equal(value('ws_keepalive_config_last_reload_timestamp_seconds'), 5);
  assert.equal(value('ws_keepalive_connections_limit'), Infinity);
  assert.equal(value('ws_keepalive_upstream_up', { route: 'default', upstream: '0' }), 0);
  assert.equal(value('ws_keepalive_upstream_up', { route: 'default', upstream: '1' }), undefined);
  assert.equal(value('ws_keepalive_log_lines_dropped_total'), 7);
  metrics.reloaded(true);
  assert.equal((await scrape(metrics)).value('ws_keepalive_config_last_reload_timestamp_seconds'), 9);
});

test('causes, reasons and statuses are counted by their labels', async () => {
  const metrics = createMetrics(build);
  for (const cause of CLOSE_CAUSES) metrics.closed('alpha', 'front', cause);
  for (const reason of UPGRADE_FAILURES) metrics.upgradeFailed('none', reason);
  for (const status of [101, 599, 99, 600, 999, NaN, 200.5]) metrics.httpRequest('default', status);
  for (const reason of REQUEST_REFUSALS) metrics.httpRequest('alpha', 400, reason);
  const { value } = await scrape(metrics);
  for (const reason of REQUEST_REFUSALS) {
    assert.equal(value('ws_keepalive_requests_refused_total', { route: 'alpha', reason }), 1);
  }
  assert.equal(value('ws_keepalive_http_requests_total', { route: 'alpha', status: '400' }), REQUEST_REFUSALS.length);
  for (const cause of CLOSE_CAUSES) {
    assert.equal(value('ws_keepalive_closes_total', { route: 'alpha', initiator: 'front', cause }), 1);
  }
  for (const reason of UPGRADE_FAILURES) {
    assert.equal(value('ws_keepalive_upgrade_failures_total', { route: 'none', reason }), 1);
  }
  assert.equal(value('ws_keepalive_http_requests_total', { route: 'default', status: '101' }), 1);
  assert.equal(value('ws_keepalive_http_requests_total', { route: 'default', status: 'other' }), 5);
});

test('OpenMetrics says the same as the text, in its own form', async () => {
  const metrics = metricsInUse();
  const text = await scrape(metrics);
  const { body, contentType } = await metrics.exposition('application/openmetrics-text');
  assert.equal(contentType, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  const open = parseExposition(body, 'openmetrics');
  assert.deepEqual(open.samples, text.samples);
  assert.equal(open.types.get('ws_keepalive_closes'), 'counter');
  assert.equal(open.types.get('ws_keepalive_closes_total'), undefined);
});

test('whoever asks for OpenMetrics does not change what others get', async () => {
  const metrics = metricsInUse();
  const before = await metrics.exposition();
  const [, during] = await Promise.all([metrics.exposition('application/openmetrics-text'), metrics.exposition()]);
  assert.equal(during.body, before.body);
  assert.equal((await metrics.exposition()).body, before.body);
});

const prometheus =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
const accepts: readonly (readonly [accept: string | undefined, isOpen: boolean])[] = [
  [undefined, false],
  ['', false],
  ['*/*', false],
  ['text/plain', false],
  ['application/openmetrics-text', true],
  ['Application/OpenMetrics-Text; Version=1.0.0; q=0.5', true],
  [prometheus, true],
  ['application/openmetrics-text;version=0.0.1', false],
  ['application/openmetrics-text;q=0', false],
  ['application/openmetrics-text;q=nonsense', false],
  ['application/openmetrics-text;q=0.2,text/plain;q=0.9', false],
  [';;,,;q=', false],
];
for (const [accept, isOpen] of accepts) {
  test(`Accept ${accept ?? 'absent'} gets ${isOpen ? 'OpenMetrics' : 'Prometheus text'}`, async () => {
    const { contentType, body } = await createMetrics(build).exposition(accept);
    assert.equal(contentType.startsWith(isOpen ? 'application/openmetrics-text' : 'text/plain'), true);
    parseExposition(body, isOpen ? 'openmetrics' : 'text');
  });
}
