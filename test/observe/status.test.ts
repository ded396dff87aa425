import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CLOSE_CAUSES,
  type CloseReport,
  type Observer,
  type TrafficObserver,
  UPGRADE_FAILURES,
} from '../../src/core/report.ts';
import { Ledger } from '../../src/observe/status/ledger.ts';
import { statusReport } from '../../src/observe/status/report.ts';
import type { RouteView } from '../../src/observe/status/view.ts';
import type { Reported } from '../support/admin.ts';
import { closeReport, connectionInfo, upgradeFailure } from '../support/reports.ts';
import { connectionView } from '../support/status-rig.ts';

const START = Date.UTC(2030, 0, 1);

function setUp() {
  const clock = { now: 0 };
  const ledger = new Ledger({ now: () => clock.now, wallClock: () => START + clock.now });
  const passed: string[] = [];
  const observer = ledger.noting<Observer & TrafficObserver>({
    opened: () => void passed.push('opened'),
    closed: () => void passed.push('closed'),
    upgradeFailed: () => void passed.push('upgradeFailed'),
    httpRequest: () => void passed.push('httpRequest'),
    ponged: () => void passed.push('ponged'),
    bridged: () => void passed.push('bridged'),
  });
  const judged = (more: Partial<CloseReport> = {}): void => ledger.closed({ ...closeReport(more), verdict: 'because' });
  return { clock, ledger, observer, judged, passed };
}

function report(
  ledger: Ledger,
  routes: RouteView[],
  more: Partial<Parameters<typeof statusReport>[0]['source']> = {},
  now = 5_000,
): Reported {
  const source = { connections: () => [], routes: () => routes, lessons: () => [], isDraining: () => false, ...more };
  return statusReport({ version: '1.2.3', ledger, source, startedAt: 1_000 }, now) as Reported;
}

const DEFAULT: RouteView = { name: 'default', intervalMs: 10_000, adaptive: true };
const OFF: RouteView = { name: 'default', intervalMs: Infinity, adaptive: true };

test('everything that is noted is passed on', () => {
  const { observer, passed } = setUp();
  observer.opened(connectionInfo());
  observer.ponged(connectionInfo(), 'client', 1, 1);
  observer.bridged(connectionInfo(), 1);
  observer.httpRequest('default', 200);
  observer.upgradeFailed(upgradeFailure());
  observer.closed(closeReport());
  assert.deepEqual(passed, ['opened', 'ponged', 'bridged', 'httpRequest', 'upgradeFailed', 'closed']);
});

test('routes count what was opened, is open, was refused and was bridged', () => {
  const { ledger, observer, judged } = setUp();
  observer.opened(connectionInfo());
  observer.opened(connectionInfo({ id: 'c2' }));
  observer.bridged(connectionInfo(), 70_000);
  observer.upgradeFailed(upgradeFailure({ reason: 'origin' }));
  observer.closed(closeReport());
  judged();
  const [route] = report(ledger, [DEFAULT]).routes;
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
  });
});

test('what happens on no configured route is listed behind those that are', () => {
  const { ledger, observer } = setUp();
  observer.upgradeFailed(upgradeFailure({ route: 'none', reason: 'no_route', status: 404 }));
  assert.deepEqual(
    report(ledger, [DEFAULT]).routes.map(({ name, ping_interval_ms }) => [name, ping_interval_ms]),
    [
      ['default', 10_000],
      ['none', null],
    ],
  );
});

test('the interval of a route is the smallest in force', () => {
  const { ledger } = setUp();
  const lesson = { route: 'default', front: '10.0.0.1', cutAfterMs: 3_000.4, intervalMs: 1_500.2, agesMs: [] };
  const learned = report(ledger, [DEFAULT], { lessons: () => [lesson] });
  assert.equal(learned.routes[0]?.ping_interval_ms, 1_500);
  assert.deepEqual(learned.learned, [
    { route: 'default', front: '10.0.0.1', cut_after_ms: 3_000, ping_interval_ms: 1_500 },
  ]);
  const open = report(ledger, [DEFAULT], { connections: () => [connectionView({ intervalMs: 2_000 })] });
  assert.equal(open.routes[0]?.ping_interval_ms, 2_000);
});

