import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Keepalive } from '../../src/core/keepalive.ts';
import { PING_MODES, type PingSettings } from '../../src/core/settings.ts';
import { askedPing } from '../support/core-harness.ts';

const OFF = Number.POSITIVE_INFINITY;

/** Pings every 10 s, 30 s for the answer, 60 s for a stall; since 1000 ms. */
function newKeepalive(settings: Partial<PingSettings> = {}, jitter = 0, stall = 60_000): Keepalive {
  return new Keepalive({ interval: 10_000, timeout: 30_000, mode: 'idle', ...settings }, stall, jitter, 1000);
}

/** The same, of a side that was sent a Ping before and has answered it. */
function keepaliveOf(settings: Partial<PingSettings> = {}, jitter = 0, stall = 60_000): Keepalive {
  const keepalive = newKeepalive(settings, jitter, stall);
  keepalive.pings = 1;
  keepalive.answersPings = true;
  return keepalive;
}

/** A Ping of ours falls due, goes out and is with the kernel, all at once. */
function ping(keepalive: Keepalive, now: number): void {
  keepalive.pinged(0, now);
  keepalive.sentPing(askedPing(keepalive.position), now);
  keepalive.sent(10, now);
  keepalive.flushedPing(now);
}

test('a Ping is due after an interval in which nothing passed', () => {
  assert.equal(keepaliveOf().pingDue(), 11_000);
});

test('idle: a Ping is due when nothing was sent for an interval, whatever was heard', () => {
  const keepalive = keepaliveOf();
  keepalive.heard(9000);
  assert.equal(keepalive.pingDue(), 11_000);
});

test('idle: a Ping is due when nothing was heard for an interval, whatever was sent', () => {
  const keepalive = keepaliveOf();
  keepalive.sent(1, 9000);
  assert.equal(keepalive.pingDue(), 11_000);
});

test('idle: traffic both ways puts the Ping off, from the older of the two', () => {
  const keepalive = keepaliveOf();
  keepalive.sent(1, 8000);
  keepalive.heard(9000);
  assert.equal(keepalive.pingDue(), 18_000);
});

test('idle: one Ping an interval, though nothing else passes', () => {
  const keepalive = keepaliveOf();
  keepalive.pinged(0, 11_000);
  assert.equal(keepalive.pingDue(), 21_000);
});

test('always: a Ping every interval, whatever passes', () => {
  const keepalive = keepaliveOf({ mode: 'always' });
  keepalive.heard(9000);
  keepalive.sent(1, 9000);
  assert.equal(keepalive.pingDue(), 11_000);
  keepalive.pinged(0, 11_000);
  assert.equal(keepalive.pingDue(), 21_000);
});

test('an interval that is off makes no Ping, in either mode', () => {
  assert.equal(keepaliveOf({ interval: OFF }).pingDue(), OFF);
  assert.equal(keepaliveOf({ interval: OFF, mode: 'always' }, 0.1).pingDue(), OFF);
});

test('jitter makes a Ping early, never late, and is drawn anew for each', () => {
  for (const mode of PING_MODES) {
    const keepalive = keepaliveOf({ mode }, 0.1);
    assert.equal(keepalive.pingDue(), 10_000);
    keepalive.sent(1, 10_000);
    keepalive.heard(10_000);
    keepalive.pinged(0.05, 10_000);
    assert.equal(keepalive.pingDue(), 19_500);
  }
});

test('no Ping while a relayed one is unanswered, for a whole interval since the newest', () => {
  for (const mode of PING_MODES) {
    const keepalive = keepaliveOf({ mode }, 0.1);
    keepalive.relayedPing(1, 5000);
    assert.equal(keepalive.pingDue(), 15_000);
    keepalive.relayedPing(2, 7000);
    assert.equal(keepalive.pingDue(), 17_000);
    keepalive.relayedPong(1, null, 11_000);
    assert.equal(keepalive.pingDue(), 10_000);
  }
});

test('nobody is dead who was not asked', () => {
  assert.equal(keepaliveOf().judgementDue(), OFF);
});

test('a side is dead when a Ping stays unanswered for the timeout since its flush', () => {
  const keepalive = keepaliveOf();
  keepalive.pinged(0, 11_000);
  assert.equal(keepalive.judgementDue(), OFF, 'not flushed yet');
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000);
});

