import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_CAUSES, UPGRADE_FAILURES } from '../../src/core/report.ts';
import type { Lesson } from '../../src/core/adaptive.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { createObserver } from '../../src/observe/observer.ts';
import type { ObserverOptions } from '../../src/observe/observer.ts';
import { parseExposition } from '../support/exposition.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { abruptEnd, closeReport, connectionInfo, upgradeFailure } from '../support/reports.ts';

function setUp(more: Partial<ObserverOptions> = {}) {
  const { log, sink } = createSinkLogger();
  const clock = new FakeClock();
  const metrics = createMetrics({ version: '1', commit: 'c' });
  const lessons: Lesson[] = [];
  const closed: string[] = [];
  const observer = createObserver({
    log,
    metrics,
    timing: clock,
    ...more,
    onLearned: (lesson) => void lessons.push(lesson),
    onClosed: ({ cause }) => void closed.push(cause),
  });
  const cut = (idleMs: number): void => {
    observer.closed(abruptEnd(idleMs, { endedAt: clock.now() }));
    clock.advance(20_000);
  };
  const causes = (): unknown[] => sink.lines('websocket closed').map((line) => line['cause']);
  return { clock, closed, causes, cut, lessons, metrics, observer, sink };
}

test('an opened WebSocket is one line at info with who it is', () => {
  const { observer, sink } = setUp();
  observer.opened(connectionInfo());
  const [{ time, ...line } = {}, ...more] = sink.lines();
  assert.equal(typeof time, 'string');
  assert.deepEqual(more, []);
  assert.deepEqual(line, {
    level: 'info',
    id: 'c1',
    route: 'default',
    client: '203.0.113.7',
    path: '/ws?password=[redacted]',
    msg: 'websocket opened',
  });
});

test('a closed WebSocket is one line at info with exactly the promised fields', () => {
  const { observer, sink } = setUp();
  observer.closed(closeReport({ code: 1001, reason: 'bye', rttMs: 1.26, idleMs: 300.4, durationMs: 90_000.6 }));
  const [{ time, ...line } = {}, ...more] = sink.lines();
  assert.equal(typeof time, 'string');
  assert.deepEqual(more, []);
  assert.deepEqual(line, {
    level: 'info',
    id: 'c1',
    route: 'default',
    client: '203.0.113.7',
    path: '/ws?password=[redacted]',
    duration_ms: 90_001,
    bytes_up: 1,
    bytes_down: 2,
    frames_up: 3,
    frames_down: 4,
    pings: 5,
    pongs: 7,
    rtt_ms: 1.3,
    idle_ms: 300,
    initiator: 'client',
    cause: 'close_frame',
    code: 1001,
    reason: 'bye',
    verdict: 'The browser left normally.',
    msg: 'websocket closed',
  });
});

test('a round trip that was never measured is null', () => {
  const { observer, sink } = setUp();
  observer.closed(closeReport());
  assert.equal(sink.lines()[0]?.['rtt_ms'], null);
});

test('a failed upgrade is one line at warn with its verdict', () => {
  const { observer, sink } = setUp();
  observer.upgradeFailed(upgradeFailure());
  const [{ time, verdict, ...line } = {}, ...more] = sink.lines();
  assert.equal(typeof time, 'string');
  assert.deepEqual(more, []);
  assert.match(String(verdict), /could not be reached/);
  assert.deepEqual(line, {
    level: 'warn',
    reason: 'upstream_unreachable',
    route: 'default',
    client: '203.0.113.7',
    path: '/ws?password=[redacted]',
    status: 502,
    detail: 'upstream http://neko:8080: connection refused',
    msg: 'upgrade failed',
  });
});

test('a reason from the wire cannot forge a line, colour a terminal or show a secret', () => {
  const { observer, sink } = setUp();
  const reason = 'x\n{"level":"fatal"}\u{1b}[31m\u{202e} /ws?token=hunter2';
  observer.closed(closeReport({ code: 4000, reason }));
  observer.upgradeFailed(upgradeFailure({ detail: `answered ${reason} ${'y'.repeat(1_000)}` }));
  for (const bad of ['hunter2', '\\n', '\u{1b}', '\u{202e}']) assert.ok(!sink.text.includes(bad), bad);
  const [closed, failed] = sink.lines();
  assert.equal(closed?.['reason'], 'x\\u{a}{"level":"fatal"}\\u{1b}[31m\\u{202e} /ws?token=[redacted]');
  assert.equal(String(failed?.['detail']).length, 301);
});

