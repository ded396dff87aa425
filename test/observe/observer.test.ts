import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_CAUSES, type CloseReport, UPGRADE_FAILURES } from '../../src/core/events.ts';
import type { Lesson } from '../../src/core/adaptive.ts';
import type { KeepaliveSettings } from '../../src/core/settings.ts';
import type { OpenConnection } from '../../src/observe/close-groups.ts';
import { createMetrics } from '../../src/observe/metrics/metrics.ts';
import { createObserver, type ObserverOptions } from '../../src/observe/observer.ts';
import { parseExposition } from '../support/exposition.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { abruptEnd, closeReport, connectionInfo, upgradeFailure } from '../support/reports.ts';

const keepalive = (interval: number, adaptive = true): KeepaliveSettings => {
  const ping = { interval, timeout: 30_000, mode: 'idle' } as const;
  return { client: ping, upstream: ping, adaptive, frontIdleTimeout: 60_000 };
};

const openConnection = (more: Partial<OpenConnection> = {}): OpenConnection => ({
  info: connectionInfo({ id: 'open' }),
  openedAt: 0,
  isClosing: false,
  wireIdleFor: () => 0,
  ...more,
});

function setUp(more: Partial<ObserverOptions> = {}) {
  const clock = new FakeClock();
  const { log, sink } = createSinkLogger({}, () => clock.now());
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
  const cut = (wireIdleMs: number, end: Partial<CloseReport> = {}): void => {
    observer.closed(abruptEnd(wireIdleMs, { endedAt: clock.now(), ...end }));
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
    host: 'rooms.example.com',
    user_agent: 'Mozilla/5.0',
    request_id: 'r1',
    msg: 'websocket opened',
  });
});

