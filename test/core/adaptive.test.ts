import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { AdaptiveInterval, agesAgree } from '../../src/core/adaptive.ts';
import { end, feed, MINUTE, randomFrom, SECOND } from '../support/ends.ts';

const DAY = 24 * 60 * MINUTE;
const CONFIGURED = 25 * SECOND;
const OF = { route: 'default', front: '10.0.0.1' };

const intervalOf = (adaptive: AdaptiveInterval, now = 10 * MINUTE, route = 'default', front = '10.0.0.1'): number =>
  adaptive.intervalFor(route, front, CONFIGURED, now);

/** A front that cuts what was silent for 12 s, before clients that go silent; the proxy pings at its interval. */
function liveBehindFront(adaptive: AdaptiveInterval, cutAfter: number, until: number): number {
  let cuts = 0;
  for (let now = 0; now < until; ) {
    const interval = intervalOf(adaptive, now);
    const silence = Math.min(interval, cutAfter);
    now += silence;
    if (interval < cutAfter) {
      adaptive.observeSurvivedGap({ route: 'default', front: '10.0.0.1', gapMs: silence }, now);
    } else {
      cuts += 1;
      adaptive.observeEnd(OF, silence, now);
      now += SECOND;
    }
  }
  return cuts;
}

test('a 12 s front under a 25 s interval is learned in three cuts and cuts no more', () => {
  const adaptive = new AdaptiveInterval();
  assert.equal(liveBehindFront(adaptive, 12 * SECOND, 60 * MINUTE), 3);
  assert.equal(intervalOf(adaptive, 60 * MINUTE), 6 * SECOND);
});

test('the lesson names route, front, limit, interval and the ages that agreed', () => {
  const lessons = feed(new AdaptiveInterval(), [end(12_050), end(12_000), end(12_200)]);
  assert.deepEqual(lessons, [
    { route: 'default', front: '10.0.0.1', cutAfterMs: 12_000, intervalMs: 6_000, agesMs: [12_050, 12_000, 12_200] },
  ]);
});

test('two cuts are not enough, and neither are three whose ages differ by more than 3 %', () => {
  assert.deepEqual(feed(new AdaptiveInterval(), [end(12_000), end(12_000)]), []);
  assert.deepEqual(feed(new AdaptiveInterval(), [end(12_000), end(12_200), end(12_400)]), []);
});

test('short ages agree within 250 ms, long ones within 3 %', () => {
  assert.deepEqual([agesAgree(3_000, 3_250), agesAgree(3_251, 3_000)], [true, false]);
  assert.deepEqual([agesAgree(60_000, 58_200), agesAgree(58_100, 60_000)], [true, false]);
});

test('the interval is at least five seconds and never above the configured one', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(10_000), end(10_000), end(10_000)]);
  assert.equal(adaptive.intervalFor('default', '10.0.0.1', CONFIGURED, MINUTE), 5_000);
  assert.equal(adaptive.intervalFor('default', '10.0.0.1', 400, MINUTE), 400);
  const slow = new AdaptiveInterval();
  feed(slow, [end(60_000), end(60_000), end(60_000)]);
  assert.equal(intervalOf(slow), CONFIGURED);
});

test('Pings that are switched off stay off', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000), end(12_000)]);
  assert.equal(adaptive.intervalFor('default', '10.0.0.1', Infinity, MINUTE), Infinity);
});

test('a longer silence that was survived since the first cut speaks against the limit', () => {
  const adaptive = new AdaptiveInterval();
  const survived = (gapMs: number, at: number): void =>
    adaptive.observeSurvivedGap({ route: 'default', front: '10.0.0.1', gapMs }, at);
  feed(adaptive, [end(12_000), end(12_000)]);
  survived(12_100, 90 * SECOND);
  survived(14_000, 90 * SECOND);
  survived(3_000, 95 * SECOND);
  assert.deepEqual(feed(adaptive, [end(12_000)], 2 * MINUTE), []);
  assert.equal(intervalOf(adaptive), CONFIGURED);
});

test('a silence that was survived right after the first cut counts, one before it does not', () => {
  const gap = { route: 'default', front: '10.0.0.1', gapMs: 20_000 };
  const during = new AdaptiveInterval();
  during.observeEnd(OF, 12_000, 0);
  during.observeSurvivedGap(gap, 500);
  assert.deepEqual(feed(during, [end(12_000), end(12_000)], MINUTE), []);
  const before = new AdaptiveInterval();
  before.observeSurvivedGap(gap, 0);
  assert.equal(feed(before, [end(12_000), end(12_000), end(12_000)], MINUTE).length, 1);
});

