import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CLOSE_CAUSES,
  type CloseReport,
  type Observer,
  type TrafficObserver,
  UPGRADE_FAILURES,
} from '../../src/core/events.ts';
import { History } from '../../src/admin/status/history.ts';
import { statusReport } from '../../src/admin/status/report.ts';
import type { RouteView } from '../../src/admin/status/view.ts';
import type { Reported } from '../support/admin.ts';
import { closeReport, connectionInfo, upgradeFailure } from '../support/reports.ts';
import { connectionView } from '../support/status-rig.ts';

const START = Date.UTC(2030, 0, 1);

function setUp() {
  const clock = { now: 0 };
  const events = new History({ now: () => clock.now, wallClock: () => START + clock.now });
  const passed: string[] = [];
  const observer = events.noting<Observer & TrafficObserver>({
    opened: () => void passed.push('opened'),
    closed: () => void passed.push('closed'),
    upgradeFailed: () => void passed.push('upgradeFailed'),
    httpRequest: () => void passed.push('httpRequest'),
    ponged: () => void passed.push('ponged'),
    outlived: () => void passed.push('outlived'),
    stoodStill: () => void passed.push('stoodStill'),
    oddHandshake: () => void passed.push('oddHandshake'),
    bridged: () => void passed.push('bridged'),
  });
  const judged = (more: Partial<CloseReport> = {}): void => events.closed({ ...closeReport(more), verdict: 'because' });
  return { clock, events, observer, judged, passed };
}

function report(
  events: History,
  routes: RouteView[],
  more: Partial<Parameters<typeof statusReport>[0]['source']> = {},
  now = 5_000,
): Reported {
  const source = {
    connections: () => [],
    routes: () => routes,
    lessons: () => [],
    isDraining: () => false,
    upstreams: () => [],
    connectionsLimit: () => 100,
    ...more,
  };
  return statusReport({ version: '1.2.3', events, source, startedAt: 1_000 }, now) as Reported;
}

const DEFAULT: RouteView = { name: 'default', intervalMs: 10_000, adaptive: true };
const OFF: RouteView = { name: 'default', intervalMs: Infinity, adaptive: true };

test('everything that is noted is passed on', () => {
  const { observer, passed } = setUp();
  observer.opened(connectionInfo());
  observer.ponged(connectionInfo(), 'client', 1);
  observer.bridged(connectionInfo(), 1);
  observer.httpRequest('default', 200);
  observer.upgradeFailed(upgradeFailure());
  observer.closed(closeReport());
  assert.deepEqual(passed, ['opened', 'ponged', 'bridged', 'httpRequest', 'upgradeFailed', 'closed']);
});

test('routes count what was opened, is open, was refused and was bridged', () => {
  const { events, observer, judged } = setUp();
  observer.opened(connectionInfo());
  observer.opened(connectionInfo({ id: 'c2' }));
  observer.bridged(connectionInfo(), 70_000);
  observer.upgradeFailed(upgradeFailure({ reason: 'origin' }));
  observer.closed(closeReport());
  judged();
  const [route] = report(events, [DEFAULT]).routes;
  assert.deepEqual(route, {
    name: 'default',
    ping_interval_ms: 10_000,
    configured_ping_interval_ms: 10_000,
    adaptive: true,
    connections_open: 1,
    connections_total: 2,
    cuts_prevented: 1,
    closes: { close_frame: 1 },
    upgrade_failures: { origin: 1 },
    upstreams: [],
  });
});

test('what happens on no configured route is listed behind those that are', () => {
  const { events, observer } = setUp();
  observer.upgradeFailed(upgradeFailure({ route: 'none', reason: 'no_route', status: 404 }));
  assert.deepEqual(
    report(events, [DEFAULT]).routes.map(({ name, ping_interval_ms }) => [name, ping_interval_ms]),
    [
      ['default', 10_000],
      ['none', null],
    ],
  );
});

test('the interval of a route is the smallest in force', () => {
  const { events } = setUp();
  const lesson = { route: 'default', front: '10.0.0.1', cutAfterMs: 3_000.4, intervalMs: 1_500.2, agesMs: [] };
  const learned = report(events, [DEFAULT], { lessons: () => [lesson] });
  assert.equal(learned.routes[0]?.ping_interval_ms, 1_500);
  assert.deepEqual(learned.learned, [
    { route: 'default', front: '10.0.0.1', cut_after_ms: 3_000, ping_interval_ms: 1_500 },
  ]);
  const open = report(events, [DEFAULT], { connections: () => [connectionView({ intervalMs: 2_000 })] });
  assert.equal(open.routes[0]?.ping_interval_ms, 2_000);
});