test('three idle cuts name their silence each, and teach a shorter interval that the log explains', () => {
  const { cut, lessons, sink, causes } = setUp();
  for (const idleMs of [3_004, 3_001, 3_002]) cut(idleMs);
  const verdicts = sink.lines('websocket closed').map((line) => String(line['verdict']));
  for (const verdict of verdicts) assert.match(verdict, / 3 s of silence/);
  assert.deepEqual(causes(), ['abrupt_end', 'abrupt_end', 'front_idle_cut']);
  const [learned] = sink.lines('shorter ping interval learned');
  assert.equal(learned?.['level'], 'warn');
  assert.equal(learned['interval_ms'], 1_501);
  assert.deepEqual(learned['idle_ages_ms'], [3_004, 3_001, 3_002]);
  assert.match(String(learned['reasoning']), /same silence and none outlived it/);
  assert.equal(lessons.length, 1);
});

test('where the adaptive interval is off the verdicts name the limit, but nothing is told as learned', () => {
  const { cut, lessons, sink, causes } = setUp({ isAdaptive: (route) => route !== 'default' });
  for (const idleMs of [3_004, 3_001, 3_002]) cut(idleMs);
  assert.deepEqual(causes(), ['abrupt_end', 'abrupt_end', 'front_idle_cut']);
  assert.deepEqual([sink.lines('shorter ping interval learned'), lessons], [[], []]);
});

test('silences that answered Pings ended on the client side speak against a limit', () => {
  const { cut, clock, observer, lessons } = setUp();
  cut(3_000);
  observer.ponged(connectionInfo(), 'client', 20, 9_000);
  cut(3_000);
  cut(3_000);
  assert.deepEqual(lessons, []);
  assert.ok(clock.now() > 0);
});

test('silences on the upstream side do not', () => {
  const { cut, observer, lessons } = setUp();
  cut(3_000);
  observer.ponged(connectionInfo(), 'upstream', 20, 9_000);
  cut(3_000);
  cut(3_000);
  assert.equal(lessons.length, 1);
});

test('many different ends within a second are put down to a reload of the front', () => {
  const { clock, causes, observer } = setUp();
  for (const idleMs of [300, 2_000, 7_000]) observer.closed(abruptEnd(idleMs, { endedAt: clock.now() }));
  assert.deepEqual(causes(), []);
  clock.advance(1_000);
  assert.deepEqual(causes(), ['front_reload', 'front_reload', 'front_reload']);
});

test('a stop writes the lines that still wait', () => {
  const { observer, causes, closed } = setUp();
  observer.closed(abruptEnd(5_000));
  assert.deepEqual(causes(), []);
  observer.flush();
  assert.deepEqual(causes(), ['abrupt_end']);
  assert.deepEqual(closed, ['abrupt_end']);
});

test('log and metrics agree on every cause and reason', async () => {
  const { clock, observer, metrics, sink } = setUp();
  const sides = ['client', 'upstream'] as const;
  for (let index = 0; index < 300; index += 1) {
    const cause = CLOSE_CAUSES[index % CLOSE_CAUSES.length];
    const reason = UPGRADE_FAILURES[index % UPGRADE_FAILURES.length];
    assert.ok(cause && reason);
    observer.opened(connectionInfo());
    observer.closed(
      closeReport({ cause, side: sides[index % 2] ?? 'client', endedAt: clock.now(), idleMs: index * 37 }),
    );
    observer.upgradeFailed(upgradeFailure({ reason }));
    clock.advance(250);
  }
  clock.advance(1_000);
  const { samples, value } = parseExposition((await metrics.exposition()).body, 'text');
  const lines = sink.lines('websocket closed');
  const closes = samples.filter(({ name }) => name === 'ws_keepalive_closes_total');
  assert.equal(
    closes.reduce((sum, { value }) => sum + value, 0),
    300,
  );
  for (const { labels, value } of closes) {
    const matching = lines.filter(
      (line) => line['cause'] === labels['cause'] && line['initiator'] === labels['initiator'],
    );
    assert.equal(value, matching.length, JSON.stringify(labels));
  }
  assert.equal(value('ws_keepalive_connections_open'), 0);
  for (const reason of UPGRADE_FAILURES) {
    const logged = sink.lines('upgrade failed').filter((line) => line['reason'] === reason).length;
    assert.equal(value('ws_keepalive_upgrade_failures_total', { route: 'default', reason }), logged);
  }
});

test('ten thousand paths and addresses make no more series than one', async () => {
  const { clock, observer, metrics } = setUp();
  const count = async (): Promise<number> => parseExposition((await metrics.exposition()).body, 'text').samples.length;
  const visit = (index: number): void => {
    const who = { path: `/ws/${index}`, client: `198.51.100.${index}`, id: `c${index}` };
    observer.opened(connectionInfo(who));
    observer.ponged(connectionInfo(who), 'client', index, index);
    observer.bridged(connectionInfo(who), index);
    observer.closed(closeReport({ ...who, endedAt: clock.now(), code: index, reason: `r${index}` }));
    observer.upgradeFailed(upgradeFailure({ ...who, detail: `d${index}` }));
    observer.httpRequest('default', 200);
  };
  visit(0);
  const one = await count();
  for (let index = 1; index <= 10_000; index += 1) visit(index);
  assert.equal(await count(), one);
});
