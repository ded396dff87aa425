import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OutstandingPing, PingTags } from '../../src/core/ping-tags.ts';

function ping(low: number): OutstandingPing {
  return {
    high: 0x0a0b0c0d,
    low,
    copies: 1,
    sentAt: low * 10,
    position: low * 100,
    flushedAt: Number.POSITIVE_INFINITY,
    excused: 0,
    drain: 0,
  };
}

function tagsOf(...lows: readonly number[]): PingTags {
  const tags = new PingTags();
  for (const low of lows) tags.add(ping(low));
  return tags;
}

/** The payload of an unmasked Pong, behind its header. */
function pong(low: number): Uint8Array {
  return Uint8Array.of(0x8a, 0x08, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, low);
}

test('an answer gives back the Ping it answers, once', () => {
  const tags = tagsOf(1);
  assert.equal(tags.take(pong(1), 2, 0)?.position, 100);
  assert.equal(tags.take(pong(1), 2, 0), null);
  assert.equal(tags.size, 0);
});

test('an unknown tag is nobody’s answer and forgets nothing', () => {
  const tags = tagsOf(1);
  assert.equal(tags.take(pong(2), 2, 0), null);
  const otherHigh = Uint8Array.of(0x8a, 0x08, 0x0a, 0x0b, 0x0c, 0x0e, 0, 0, 0, 1);
  assert.equal(tags.take(otherHigh, 2, 0), null);
  assert.equal(tags.size, 1);
});

test('an answer forgets the older Pings and keeps the newer ones', () => {
  const tags = tagsOf(1, 2, 3);
  assert.equal(tags.take(pong(2), 2, 0)?.low, 2);
  assert.equal(tags.take(pong(1), 2, 0), null);
  assert.equal(tags.take(pong(3), 2, 0)?.low, 3);
});

test('the first of four outstanding Pings can be answered', () => {
  assert.equal(tagsOf(1, 2, 3, 4).take(pong(1), 2, 0)?.low, 1);
});

test('with four tags outstanding the newest is the one to send again', () => {
  assert.equal(tagsOf(1, 2, 3).toRepeat, null);
  const tags = tagsOf(1, 2, 3, 4);
  assert.equal(tags.toRepeat?.low, 4);
  tags.add({ ...ping(4), sentAt: 50 });
  assert.deepEqual([tags.size, tags.toRepeat?.sentAt, tags.toRepeat?.position], [4, 50, 400]);
});

test('a tag that went out twice may be answered twice', () => {
  const tags = tagsOf(3, 4, 4);
  assert.equal(tags.take(pong(4), 2, 0)?.low, 4);
  assert.equal(tags.take(pong(3), 2, 0), null, 'the older one is forgotten');
  assert.equal(tags.take(pong(4), 2, 0)?.low, 4);
  assert.equal(tags.take(pong(4), 2, 0), null);
});

test('tags that agree in one half alone are two', () => {
  const tags = tagsOf(1);
  tags.add({ ...ping(1), high: 1 });
  assert.equal(tags.size, 2);
});

test('a masked answer is unmasked with its key', () => {
  const masked = Uint8Array.of(0x0a ^ 0x81, 0x0b ^ 0x02, 0x0c ^ 0x03, 0x0d ^ 0x04, 0x81, 0x02, 0x03, 1 ^ 0x04);
  assert.equal(tagsOf(1).take(masked, 0, 0x81020304 | 0)?.low, 1);
  assert.equal(tagsOf(1).take(masked, 0, 0), null);
});

test('who answers only the newest Ping is timed from the oldest, and a copy from about its own time', () => {
  const tags = new PingTags();
  tags.add({ ...ping(1), flushedAt: 10 });
  tags.add({ ...ping(2), flushedAt: 20 });
  for (const sentAt of [30, 40]) tags.add({ ...ping(2), sentAt });
  assert.equal(tags.take(pong(2), 2, 0)?.flushedAt, 10);
  assert.equal(tags.take(pong(2), 2, 0)?.flushedAt, 30);
  assert.equal(tags.take(pong(2), 2, 0)?.flushedAt, 40);
});

test('what is not with the kernel yet has no time', () => {
  const tags = tagsOf(1, 1);
  assert.equal(tags.take(pong(1), 2, 0)?.flushedAt, Infinity);
  assert.equal(tags.take(pong(1), 2, 0)?.flushedAt, Infinity);
});