test('a closed WebSocket is one line at info with exactly the promised fields', () => {
  const { observer, sink } = setUp();
  observer.closed(
    closeReport({ code: 1000, reason: 'bye', rttMs: 1.26, idleMs: 300.4, wireIdleMs: 200.4, durationMs: 90_000.6 }),
  );
  const [{ time, ...line } = {}, ...more] = sink.lines();
  assert.equal(typeof time, 'string');
  assert.deepEqual(more, []);
  assert.deepEqual(line, {
    level: 'info',
    id: 'c1',
    route: 'default',
    client: '203.0.113.7',
    path: '/ws?password=[redacted]',
    host: 'rooms.example.com',
    user_agent: 'Mozilla/5.0',
    request_id: 'r1',
    duration_ms: 90_001,
    bytes_up: 1,
    bytes_down: 2,
    frames_up: 3,
    frames_down: 4,
    pings: 5,
    pongs: 7,
    rtt_ms: 1.3,
    idle_ms: 300,
    wire_idle_ms: 200,
    answers_pings: true,
    initiator: 'client',
    cause: 'close_frame',
    code: 1000,
    reason: 'bye',
    verdict: 'The client closed the connection itself, in the ordinary way.',
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
  observer.upgradeFailed(upgradeFailure({ request: connectionInfo().request }));
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
    host: 'rooms.example.com',
    user_agent: 'Mozilla/5.0',
    request_id: 'r1',
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
  const { cut, lessons, sink, causes } = setUp({ keepaliveOf: () => keepalive(25_000) });
  for (const wireIdleMs of [12_004, 12_001, 12_002]) cut(wireIdleMs);
  const verdicts = sink.lines('websocket closed').map((line) => String(line['verdict']));
  for (const verdict of verdicts) assert.match(verdict, / 12 s of silence/);
  assert.deepEqual(causes(), ['abrupt_end', 'abrupt_end', 'front_idle_cut']);
  const [learned] = sink.lines('shorter ping interval learned');
  assert.equal(learned?.['level'], 'warn');
  assert.equal(learned['interval_ms'], 6_001);
  assert.deepEqual(learned['idle_ages_ms'], [12_004, 12_001, 12_002]);
  assert.match(String(learned['reasoning']), /same silence 3 times, and none outlived it since.*half of that time/);
  assert.equal(lessons.length, 1);
});

test('what is learned where nothing follows it is told as such, with what to set', () => {
  for (const [settings, why] of [
    [keepalive(25_000, false), /keepalive\.adaptive is off/],
    [keepalive(Infinity), /keepalive\.ping_interval is off/],
  ] as const) {
    const { cut, lessons, sink, causes } = setUp({ keepaliveOf: () => settings });
    for (const wireIdleMs of [12_004, 12_001, 12_002]) cut(wireIdleMs);
    assert.deepEqual(causes(), ['abrupt_end', 'abrupt_end', 'front_idle_cut']);
    assert.deepEqual([sink.lines('shorter ping interval learned'), lessons], [[], []]);
    const [found] = sink.lines('idle limit found');
    assert.match(String(found?.['reasoning']), why);
    assert.match(String(found?.['reasoning']), /set keepalive\.ping_interval to 6 s or less/);
  }
});

test('clients that come directly and leave after the same silence are no front', () => {
  const { cut, causes, sink } = setUp();
  for (let count = 0; count < 3; count += 1) cut(3_000, { frontIsKnown: false });
  assert.deepEqual(causes().at(-1), 'abrupt_end');
  assert.match(String(sink.lines('websocket closed').at(-1)?.['verdict']), /like others before it/);
});

test('resets are idle cuts as well, unless a Ping may have provoked them', () => {
  const honest = setUp();
  for (let count = 0; count < 3; count += 1) honest.cut(12_000, { reset: true });
  assert.deepEqual(honest.causes().at(-1), 'front_idle_cut');
  const provoked = setUp();
  for (let count = 0; count < 3; count += 1) provoked.cut(12_000, { reset: true, pingUnanswered: true });
  assert.deepEqual(provoked.causes(), ['abrupt_end', 'abrupt_end', 'abrupt_end']);
});

test('silences that others live through speak against a limit, whether they have ended or still last', () => {
  const ended = setUp();
  ended.cut(3_000);
  ended.observer.outlived(connectionInfo(), 9_000);
  ended.cut(3_000);
  ended.cut(3_000);
  assert.deepEqual(new Set(ended.causes()), new Set(['abrupt_end']));
  const lasting = setUp({ openConnections: () => [openConnection({ wireIdleFor: () => 9_000 })] });
  for (let count = 0; count < 3; count += 1) lasting.cut(3_000);
  assert.deepEqual(new Set(lasting.causes()), new Set(['abrupt_end']));
});

test('silences as long as the ping interval prove nothing: our own Pings end them all', () => {
  const { cut, causes } = setUp({ keepaliveOf: () => keepalive(3_200) });
  for (let count = 0; count < 5; count += 1) cut(3_000);
  assert.deepEqual(new Set(causes()), new Set(['abrupt_end']));
});

test('three ends of two clients within a second are a reload of a known front, unless something older is left', () => {
  const outcome = (more: Partial<ObserverOptions>, ends: Partial<CloseReport> = {}): unknown => {
    const { clock, causes, observer } = setUp(more);
    [300, 2_000, 7_000].forEach((wireIdleMs, index) => {
      observer.closed(abruptEnd(wireIdleMs, { endedAt: clock.now(), client: `10.1.1.${index}`, ...ends }));
    });
    assert.deepEqual(causes(), []);
    clock.advance(1_500);
    return [...new Set(causes())];
  };
  const older = openConnection({ openedAt: -100_000 });
  assert.deepEqual(outcome({}), ['front_reload']);
  assert.deepEqual(outcome({ openConnections: () => [older] }), ['abrupt_end']);
  assert.deepEqual(outcome({ openConnections: () => [{ ...older, isClosing: true }] }), ['front_reload']);
  assert.deepEqual(outcome({ openConnections: () => [openConnection({ openedAt: 0 })] }), ['front_reload']);
  assert.deepEqual(outcome({}, { client: '10.1.1.1' }), ['abrupt_end']);
  assert.deepEqual(outcome({}, { frontIsKnown: false }), ['abrupt_end']);
});

test('sessions of an upstream that end together are told by whether others stay', () => {
  const verdictsOf = (more: Partial<ObserverOptions>): string => {
    const { clock, observer, sink } = setUp(more);
    for (const id of ['a', 'b'])
      observer.closed(closeReport({ id, side: 'upstream', cause: 'abrupt_end', endedAt: 0 }));
    clock.advance(1_500);
    return String(sink.lines('websocket closed')[0]?.['verdict']);
  };
  assert.match(verdictsOf({}), /all its 2 connections.*crashed/);
  assert.match(verdictsOf({ openConnections: () => [openConnection({ openedAt: -1 })] }), /2 connections.*others stay/);
  assert.match(verdictsOf({ openConnections: () => [openConnection({ openedAt: 1 })] }), /all its 2 connections/);
});

test('the same lifetimes of several clients, whatever passed, are cuts by the front and teach no interval', () => {
  const live = (more: Partial<CloseReport>, options: Partial<ObserverOptions> = {}): unknown[] => {
    const { cut, causes, lessons } = setUp(options);
    [0, 1, 2].forEach((index) => cut(2_000 * index, { durationMs: 30_000, client: `10.1.1.${index}`, ...more }));
    assert.deepEqual(lessons, []);
    return causes();
  };
  const older = openConnection({ openedAt: -100_000 });
  assert.deepEqual(live({}).at(-1), 'front_lifetime_cut');
  assert.deepEqual(live({ client: '10.1.1.1' }).at(-1), 'abrupt_end');
  assert.deepEqual(live({}, { openConnections: () => [older] }).at(-1), 'abrupt_end');
});

test('lifetimes that were all silence are told as both', () => {
  const { cut, causes, sink } = setUp();
  [0, 1, 2].forEach((index) => cut(30_000, { durationMs: 30_010, client: `10.1.1.${index}` }));
  assert.deepEqual(causes().at(-1), 'front_idle_cut');
  assert.match(String(sink.lines('websocket closed').at(-1)?.['verdict']), /silence or their lifetime/);
});

test('a standstill is one warning with its length, and ends within it are nobody’s doing', () => {
  const { clock, observer, sink, causes, lessons } = setUp();
  observer.stoodStill(12_000.4);
  const [line] = sink.lines();
  assert.deepEqual([line?.['level'], line?.['length_ms']], ['warn', 12_000]);
  observer.outlived(connectionInfo(), 12_000);
  for (const client of ['a', 'b', 'c']) observer.closed(abruptEnd(12_000, { client, endedAt: clock.now() }));
  clock.advance(1_500);
  assert.deepEqual([new Set(causes()), lessons], [new Set(['abrupt_end']), []]);
  assert.match(String(sink.lines('websocket closed')[0]?.['verdict']), /stood still for 12 s just before/);
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
      closeReport({ cause, side: sides[index % 2] ?? 'client', endedAt: clock.now(), wireIdleMs: index * 37 }),
    );
    observer.upgradeFailed(upgradeFailure({ reason }));
    clock.advance(250);
  }
  clock.advance(5_000);
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
  assert.equal(value('ws_keepalive_connections_open', { route: 'default' }), 0);
  for (const reason of UPGRADE_FAILURES) {
    const logged = sink.lines('upgrade failed').filter((line) => line['reason'] === reason).length;
    const counted = Number(value('ws_keepalive_upgrade_failures_total', { route: 'default', reason }));
    assert.ok(logged > 0 && logged <= counted, 'repeated warnings are left out of the log');
  }
});

test('ten thousand paths and addresses make no more series than one', async () => {
  const { clock, observer, metrics } = setUp();
  const count = async (): Promise<number> => parseExposition((await metrics.exposition()).body, 'text').samples.length;
  const visit = (index: number): void => {
    const who = { path: `/ws/${index}`, client: `198.51.100.${index}`, id: `c${index}` };
    observer.opened(connectionInfo(who));
    observer.ponged(connectionInfo(who), 'client', index);
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