test('silences about as long as the limit, or shorter than a second, do not speak against it', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000)]);
  for (const gapMs of [999, NaN, 11_000, 12_300]) {
    adaptive.observeSurvivedGap({ route: 'default', front: '10.0.0.1', gapMs }, 90 * SECOND);
  }
  assert.equal(feed(adaptive, [end(12_000)], 2 * MINUTE).length, 1);
});

test('many silences are remembered in bounded space without losing the longest', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000)]);
  for (let gapMs = 40_000; gapMs > 1_000; gapMs -= 500) {
    adaptive.observeSurvivedGap({ route: 'default', front: '10.0.0.1', gapMs }, 90 * SECOND);
  }
  assert.deepEqual(feed(adaptive, [end(12_000)], 2 * MINUTE), []);
});

test('pieces that disagree have to be outvoted', () => {
  const noise = [end(3_000), end(7_000)];
  const adaptive = new AdaptiveInterval();
  assert.deepEqual(feed(adaptive, [...noise, end(12_000), end(12_000), end(12_000), end(12_000)]), []);
  assert.equal(feed(adaptive, [end(12_000)], 10 * MINUTE).length, 1);
});

test('thousands of random ages teach nothing', () => {
  for (const longest of [10_000, 25_000, 60_000]) {
    for (const random of [1, 2, 3].map(randomFrom)) {
      const adaptive = new AdaptiveInterval();
      const ages = Array.from({ length: 5_000 }, () => end(SECOND + random() * (longest - SECOND)));
      assert.deepEqual(feed(adaptive, ages), []);
    }
  }
});

test('random ages between cuts delay the lesson but do not spoil it', () => {
  const random = randomFrom(7);
  const adaptive = new AdaptiveInterval();
  const ends = Array.from({ length: 60 }, (_, index) => end(index % 4 === 0 ? SECOND + random() * 10_000 : 12_000));
  const [lesson] = feed(adaptive, ends);
  assert.equal(lesson?.cutAfterMs, 12_000);
});

test('ends after less than a second, or at an unknown age, change nothing', () => {
  for (const ageMs of [999, NaN]) {
    const adaptive = new AdaptiveInterval();
    assert.deepEqual(
      feed(
        adaptive,
        Array.from({ length: 100 }, () => end(ageMs)),
      ),
      [],
    );
    assert.equal(adaptive.suspects(OF), false);
    assert.deepEqual(adaptive.evidenceFor(OF, ageMs, 0), {
      isLearned: false,
      agreeing: 0,
      others: 0,
      isOutlived: false,
    });
  }
});

test('a limit below 10 s is evidence for verdicts, and nothing is learned from it', () => {
  const adaptive = new AdaptiveInterval();
  assert.deepEqual(feed(adaptive, [end(9_900), end(9_950), end(9_990), end(9_990)]), []);
  assert.equal(intervalOf(adaptive), CONFIGURED);
  assert.deepEqual(adaptive.evidenceFor(OF, 9_900, 4 * MINUTE), {
    isLearned: false,
    agreeing: 4,
    others: 0,
    isOutlived: false,
  });
});

test('evidence tells of ends that agree, of others, and of silences that were lived through since', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(5_000), end(5_100), end(20_000)]);
  const evidence = (ageMs: number): unknown => adaptive.evidenceFor(OF, ageMs, 5 * MINUTE);
  assert.deepEqual(evidence(5_000), { isLearned: false, agreeing: 2, others: 1, isOutlived: true });
  assert.deepEqual(evidence(20_000), { isLearned: false, agreeing: 1, others: 2, isOutlived: false });
  assert.deepEqual(evidence(9_000), { isLearned: false, agreeing: 0, others: 3, isOutlived: false });
});

test('a learned limit that a connection outlives is forgotten at once', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000), end(12_000)]);
  assert.equal(adaptive.evidenceFor(OF, 12_100, 4 * MINUTE).isLearned, true);
  adaptive.observeSurvivedGap({ ...OF, gapMs: 12_200 }, 4 * MINUTE);
  assert.equal(intervalOf(adaptive), 6_000);
  adaptive.observeSurvivedGap({ ...OF, gapMs: 14_000 }, 4 * MINUTE);
  assert.equal(intervalOf(adaptive), CONFIGURED);
  assert.equal(adaptive.suspects(OF), false);
});