test('Pings that are off stay off, whatever was learned', () => {
  const { events } = setUp();
  const lesson = { route: 'default', front: '10.0.0.1', cutAfterMs: 3_000, intervalMs: 1_500, agesMs: [] };
  const { routes } = report(events, [OFF], { lessons: () => [lesson] });
  assert.equal(routes[0]?.ping_interval_ms, null);
});

test('an open connection is told with its age, its silence and what it moved', () => {
  const { events } = setUp();
  const view = connectionView({
    openedAt: 1_000,
    activeAt: 4_500.4,
    rttMs: 12.5,
    pings: 3,
    pongs: 2,
    bytesUp: 10,
    bytesDown: 20,
  });
  assert.deepEqual(report(events, [DEFAULT], { connections: () => [view] }).connections, [
    {
      id: 'c1',
      route: 'default',
      client: '203.0.113.7',
      front: '10.0.0.1',
      path: '/ws?password=[redacted]',
      state: 'open',
      age_ms: 4_000,
      idle_ms: 500,
      rtt_ms: 12.5,
      pings: 3,
      pongs: 2,
      bytes_up: 10,
      bytes_down: 20,
      ping_interval_ms: 10_000,
    },
  ]);
});

test('an end is told with the time it came, though it was judged later', () => {
  const { clock, events, judged } = setUp();
  clock.now = 3_000;
  judged({ endedAt: 2_000, code: 1001, reason: 'bye', idleMs: 300.4 });
  assert.deepEqual(report(events, []).closes, [
    {
      time: '2030-01-01T00:00:02.000Z',
      count: 1,
      since: '2030-01-01T00:00:02.000Z',
      clients: ['203.0.113.7'],
      id: 'c1',
      route: 'default',
      client: '203.0.113.7',
      path: '/ws?password=[redacted]',
      duration_ms: 90_000,
      idle_ms: 300,
      initiator: 'client',
      cause: 'close_frame',
      code: 1001,
      reason: 'bye',
      verdict: 'because',
    },
  ]);
});

test('ends that are alike are one entry with their number, whatever differs in their figures', () => {
  const { clock, events, observer } = setUp();
  const end = (index: number): void => {
    clock.now = index * 1_000;
    const report = closeReport({ id: `c${index}`, client: `198.51.100.${index % 30}`, endedAt: clock.now });
    events.closed({ ...report, verdict: `It ended after ${index}.5 s of silence.` });
    observer.upgradeFailed(upgradeFailure({ client: `198.51.100.${index}` }));
  };
  for (let index = 0; index < 300; index += 1) end(index);
  const { closes, upgrade_failures: failures, routes } = report(events, []);
  const [only, ...others] = closes;
  assert.deepEqual([only?.['count'], only?.['id'], others.length], [300, 'c299', 0]);
  assert.deepEqual([only?.['since'], only?.['time']], ['2030-01-01T00:00:00.000Z', '2030-01-01T00:04:59.000Z']);
  const clients = only?.['clients'];
  assert.ok(Array.isArray(clients));
  assert.deepEqual([clients.length, ...clients.slice(0, 2)], [20, '198.51.100.29', '198.51.100.28']);
  assert.deepEqual([failures.length, failures[0]?.['count'], failures[0]?.['client']], [1, 300, '198.51.100.299']);
  assert.deepEqual(routes[0]?.closes, { close_frame: 300 });
  assert.deepEqual(routes[0]?.upgrade_failures, { upstream_unreachable: 300 });
});

test('what is alike an hour later, or differs in route, code or words, is another entry', () => {
  const { clock, events, judged } = setUp();
  judged();
  clock.now = 3_600_000;
  judged({ endedAt: clock.now });
  judged({ route: 'alpha' });
  judged({ code: 1001 });
  events.closed({ ...closeReport(), verdict: 'another' });
  assert.deepEqual(
    events.ends.since(0).map(({ count }) => count),
    [1, 1, 1, 1, 1],
  );
});

test('the thousands that a reload ends push nothing else out, and at most 200 entries are kept', () => {
  const { events, judged } = setUp();
  for (let index = 0; index < 200; index += 1) judged({ route: `r${index}` });
  for (let index = 0; index < 2_000; index += 1) judged({ cause: 'front_reload' });
  const entries = events.ends.since(0);
  assert.equal(entries.length, 200);
  assert.deepEqual([entries[0]?.newest.route, entries.at(-1)?.count], ['r1', 2_000]);
  assert.deepEqual(events.ends.since(events.ends.changes), []);
});

test('a reason from the wire cannot bring a secret or a line break', () => {
  const { events, observer, judged } = setUp();
  judged({ reason: 'x\ny /ws?token=hunter2' });
  observer.upgradeFailed(upgradeFailure({ detail: 'a\nb ?password=hunter2' }));
  const text = JSON.stringify(report(events, []));
  assert.ok(!text.includes('hunter2') && !text.includes('\\ny') && !text.includes('\\nb'), text);
});

