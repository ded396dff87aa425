/** Invariant 7: how much longer than the timeout an answer may take, because of what was sent before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Keepalive } from '../../src/core/keepalive.ts';
import { askedPing } from '../support/core-harness.ts';

const MIB = 1024 * 1024;
/** What a drain rate of 64 KiB/s takes for 1 MiB, in ms. */
const MIB_TIME = 16_000;

/** 30 s for an answer, of one that has answered before. */
function keepaliveOf(): Keepalive {
  const keepalive = new Keepalive({ interval: 10_000, timeout: 30_000, mode: 'idle' }, 60_000, 0, 1000);
  keepalive.answersPings = true;
  return keepalive;
}

test('what was sent before the Ping gets the time that 64 KiB/s takes', () => {
  const keepalive = keepaliveOf();
  keepalive.sent(MIB, 2000);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000 + MIB_TIME);
  keepalive.sent(MIB, 13_000);
  assert.equal(keepalive.judgementDue(), 42_000 + MIB_TIME, 'what comes behind the Ping does not matter');
});

test('the time for what was sent is that of 16 MiB at most', () => {
  const keepalive = keepaliveOf();
  keepalive.sent(16 * MIB + 1, 2000);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000 + 16 * MIB_TIME);
});

test('an answer tells that everything before its Ping was read', () => {
  const keepalive = keepaliveOf();
  keepalive.sent(4 * MIB, 2000);
  const { position } = keepalive;
  keepalive.sentPing(askedPing(), 2500);
  keepalive.sent(MIB, 3000);
  keepalive.answered(askedPing(position), 2500, 1, 4000);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000 + MIB_TIME);
  assert.deepEqual([keepalive.rtt, keepalive.pings, keepalive.pongs], [1500, 1, 1]);
});

test('an older answer takes nothing back', () => {
  const keepalive = keepaliveOf();
  keepalive.sent(MIB, 2000);
  keepalive.answered(askedPing(MIB), 2500, 1, 4000);
  keepalive.answered(askedPing(0), 2400, 2, 4100);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000);
});

test('the answer to a relayed Ping tells the same', () => {
  const keepalive = keepaliveOf();
  keepalive.sent(4 * MIB, 2000);
  keepalive.relayedPing(1, 3000);
  keepalive.sent(MIB, 3000);
  keepalive.relayedPong(1, null, 6000);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000 + MIB_TIME);
});

test('a Pong tells no more than that the oldest Ping that it may answer was read', () => {
  const keepalive = keepaliveOf();
  for (let count = 1; count <= 3; count += 1) {
    keepalive.relayedPing(count, count * 1000);
    keepalive.sent(MIB, count * 1000);
  }
  keepalive.relayedPong(1, null, 6000);
  keepalive.relayedPing(4, 4000);
  keepalive.relayedPong(2, null, 6000);
  keepalive.relayedPong(3, null, 6000);
  keepalive.flushedPing(5000);
  assert.equal(keepalive.judgementDue(), 35_000 + 3 * MIB_TIME, 'the fourth Ping is not read yet');
  keepalive.heard(6000);
  keepalive.relayedPong(4, null, 6000);
  keepalive.sentPing(askedPing(), 12_000);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000);
});

test('a Pong that nobody asked for tells nothing, then or later', () => {
  const keepalive = keepaliveOf();
  keepalive.relayedPong(1, null, 6000);
  keepalive.sent(MIB, 2000);
  keepalive.relayedPing(1, 3000);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000 + MIB_TIME);
  keepalive.heard(13_000);
  keepalive.relayedPong(2, null, 6000);
  keepalive.sentPing(askedPing(), 14_000);
  keepalive.flushedPing(14_000);
  assert.equal(keepalive.judgementDue(), 44_000);
});

test('after a Pong that nobody asked for the others are not taken for later ones', () => {
  const keepalive = keepaliveOf();
  keepalive.relayedPong(1, null, 6000);
  keepalive.relayedPing(1, 1000);
  keepalive.relayedPing(2, 1000);
  keepalive.relayedPong(2, null, 6000);
  keepalive.sent(MIB, 2000);
  keepalive.relayedPing(3, 3000);
  keepalive.relayedPong(3, null, 6000);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000 + MIB_TIME, 'that was the answer to the second');
});

test('an own answer beyond the awaited one makes room for the next', () => {
  const keepalive = keepaliveOf();
  keepalive.relayedPing(1, 1000);
  keepalive.relayedPing(2, 1000);
  keepalive.sent(MIB, 1000);
  keepalive.sentPing(askedPing(), 1000);
  keepalive.answered(askedPing(MIB), 1000, 1, 2000);
  keepalive.sent(MIB, 3000);
  keepalive.relayedPing(3, 3000);
  for (const count of [1, 2, 3]) keepalive.relayedPong(count, null, 6000);
  keepalive.flushedPing(12_000);
  assert.equal(keepalive.judgementDue(), 42_000);
});