test('a hostile client moves its own route and front alone', () => {
  const adaptive = new AdaptiveInterval();
  feed(
    adaptive,
    Array.from({ length: 500 }, () => end(10_500, { route: 'alpha', front: '6.6.6.6' })),
  );
  assert.equal(intervalOf(adaptive, 0, 'alpha', '6.6.6.6'), 5_250);
  assert.equal(intervalOf(adaptive, 0, 'alpha', '10.0.0.1'), CONFIGURED);
  assert.equal(intervalOf(adaptive, 0, 'default', '6.6.6.6'), CONFIGURED);
});

test('learning goes downwards only', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000), end(12_000)]);
  assert.deepEqual(feed(adaptive, [end(20_000), end(20_000), end(20_000)], 5 * MINUTE), []);
  assert.equal(adaptive.cutAfter('default', '10.0.0.1', 9 * MINUTE), 12_000);
  assert.equal(feed(adaptive, [end(10_400), end(10_400), end(10_400)], 10 * MINUTE).length, 1);
  assert.equal(adaptive.cutAfter('default', '10.0.0.1', 15 * MINUTE), 10_400);
});

test('a lesson is forgotten step by step after days without evidence', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000), end(12_000)]);
  const learnedAt = 2 * MINUTE;
  const after = (days: number): number => intervalOf(adaptive, learnedAt + days * DAY);
  assert.deepEqual([0, 2.9, 3, 6, 9, 12].map(after), [6_000, 6_000, 9_000, 13_500, 20_250, 25_000]);
  assert.equal(adaptive.learned(learnedAt + 29 * DAY).length, 1);
  assert.deepEqual(adaptive.learned(learnedAt + 30 * DAY), []);
  assert.equal(adaptive.cutAfter('default', '10.0.0.1', learnedAt), null);
});

test('one more cut at the learned age starts the forgetting anew', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000), end(12_000)]);
  assert.equal(intervalOf(adaptive, 7 * DAY), 13_500);
  assert.deepEqual(feed(adaptive, [end(12_100)], 7 * DAY), []);
  assert.equal(intervalOf(adaptive, 7 * DAY + MINUTE), 6_000);
});

test('evidence older than a day is dropped', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000)]);
  assert.deepEqual(feed(adaptive, [end(12_000)], 2 * DAY), []);
  assert.equal(adaptive.evidenceFor({ route: 'default', front: '10.0.0.1' }, 12_000, 0).agreeing, 1);
});

test('a flood of addresses cannot push out what was learned, and memory stays bounded', () => {
  const adaptive = new AdaptiveInterval();
  feed(adaptive, [end(12_000), end(12_000), end(12_000)]);
  for (let index = 0; index < 3_000; index += 1) {
    feed(
      adaptive,
      [1, 2, 3].map(() => end(10_500, { front: `6.6.${index}` })),
      5 * MINUTE,
    );
  }
  assert.equal(adaptive.learned(10 * MINUTE).length, 1_024);
  assert.equal(intervalOf(adaptive), 6_000);
});

test('evidence is kept for a bounded number of fronts, the latest ones', () => {
  const adaptive = new AdaptiveInterval();
  for (let index = 0; index < 5_000; index += 1) feed(adaptive, [end(9_000, { front: `f${index}` })], index * SECOND);
  assert.equal(adaptive.evidenceFor({ route: 'default', front: 'f0' }, 9_000, 0).agreeing, 0);
  assert.equal(adaptive.evidenceFor({ route: 'default', front: 'f4999' }, 9_000, 0).agreeing, 1);
});

test('whatever is observed, the interval stays between five seconds and the configured one', () => {
  const observation = fc.record({
    wireIdleMs: fc.double({ min: 0, max: 100_000 }),
    wait: fc.nat(120_000),
    gapMs: fc.double({ min: 0, max: 100_000 }),
  });
  fc.assert(
    fc.property(fc.array(observation, { maxLength: 60 }), (observations) => {
      const adaptive = new AdaptiveInterval();
      let now = 0;
      for (const { wireIdleMs, wait, gapMs } of observations) {
        adaptive.observeEnd(OF, wireIdleMs, now);
        adaptive.observeSurvivedGap({ route: 'default', front: '10.0.0.1', gapMs }, now);
        now += wait;
        const interval = intervalOf(adaptive, now);
        assert.ok(interval >= 5_000 && interval <= CONFIGURED);
      }
    }),
  );
});
