/** How long a side may take for an answer that has taken long before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Keepalive } from '../../src/core/keepalive.ts';
import { MOST_PATIENCE } from '../../src/core/patience.ts';
import { askedPing } from '../support/core-harness.ts';

/** Pings every 10 s, 30 s for the answer; since 1000 ms. */
function newKeepalive(): Keepalive {
  return new Keepalive({ interval: 10_000, timeout: 30_000, mode: 'idle' }, 60_000, 0, 1000);
}

/** A Ping is with the kernel at once, and is answered so many ms later. @returns when its answer came */
function answerAfter(keepalive: Keepalive, ms: number, at: number): number {
  const asked = askedPing(keepalive.position);
  keepalive.pinged(0, at);
  keepalive.sentPing(asked, at);
  keepalive.flushedPing(at);
  keepalive.heard(at + ms);
  keepalive.answered(asked, at, 1, at + ms);
  return at + ms;
}

/** How long the next answer may take. */
function patience(keepalive: Keepalive, at: number): number {
  keepalive.sentPing(askedPing(keepalive.position), at);
  keepalive.flushedPing(at);
  const due = keepalive.judgementDue();
  keepalive.heard(at);
  return due - at;
}

test('a side that answers late gets twice the slowest of its last four answers', () => {
  const keepalive = newKeepalive();
  let now = answerAfter(keepalive, 55_000, 11_000);
  assert.equal(patience(keepalive, now), 110_000);
  now = answerAfter(keepalive, 70_000, now);
  assert.equal(patience(keepalive, now), 140_000);
  for (let count = 1; count <= 3; count += 1) now = answerAfter(keepalive, 40, now);
  assert.equal(patience(keepalive, now), 140_000);
  now = answerAfter(keepalive, 40, now);
  assert.equal(patience(keepalive, now), 30_000, 'the late ones are forgotten');
});

test('but never more than ten minutes', () => {
  const keepalive = newKeepalive();
  assert.equal(patience(keepalive, answerAfter(keepalive, 400_000, 11_000)), MOST_PATIENCE);
});

test('answers in time, however slow, earn nothing', () => {
  const keepalive = newKeepalive();
  assert.equal(patience(keepalive, answerAfter(keepalive, 30_000, 11_000)), 30_000);
});

test('time in which nothing was read, and in which the timers were late, makes no answer late', () => {
  for (const excuse of ['pause', 'late tick', 'both'] as const) {
    const keepalive = newKeepalive();
    const asked = askedPing();
    keepalive.sentPing(asked, 11_000);
    keepalive.flushedPing(11_000);
    if (excuse !== 'late tick') keepalive.paused(12_000);
    if (excuse !== 'pause') keepalive.refresh(40_000, 60_000);
    if (excuse !== 'late tick') keepalive.resumed(60_000);
    keepalive.answered(asked, 11_000, 1, 61_000);
    keepalive.heard(61_000);
    assert.equal(patience(keepalive, 62_000), 30_000, excuse);
  }
});

test('an answer for which a slow reader had the time tells nothing about the late', () => {
  const keepalive = newKeepalive();
  keepalive.sent(4_000_000, 2000);
  const now = answerAfter(keepalive, 60_000, 11_000);
  assert.equal(patience(keepalive, now), 30_000);
  const late = newKeepalive();
  const answered = answerAfter(late, 55_000, 11_000);
  late.sent(4_000_000, answered);
  assert.equal(Math.round(patience(late, answerAfter(late, 60_000, answered))), 110_000, 'nor takes it anything back');
});

test('who answers an application late, or only the newest of all, is late as well', () => {
  const keepalive = newKeepalive();
  keepalive.relayedPing(1, 11_000);
  keepalive.flushedPing(11_000);
  keepalive.relayedPong(1, null, 66_000);
  keepalive.heard(66_000);
  assert.equal(patience(keepalive, 67_000), 110_000);
  const sparse = newKeepalive();
  sparse.relayedPing(1, 11_000);
  sparse.flushedPing(11_000);
  sparse.sent(1, 12_000);
  const asked = askedPing(sparse.position);
  sparse.sentPing(asked, 61_000);
  sparse.flushedPing(61_000);
  sparse.answered(asked, 61_000, 1, 66_000);
  sparse.heard(66_000);
  assert.equal(Math.round(patience(sparse, 67_000)), 110_000);
  const newest = newKeepalive();
  const ours = askedPing();
  newest.sentPing(ours, 11_000);
  newest.sent(10, 11_000);
  newest.flushedPing(11_000);
  newest.relayedPing(1, 61_000);
  newest.flushedPing(61_000);
  newest.relayedPong(1, ours, 66_000);
  newest.heard(66_000);
  assert.equal(Math.round(patience(newest, 67_000)), 110_000);
});