test('further Pings do not put the deadline off', () => {
  const keepalive = keepaliveOf();
  keepalive.flushedPing(12_000);
  keepalive.flushedPing(22_000);
  assert.equal(keepalive.judgementDue(), 42_000);
});

test('any byte is life', () => {
  const keepalive = keepaliveOf();
  keepalive.flushedPing(12_000);
  keepalive.heard(41_999);
  assert.equal(keepalive.judgementDue(), OFF);
});

test('a timeout that is off never judges, a Close excepted', () => {
  const keepalive = keepaliveOf({ timeout: OFF });
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), OFF);
  keepalive.flushedClose(20_000);
  assert.equal(keepalive.judgementDue(), 80_000);
});

test('a Close has to be answered within the timeout, however long', () => {
  for (const timeout of [5000, 90_000]) {
    const keepalive = keepaliveOf({ timeout });
    keepalive.flushedClose(20_000);
    assert.equal(keepalive.judgementDue(), 20_000 + timeout);
  }
});

test('while a Close is unanswered no other bytes give more time, and no Ping starts a clock of its own', () => {
  const keepalive = keepaliveOf();
  keepalive.heard(19_000);
  keepalive.flushedClose(20_000);
  keepalive.flushedPing(25_000);
  assert.equal(keepalive.judgementDue(), 50_000);
  keepalive.heard(30_000);
  assert.equal(keepalive.judgementDue(), 50_000);
});

test('a Close that a Ping went before starts the clock again', () => {
  const keepalive = keepaliveOf();
  keepalive.flushedPing(12_000);
  keepalive.flushedClose(20_000);
  assert.equal(keepalive.judgementDue(), 50_000);
});

test('while reading is paused the Pong clock stands still, and resuming opens a fresh window', () => {
  const keepalive = keepaliveOf();
  keepalive.flushedPing(12_000);
  keepalive.paused(12_000);
  assert.equal(keepalive.judgementDue(), OFF);
  keepalive.resumed(100_000);
  assert.equal(keepalive.judgementDue(), 130_000);
});

test('resuming asks nothing of a side that was not asked', () => {
  const keepalive = keepaliveOf();
  keepalive.paused(12_000);
  keepalive.resumed(100_000);
  assert.equal(keepalive.judgementDue(), OFF);
});

test('a side is dead when queued bytes make no progress for the stall time', () => {
  const keepalive = keepaliveOf();
  keepalive.queueing(500, 2000);
  assert.deepEqual([keepalive.stallDue(), keepalive.judgementDue()], [62_000, 62_000]);
});

test('more queued bytes are no progress, taken bytes are', () => {
  const keepalive = keepaliveOf();
  keepalive.queueing(500, 2000);
  keepalive.queueing(600, 3000);
  assert.equal(keepalive.stallDue(), 62_000);
  keepalive.progressed(500, 4000);
  assert.equal(keepalive.stallDue(), 62_000);
  keepalive.progressed(501, 5000);
  assert.equal(keepalive.stallDue(), 65_000);
  keepalive.progressed(501, 6000);
  assert.equal(keepalive.stallDue(), 65_000);
});

test('nothing queued is no stall', () => {
  const keepalive = keepaliveOf();
  keepalive.progressed(100, 2000);
  assert.equal(keepalive.stallDue(), OFF);
  keepalive.queueing(500, 2000);
  keepalive.drained();
  assert.equal(keepalive.stallDue(), OFF);
});

test('a stall is judged though reading is paused, and not when it is off', () => {
  const keepalive = keepaliveOf();
  keepalive.paused(12_000);
  keepalive.queueing(0, 2000);
  assert.equal(keepalive.judgementDue(), 62_000);
  const off = keepaliveOf({}, 0, OFF);
  off.queueing(0, 2000);
  assert.equal(off.judgementDue(), OFF);
});

test('after a late tick running clocks start again and others stay off', () => {
  const keepalive = keepaliveOf();
  keepalive.refresh(5000, 50_000);
  assert.equal(keepalive.judgementDue(), OFF);
  keepalive.flushedPing(60_000);
  keepalive.queueing(0, 60_000);
  keepalive.refresh(5000, 85_000);
  assert.deepEqual([keepalive.judgementDue(), keepalive.stallDue()], [115_000, 145_000]);
});

test('a Ping that was sent long ago is not forgotten when new settings come', () => {
  const keepalive = keepaliveOf();
  ping(keepalive, 11_000);
  keepalive.settings = { interval: 4000, timeout: 5000, mode: 'idle' };
  assert.deepEqual([keepalive.pingDue(), Math.floor(keepalive.judgementDue())], [15_000, 16_000]);
});