test('Pings that are off stay off, whatever was learned', () => {
  const { ledger } = setUp();
  const lesson = { route: 'default', front: '10.0.0.1', cutAfterMs: 3_000, intervalMs: 1_500, agesMs: [] };
  const { routes } = report(ledger, [OFF], { lessons: () => [lesson] });
  assert.equal(routes[0]?.ping_interval_ms, null);
});

test('an open connection is told with its age, its silence and what it moved', () => {
  const { ledger } = setUp();
  const view = connectionView({
    openedAt: 1_000,
    activeAt: 4_500.4,
    rttMs: 12.5,
    pings: 3,
    pongs: 2,
    bytesUp: 10,
    bytesDown: 20,
  });
  assert.deepEqual(report(ledger, [DEFAULT], { connections: () => [view] }).connections, [
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
  const { clock, ledger, judged } = setUp();
  clock.now = 3_000;
  judged({ endedAt: 2_000, code: 1001, reason: 'bye', idleMs: 300.4 });
  assert.deepEqual(report(ledger, []).closes, [
    {
      time: '2030-01-01T00:00:02.000Z',
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

test('the last 200 ends and 50 refusals are kept, newest first, and all are counted', () => {
  const { ledger, observer, judged } = setUp();
  for (let index = 0; index < 300; index += 1) {
    judged({ id: `c${index}` });
    observer.upgradeFailed(upgradeFailure({ client: `198.51.100.${index}` }));
  }
  const { closes, upgrade_failures: failures, routes } = report(ledger, []);
  assert.deepEqual([closes.length, closes[0]?.['id'], closes.at(-1)?.['id']], [200, 'c299', 'c100']);
  assert.deepEqual([failures.length, failures[0]?.['client']], [50, '198.51.100.299']);
  assert.deepEqual(routes[0]?.closes, { close_frame: 300 });
  assert.deepEqual(routes[0]?.upgrade_failures, { upstream_unreachable: 300 });
});

test('a reason from the wire cannot bring a secret or a line break', () => {
  const { ledger, observer, judged } = setUp();
  judged({ reason: 'x\ny /ws?token=hunter2' });
  observer.upgradeFailed(upgradeFailure({ detail: 'a\nb ?password=hunter2' }));
  const text = JSON.stringify(report(ledger, []));
  assert.ok(!text.includes('hunter2') && !text.includes('\\ny') && !text.includes('\\nb'), text);
});

test('every cause and every refusal has a hop, and ordinary ends are no trouble', () => {
  const { ledger, observer, judged } = setUp();
  for (const initiator of ['client', 'front', 'upstream', 'proxy'] as const) judged({ initiator });
  for (const cause of CLOSE_CAUSES) judged({ cause });
  for (const reason of UPGRADE_FAILURES) observer.upgradeFailed(upgradeFailure({ reason }));
  const ends = ledger.endsSince(0);
  assert.deepEqual(
    ends.slice(0, 4).map(({ hop }) => hop),
    ['browser', 'front', 'upstream', 'proxy'],
  );
  const calm = ends.filter(({ trouble }) => !trouble).map(({ cause }) => cause);
  assert.deepEqual([...new Set(calm)], ['close_frame', 'drain', 'client_gone']);
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
    const { ledger, judged } = setUp();
    judged({ code });
    assert.equal(ledger.endsSince(0)[0]?.trouble, trouble);
  });

test('the last 24 answered Pings of an open connection are kept, and forgotten with it', () => {
  const { clock, ledger, observer } = setUp();
  for (let index = 1; index <= 30; index += 1) {
    clock.now = index * 1_000;
    observer.ponged(connectionInfo(), 'client', 20.04, 0);
  }
  observer.ponged(connectionInfo(), 'upstream', 5, 0);
  const { count, last } = ledger.pongsOf('c1');
  assert.deepEqual([count, last.length, last[0], last.at(-1)], [30, 24, [6_980, 20], [29_980, 20]]);
  observer.closed(closeReport());
  assert.deepEqual(ledger.pongsOf('c1'), { count: 0, last: [] });
});
