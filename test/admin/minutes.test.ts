import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MARKS, Minutes } from '../../src/admin/status/minutes.ts';

const MINUTE = 60_000;

function setUp() {
  const clock = { now: 0 };
  return { clock, minutes: new Minutes(() => clock.now) };
}

test('what is open goes on from minute to minute, and an hour is kept', () => {
  const { clock, minutes } = setUp();
  minutes.opened();
  minutes.opened();
  clock.now = 3 * MINUTE;
  minutes.closed();
  assert.deepEqual(
    minutes.since().map(({ at, open, opened }) => [at / MINUTE, open, opened]),
    [
      [0, 2, 2],
      [1, 2, 0],
      [2, 2, 0],
      [3, 1, 0],
    ],
  );
  clock.now = 500 * MINUTE;
  const hour = minutes.since();
  assert.deepEqual([hour.length, hour[0]?.at, hour.at(-1)?.open], [60, 441 * MINUTE, 1]);
  assert.equal(minutes.since(499 * MINUTE).length, 2);
});

test('ends and failures are counted by hop, those with trouble apart', () => {
  const { minutes } = setUp();
  minutes.ended('front', true);
  minutes.ended('front', false);
  minutes.failed('upstream');
  const [minute] = minutes.since();
  assert.deepEqual(minute?.ends.front, { all: 2, trouble: 1 });
  assert.deepEqual(minute?.failed, { browser: 0, front: 0, proxy: 0, upstream: 1 });
});

test('the median of round trips is right to a tenth, and the slowest is exact', () => {
  const { minutes } = setUp();
  for (let ms = 1; ms <= 99; ms += 1) minutes.ponged(ms);
  minutes.ponged(0.01);
  minutes.ponged(250_000);
  const [minute] = minutes.since();
  const median = minute?.rttMedian ?? 0;
  assert.ok(median > 45 && median < 55, String(median));
  assert.equal(minute?.rttWorst, 250_000);
});

test('a clock that is set back makes no minute twice', () => {
  const { clock, minutes } = setUp();
  clock.now = 5 * MINUTE;
  minutes.opened();
  clock.now = 2 * MINUTE;
  minutes.opened();
  assert.deepEqual(
    minutes.since().map(({ at, opened }) => [at, opened]),
    [[5 * MINUTE, 2]],
  );
});

test('marks are told once to who knows the others, and forgotten after an hour or beyond a hundred', () => {
  const { clock, minutes } = setUp();
  for (const kind of MARKS) minutes.mark(kind, 'x');
  assert.deepEqual(
    minutes.marksSince(3).map(({ kind }) => kind),
    ['upstream lost', 'upstream back'],
  );
  clock.now = 61 * MINUTE;
  assert.deepEqual(minutes.marksSince(0), []);
  for (let index = 0; index < 150; index += 1) minutes.mark('learned', String(index));
  const kept = minutes.marksSince(0);
  assert.deepEqual([kept.length, kept[0]?.text], [100, '50']);
});