test('every cause and every refusal has a hop, and ordinary ends are no trouble', () => {
  const { events, observer, judged } = setUp();
  for (const initiator of ['client', 'front', 'upstream', 'proxy'] as const) judged({ initiator, code: 1000 });
  for (const cause of CLOSE_CAUSES) judged({ cause });
  for (const reason of UPGRADE_FAILURES) observer.upgradeFailed(upgradeFailure({ reason }));
  const ends = events.ends.since(0).map(({ newest }) => newest);
  assert.deepEqual(
    ends.slice(0, 4).map(({ hop }) => hop),
    ['browser', 'front', 'upstream', 'proxy'],
  );
  const calm = ends.filter(({ trouble }) => !trouble).map(({ cause }) => cause);
  assert.deepEqual([...new Set(calm)], ['close_frame', 'max_age', 'drain', 'client_gone']);
  const hops = ends.filter(({ kind }) => kind === 'failed').map(({ cause, hop }) => `${cause} ${hop}`);
  assert.deepEqual(hops, [
    'bad_request browser',
    'origin browser',
    'no_route proxy',
    'limit proxy',
    'upstream_unreachable upstream',
    'upstream_timeout upstream',
    'upstream_refused upstream',
    'upstream_invalid upstream',
    'client_gone browser',
  ]);
});

for (const [code, trouble] of [
  [null, false],
  [1000, false],
  [1001, false],
  [1002, true],
  [1011, true],
  [4001, false],
] as const)
  test(`a Close frame with code ${code} is ${trouble ? 'trouble' : 'none'}`, () => {
    const { events, judged } = setUp();
    judged({ code });
    assert.equal(events.ends.since(0)[0]?.newest.trouble, trouble);
  });

test('the last 24 answered Pings of an open connection are kept, and forgotten with it', () => {
  const { clock, events, observer } = setUp();
  for (let index = 1; index <= 30; index += 1) {
    clock.now = index * 1_000;
    observer.ponged(connectionInfo(), 'client', 20.04);
  }
  observer.ponged(connectionInfo(), 'upstream', 5);
  const { count, last } = events.pongsOf('c1');
  assert.deepEqual([count, last.length, last[0], last.at(-1)], [30, 24, [6_980, 20], [29_980, 20]]);
  observer.closed(closeReport());
  assert.deepEqual(events.pongsOf('c1'), { count: 0, last: [] });
});

test('a cut counts as prevented only where a front is known', () => {
  const { events, observer } = setUp();
  observer.bridged(connectionInfo({ frontIsKnown: false }), 70_000);
  assert.equal(events.countsOf('default').cutsPrevented, 0);
});

test('the report says the version of its shape, the limit and how the upstreams are', () => {
  const { events } = setUp();
  const upstreams = [
    { route: 'default', upstream: 0, url: 'http://neko:8080', isUp: false, since: START, error: 'refused' },
    { route: 'other', upstream: 0, url: 'http://other:8080', isUp: null, since: null, error: null },
  ];
  const told = report(events, [DEFAULT], { upstreams: () => upstreams, connectionsLimit: () => Infinity });
  assert.deepEqual([told.version, told.program, told.connections_limit], [1, '1.2.3', null]);
  assert.deepEqual(told.routes[0]?.upstreams, [
    { url: 'http://neko:8080', up: false, since: '2030-01-01T00:00:00.000Z', error: 'refused' },
  ]);
});

test('the report has the last hour minute by minute, and what explains it', () => {
  const { clock, events, observer } = setUp();
  observer.opened(connectionInfo());
  observer.ponged(connectionInfo(), 'client', 20);
  clock.now = 60_000;
  events.minutes.mark('reloaded', 'again');
  const { minutes, marks } = report(events, []);
  const none = { all: 0, trouble: 0 };
  assert.deepEqual(minutes, [
    {
      time: '2030-01-01T00:00:00.000Z',
      connections_open: 1,
      opened: 1,
      ends: { browser: none, front: none, proxy: none, upstream: none },
      upgrade_failures: { browser: 0, front: 0, proxy: 0, upstream: 0 },
      rtt_median_ms: 20,
      rtt_worst_ms: 20,
    },
    {
      time: '2030-01-01T00:01:00.000Z',
      connections_open: 1,
      opened: 0,
      ends: { browser: none, front: none, proxy: none, upstream: none },
      upgrade_failures: { browser: 0, front: 0, proxy: 0, upstream: 0 },
      rtt_median_ms: null,
      rtt_worst_ms: null,
    },
  ]);
  assert.deepEqual(marks, [{ time: '2030-01-01T00:01:00.000Z', kind: 'reloaded', text: 'again' }]);
});