test('a side is quiet since the newest byte of either direction', () => {
  const keepalive = keepaliveOf();
  assert.equal(keepalive.quietFor(3000), 2000);
  keepalive.heard(4000);
  assert.equal(keepalive.quietFor(5000), 1000);
  keepalive.sent(1, 4500);
  assert.equal(keepalive.quietFor(5000), 500);
});

test('due times fall on a grid of a hundredth of the interval, early and never late', () => {
  const keepalive = keepaliveOf({}, 0.0333);
  assert.equal(keepalive.pingDue(), 10_600);
  keepalive.pinged(0.0333, 10_600);
  keepalive.heard(10_650);
  keepalive.sent(1, 10_655);
  assert.equal(keepalive.pingDue(), 20_300);
});

test('a peer that was heard between the writing of a Ping and its flush owes no answer', () => {
  const keepalive = keepaliveOf();
  keepalive.pinged(0, 11_000);
  keepalive.sentPing(askedPing(), 11_000);
  keepalive.heard(11_500);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), OFF);
});

test("nor is it owed for an application's Ping", () => {
  const keepalive = keepaliveOf();
  keepalive.relayedPing(1, 11_000);
  keepalive.heard(11_500);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), OFF);
});

test('no round trip is shorter than nothing, though a timer may be early', () => {
  const keepalive = keepaliveOf();
  keepalive.answered(askedPing(0), 5000.6, 1, 5000);
  assert.equal(keepalive.rtt, 0);
});

test('a Ping that had to wait for a boundary does not put off judgement on an earlier one', () => {
  const keepalive = keepaliveOf();
  ping(keepalive, 11_000);
  keepalive.awaitProgress(21_000);
  keepalive.waitedEnough();
  keepalive.sentPing(askedPing(), 22_000);
  keepalive.flushedPing(22_000);
  assert.equal(Math.floor(keepalive.judgementDue()), 41_000);
});

test('progress that comes after all is judged no longer, and the Ping that could go out then is', () => {
  const keepalive = keepaliveOf();
  keepalive.awaitProgress(21_000);
  assert.equal(Math.floor(keepalive.judgementDue()), 51_000);
  keepalive.waitedEnough();
  assert.equal(keepalive.judgementDue(), OFF);
  keepalive.flushedPing(22_000);
  assert.equal(Math.floor(keepalive.judgementDue()), 52_000);
});

test('a side answers Pings once it has answered one of ours', () => {
  const keepalive = newKeepalive();
  ping(keepalive, 11_000);
  assert.equal(keepalive.answersPings, false);
  keepalive.answered(askedPing(0), 11_000, 1, 12_000);
  assert.equal(keepalive.answersPings, true);
});

test('or one of an application, but not by a Pong that nobody asked for', () => {
  const keepalive = newKeepalive();
  keepalive.relayedPong(1, null, 11_000);
  assert.equal(keepalive.answersPings, false);
  keepalive.relayedPing(1, 11_000);
  keepalive.relayedPong(2, null, 11_000);
  assert.equal(keepalive.answersPings, true);
});

test('a side that has never answered a Ping is not judged by its silence, only by a stall and an unanswered Close', () => {
  const keepalive = newKeepalive();
  ping(keepalive, 11_000);
  assert.equal(keepalive.judgementDue(), OFF);
  keepalive.relayedPing(1, 21_000);
  keepalive.flushedPing(21_000);
  assert.equal(keepalive.judgementDue(), OFF);
  keepalive.queueing(0, 22_000);
  assert.equal(keepalive.judgementDue(), 82_000);
  keepalive.drained();
  keepalive.flushedClose(30_000);
  assert.equal(Math.floor(keepalive.judgementDue()), 60_000);
});

test('the first Ping comes within an interval of the opening, whatever passes', () => {
  const keepalive = newKeepalive();
  keepalive.heard(9000);
  keepalive.sent(1, 9000);
  assert.equal(keepalive.pingDue(), 11_000);
});

test('nobody knows when something was last heard while nothing is read', () => {
  const keepalive = newKeepalive();
  keepalive.heard(2000);
  keepalive.paused(3000);
  assert.equal(keepalive.heardAt, OFF);
  keepalive.resumed(4000);
  assert.equal(keepalive.heardAt, 2000);
});
