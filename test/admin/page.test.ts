/** The parts of the status page's scripts that need no browser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { factsOf } from '../../src/admin/status/page/ends.js';
import { age, bytes, duration, milliseconds, roundTop, utc } from '../../src/admin/status/page/format.js';
import { hourInWords, minuteCells, sumByHop } from '../../src/admin/status/page/hour.js';
import { inOrder } from '../../src/admin/status/page/routes.js';
import { Rows } from '../../src/admin/status/page/rows.js';
import type { End, Minute, Overview, Route, Row } from '../../src/admin/status/page/types.d.ts';

for (const [ms, long, short] of [
  [-1, '0 s', '0 s'],
  [1_234, '1.2 s', '1 s'],
  [59_900, '59 s', '59 s'],
  [95_000, '1 min 35 s', '1:35'],
  [7_500_000, '2 h 5 min', '2 h 5'],
  [100_000_000, '1 d 3 h', '1 d 3'],
] as const)
  test(`${ms} ms are shown as ${long}, and as ${short} in a column`, () => {
    assert.deepEqual([duration(ms), age(ms)], [long, short]);
  });

test('round trips, sizes, times and tops are shown as people read them', () => {
  assert.deepEqual([null, 3.14, 99.6, 12_000].map(milliseconds), ['–', '3.1 ms', '100 ms', '12 s']);
  assert.deepEqual([999, 1_000, 56_789, 2e12].map(bytes), ['999 B', '1.0 kB', '57 kB', '2000 GB']);
  assert.equal(utc(Date.UTC(2030, 0, 2, 3, 4, 5)), '2030-01-02 03:04:05 UTC');
  assert.deepEqual([[], [3], [50], [51], [2_003]].map(roundTop), [1, 5, 50, 100, 5_000]);
});

function minute(at: number, more: Partial<Minute> = {}): Minute {
  const none = { all: 0, trouble: 0 };
  const ends = { browser: none, front: none, proxy: none, upstream: none };
  const failed = { browser: 0, front: 0, proxy: 0, upstream: 0 };
  return { at, open: 0, opened: 0, ends, failed, rttMedian: null, rttWorst: null, ...more };
}

test('ends and failures count at their hop, over the minutes asked for', () => {
  const ends = { ...minute(0).ends, front: { all: 5, trouble: 4 } };
  const failed = { ...minute(0).failed, upstream: 3 };
  const minutes = [minute(0, { ends }), minute(60_000, { ends, failed, open: 7 })];
  const { front, upstream } = sumByHop(minutes, 60_000);
  assert.deepEqual(
    [front, upstream],
    [
      { all: 5, trouble: 4 },
      { all: 3, trouble: 3 },
    ],
  );
  assert.equal(sumByHop(minutes, 0).front.all, 10);
  assert.equal(
    hourInWords(minutes),
    'Open connections: 7 now, at most 7. 13 ended or failed, with trouble: front 8, upstream 3. 3 upgrades failed.',
  );
  const cells = minuteCells(minute(Date.UTC(2030, 0, 1, 5, 7), { ends, failed, rttMedian: 20, rttWorst: 30 }));
  assert.deepEqual(cells, ['05:07', '0', '0', '5', 'front 4', '3', '20 ms', '30 ms']);
});

const row = (id: string, more: Partial<Row> = {}): Row => ({
  id,
  route: 'default',
  client: `192.0.2.${id}`,
  front: '10.0.0.1',
  path: '/ws',
  state: 'open',
  openedAt: Number(id),
  activeAt: 0,
  rttMs: null,
  intervalMs: null,
  pings: 0,
  pongs: 0,
  bytesUp: 0,
  bytesDown: 0,
  history: [],
  unanswered: [],
  words: '',
  rank: 0,
  ...more,
});

const idsOf = (rows: Rows): string[] => rows.list().map(({ id }) => id);

test('rows stand in the order asked for and keep their places while their figures change', () => {
  const rows = new Rows();
  rows.take({ type: 'snapshot', now: 0, wall: 0, rows: [row('1', { rttMs: 10 }), row('2', { rttMs: 30 })] });
  assert.deepEqual(idsOf(rows), ['2', '1']);
  rows.sort('rtt');
  assert.deepEqual(idsOf(rows), ['2', '1']);
  rows.take({ type: 'changes', now: 0, wall: 0, changed: [{ id: '1', rttMs: 99 }, { id: 'gone' }] });
  assert.deepEqual(idsOf(rows), ['2', '1']);
  rows.sort('rtt');
  assert.deepEqual(idsOf(rows), ['1', '2']);
  rows.take({ type: 'changes', now: 0, wall: 0, opened: [row('3', { rttMs: 50 })], closed: ['1'] });
  assert.deepEqual(idsOf(rows), ['3', '2']);
  for (const order of ['oldest', 'idle', 'bytes', 'client', 'route', 'state', 'newest', 'no such order']) {
    rows.sort(order);
    assert.equal(rows.list().length, 2);
  }
});

test('rows are found by what they show, and by their state', () => {
  const rows = new Rows();
  rows.take({
    type: 'snapshot',
    now: 0,
    wall: 0,
    rows: [row('1', { state: 'waiting' }), row('2', { path: '/Alpha' })],
  });
  assert.equal(rows.isFiltered, false);
  for (const [words, found] of [
    ['waiting', ['1']],
    [' ALPHA ', ['2']],
    ['10.0.0.1', ['2', '1']],
    ['nobody', []],
  ] as const) {
    rows.filter(words);
    assert.deepEqual(idsOf(rows), found);
  }
  assert.deepEqual([rows.isFiltered, rows.size], [true, 2]);
});

test('a Ping is unanswered until its Pong is told', () => {
  const rows = new Rows();
  rows.take({ type: 'snapshot', now: 0, wall: 0, rows: [row('1')] });
  rows.take({ type: 'changes', now: 5_000, wall: 0, changed: [{ id: '1', pings: 1 }] });
  assert.deepEqual(rows.list()[0]?.unanswered, [5_000]);
  rows.take({ type: 'changes', now: 6_000, wall: 0, changed: [{ id: '1', pongs: 1, history: [[4_900, 20]] }] });
  assert.deepEqual([rows.list()[0]?.unanswered, rows.list()[0]?.history], [[], [[4_900, 20]]]);
});

test('routes are as configured, or ordered by a column, those that are down first', () => {
  const route = (name: string, open: number): Route => ({
    name,
    open,
    opened: 0,
    intervalMs: null,
    configuredMs: null,
    cutsPrevented: 0,
    closes: {},
    failures: {},
  });
  const upstream = { route: 'b', url: 'http://b', isUp: false, since: 0, error: 'refused' };
  const overview: Overview = {
    routes: [route('c', 1), route('a', 3), route('b', 2)],
    upstreams: [upstream],
    lessons: [],
    limit: null,
    draining: false,
  };
  const names = (order: string | null): string =>
    inOrder(overview, order)
      .map(({ name }) => name)
      .join('');
  assert.deepEqual([null, 'name', 'open', 'upstream', 'opened'].map(names), ['cab', 'abc', 'abc', 'bca', 'cab']);
  for (const order of ['interval', 'refused', 'prevented']) assert.equal(names(order), 'cab');
});

test('an end is told with what is known of it', () => {
  const end = {
    at: 0,
    route: 'default',
    client: '192.0.2.1',
    path: '/ws',
    hop: 'browser',
    trouble: false,
    verdict: '',
  } as const;
  const closed: End = {
    ...end,
    kind: 'closed',
    id: 'a1',
    initiator: 'client',
    cause: 'close_frame',
    code: 1001,
    reason: '',
    durationMs: 95_000,
    idleMs: 0,
  };
  assert.equal(factsOf(closed), '192.0.2.1 · default · /ws · open for 1 min 35 s · code 1001');
  assert.equal(factsOf({ ...closed, code: null }), '192.0.2.1 · default · /ws · open for 1 min 35 s');
  const failed: End = { ...end, kind: 'failed', cause: 'upstream_refused', status: 502, detail: 'refused' };
  assert.equal(factsOf(failed), '192.0.2.1 · default · /ws · answered with 502 · refused');
});
