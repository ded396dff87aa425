/** Who closes, and what each side gets: the ends that peers bring about, row by row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Side } from '../../src/core/events.ts';
import { LINGER } from '../../src/core/side.ts';
import { frameFrom, KEEPALIVE, other, SIDES, TunnelHarness } from '../support/core-harness.ts';
import { closeCode, closePayload, OPCODE } from '../support/frames.ts';

const OFF = Number.POSITIVE_INFINITY;
const PONG_TIMEOUT: Record<Side, number> = { client: KEEPALIVE.client.timeout, upstream: KEEPALIVE.upstream.timeout };
const NOT_RESET = { reset: false };

function close(harness: TunnelHarness, side: Side, code = 1000, reason = ''): Buffer {
  return harness.frame(side, OPCODE.close, closePayload(code, reason));
}

/** Code and reason of the Close that is the last frame a side got, or what that frame is. */
function lastClose(harness: TunnelHarness, side: Side): [code: number | null, reason: string] | string {
  const frame = harness.frames(side).at(-1);
  if (frame?.opcode !== OPCODE.close) return `opcode ${frame?.opcode}`;
  return [closeCode(frame), frame.payload.subarray(2).toString()];
}

function isOver(harness: TunnelHarness): boolean {
  return harness.tunnel.isOver && harness.tunnel.nextDeadline() === OFF;
}

test('a Close frame reaches the other side bit for bit, 1006 on the wire too', () => {
  for (const side of SIDES) {
    for (const code of [1000, 1001, 1005, 1006, 4999]) {
      const harness = new TunnelHarness();
      const frame = close(harness, side, code, 'gone: é');
      assert.deepEqual(harness.wire(other(side)), frame);
      const cause = code === 1005 || code === 1006 ? 'reserved_code' : 'close_frame';
      assert.deepEqual(harness.tunnel.facts, { initiator: side, side, cause, code, reason: 'gone: é', ...NOT_RESET });
      assert.deepEqual(harness.wishes, { client: [], upstream: [] });
    }
  }
});

test('a Close frame without a code has none', () => {
  const harness = new TunnelHarness();
  harness.frame('client', OPCODE.close);
  assert.deepEqual([harness.tunnel.facts?.code, harness.cause()], [null, 'close_frame']);
});

test('once Closes went both ways the client’s TCP ends with the second one’s flush, whoever began', () => {
  for (const side of SIDES) {
    const harness = new TunnelHarness();
    close(harness, side, 1001);
    harness.holdFlush = true;
    close(harness, other(side), 1000);
    assert.deepEqual(harness.wishes, { client: [], upstream: [] });
    harness.flush(side);
    assert.deepEqual(harness.wishes, { client: ['end'], upstream: [] });
    assert.equal(harness.tunnel.facts?.code, 1001, 'the first Close tells why');
  }
});

test('then the upstream’s TCP ends after its own end, or after 3 s', () => {
  for (const itsEnd of [true, false]) {
    const harness = new TunnelHarness();
    for (const side of SIDES) close(harness, side);
    harness.pass(LINGER - 1);
    assert.deepEqual(harness.wishes.upstream, []);
    if (itsEnd) harness.end('upstream');
    else harness.pass(1);
    assert.deepEqual(harness.wishes.upstream, itsEnd ? ['end', 'destroy'] : ['end']);
    harness.pass(LINGER);
    assert.deepEqual(harness.wishes, { client: ['end', 'destroy'], upstream: ['end', 'destroy'] });
    assert.equal(isOver(harness), true);
  }
});

test('nothing passes to the client behind the second Close, and the upstream may still end by itself', () => {
  const harness = new TunnelHarness();
  for (const side of SIDES) close(harness, side);
  const before = harness.wire('client');
  harness.frame('upstream', OPCODE.text, 'late');
  assert.deepEqual(harness.wire('client'), before);
  harness.end('client');
  assert.deepEqual(harness.wishes, { client: ['end', 'destroy'], upstream: [] });
});

test('an upstream that had ended already ends with the second Close', () => {
  const harness = new TunnelHarness();
  close(harness, 'upstream', 1000);
  harness.end('upstream');
  assert.deepEqual(harness.wishes, { client: ['end'], upstream: [] });
  close(harness, 'client', 1000);
  assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['end', 'destroy'] });
  assert.equal(lastClose(harness, 'upstream')[0], 1000);
});

test('an upstream that closed and ended is not waited for longer than 3 s, or the client’s end', () => {
  for (const clientEnds of [true, false]) {
    const harness = new TunnelHarness();
    close(harness, 'upstream', 1000);
    harness.end('upstream');
    if (clientEnds) harness.end('client');
    else harness.pass(LINGER);
    assert.deepEqual(harness.wishes, { client: ['end', 'destroy'], upstream: ['end', 'destroy'] });
  }
});

test('a relayed Close that stays unanswered ends both sides', () => {
  for (const side of SIDES) {
    const harness = new TunnelHarness();
    harness.holdFlush = true;
    close(harness, side, 1001);
    harness.pass(100_000);
    assert.deepEqual(harness.wishes, { client: [], upstream: [] }, 'time runs from the flush');
    harness.holdFlush = false;
    harness.flush(other(side));
    harness.pass(PONG_TIMEOUT[other(side)]);
    assert.deepEqual(harness.wishes, { client: [], upstream: [] });
    harness.pass(1);
    assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['end'] });
    const late = other(side);
    assert.deepEqual(harness.tunnel.facts, {
      initiator: late,
      side: late,
      cause: 'close_timeout',
      code: 1001,
      reason: '',
      ...NOT_RESET,
    });
    harness.pass(LINGER);
    assert.equal(isOver(harness), true);
  }
});

test('no Ping goes out once anything has begun to end the connection', () => {
  for (const side of SIDES) {
    const harness = new TunnelHarness();
    close(harness, side);
    harness.jump(100_000);
    assert.equal(harness.pings('client').length + harness.pings('upstream').length, 0);
  }
});

test('the flush of a Ping no longer starts a clock then', () => {
  const harness = new TunnelHarness({ keepalive: { ...KEEPALIVE, client: { ...KEEPALIVE.client, timeout: 10 } } });
  harness.holdFlush = true;
  harness.jump(10_000);
  close(harness, 'client');
  harness.flush('client');
  harness.jump(1000);
  assert.equal(harness.cause(), 'close_frame');
});

test('a client’s end gives the upstream what was queued and an end at once, never a Close', () => {
  const harness = new TunnelHarness();
  harness.receive('client', frameFrom('client', OPCODE.text, 'last').subarray(0, 5));
  harness.end('client');
  assert.deepEqual(harness.wire('upstream'), frameFrom('client', OPCODE.text, 'last').subarray(0, 5), 'held bytes too');
  assert.deepEqual(harness.wishes, { client: [], upstream: ['end'] });
  const facts = { initiator: 'client', side: 'client', cause: 'abrupt_end', code: null, reason: '', ...NOT_RESET };
  assert.deepEqual(harness.tunnel.facts, facts);
});

test('the client that ended gets what the upstream still sends, until it ends', () => {
  const harness = new TunnelHarness();
  harness.end('client');
  harness.pass(LINGER - 1);
  const late = harness.frame('upstream', OPCODE.text, 'late');
  assert.deepEqual(harness.wire('client'), late);
  assert.deepEqual(harness.wishes.client, []);
  harness.end('upstream');
  assert.deepEqual(harness.wishes, { client: ['end', 'destroy'], upstream: ['end', 'destroy'] });
});

test('the client that ended gets no Close of ours, only what the upstream says, for 3 s at most', () => {
  const harness = new TunnelHarness();
  harness.end('client');
  const relayed = close(harness, 'upstream', 1000);
  harness.pass(LINGER);
  assert.deepEqual(harness.wire('client'), relayed);
  assert.deepEqual(harness.wishes.client, ['end', 'destroy']);
});

test('a client’s reset gives the upstream an end at once, behind what was held', () => {
  const harness = new TunnelHarness();
  harness.receive('client', Buffer.of(0x81));
  harness.reset('client');
  assert.deepEqual(harness.wire('upstream'), Buffer.of(0x81));
  assert.deepEqual(harness.wishes, { client: [], upstream: ['end'] });
  assert.deepEqual([harness.cause(), harness.tunnel.facts?.reset], ['abrupt_end', true]);
  harness.pass(LINGER);
  assert.equal(isOver(harness), true);
});

test('an upstream’s end or reset gives the client what was queued and a TCP end, without a Close', () => {
  for (const how of ['end', 'reset'] as const) {
    const harness = new TunnelHarness();
    const data = harness.frame('upstream', OPCODE.text, 'last');
    harness[how]('upstream');
    assert.deepEqual(harness.wire('client'), data);
    assert.deepEqual(harness.wishes, { client: ['end'], upstream: how === 'end' ? ['end', 'destroy'] : [] });
    assert.deepEqual(harness.tunnel.facts, {
      initiator: 'upstream',
      side: 'upstream',
      cause: 'abrupt_end',
      code: null,
      reason: '',
      reset: how === 'reset',
    });
  }
});

test('inside a frame the client’s TCP ends alone, behind what was held', () => {
  for (const how of ['end', 'reset'] as const) {
    for (const part of [Buffer.of(0x81), Buffer.of(0x81, 0x02, 0x61)]) {
      const harness = new TunnelHarness();
      harness.receive('upstream', part);
      harness[how]('upstream');
      assert.deepEqual(harness.wire('client'), part);
      assert.deepEqual(harness.wishes.client, ['end']);
    }
  }
});

test('after a Close, from either side, too', () => {
  for (const how of ['end', 'reset'] as const) {
    for (const side of SIDES) {
      const harness = new TunnelHarness();
      const frame = close(harness, side, 1001);
      harness[how]('upstream');
      assert.deepEqual(harness.wire('client'), side === 'upstream' ? frame : Buffer.alloc(0));
      assert.deepEqual(harness.wishes.client, ['end']);
      assert.equal(harness.cause(), 'close_frame');
    }
  }
});

test('after a Close of ours the client is read on and discarded until its Close or end, at most 3 s', () => {
  for (const how of ['close', 'end', 'nothing'] as const) {
    const harness = new TunnelHarness();
    harness.holdFlush = true;
    harness.act((tunnel, now) => tunnel.drain(1012, 'stop', now));
    harness.end('upstream');
    harness.pass(10_000);
    assert.deepEqual(harness.wishes.client, [], 'time runs from the flush');
    harness.holdFlush = false;
    harness.flush('client');
    harness.frame('client', OPCODE.text, 'nobody hears this');
    harness.pass(LINGER - 1);
    assert.deepEqual(harness.wishes.client, []);
    if (how === 'close') close(harness, 'client', 1012);
    else if (how === 'end') harness.end('client');
    else harness.pass(1);
    assert.deepEqual(harness.wishes.client, how === 'end' ? ['end', 'destroy'] : ['end']);
    assert.equal(harness.frames('upstream').length, 1, 'our Close alone');
    harness.pass(LINGER);
    assert.equal(isOver(harness), true);
  }
});

test('what we ended is destroyed with the peer’s end, or 3 s after our end’s flush', () => {
  const harness = new TunnelHarness();
  harness.holdFlush = true;
  harness.end('client');
  harness.pass(LINGER);
  harness.pass(100_000);
  assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['end'] }, 'not before its flush');
  harness.flush('client');
  harness.flush('upstream');
  assert.deepEqual(harness.wishes, { client: ['end', 'destroy'], upstream: ['end'] });
  harness.pass(LINGER - 1);
  assert.deepEqual(harness.wishes.upstream, ['end']);
  harness.pass(1);
  assert.deepEqual(harness.wishes.upstream, ['end', 'destroy']);
});

test('ends and resets of a side that is gone change nothing', () => {
  const harness = new TunnelHarness();
  for (const side of SIDES) {
    harness.reset(side);
    harness.pass(LINGER);
    harness.end(side);
    harness.reset(side);
  }
  const facts = { initiator: 'client', side: 'client', cause: 'abrupt_end', code: null, reason: '', reset: true };
  assert.deepEqual(harness.tunnel.facts, facts);
  assert.deepEqual(harness.wishes, { client: [], upstream: ['end', 'destroy'] });
});

test('how long the client side had been quiet is known when it ends', () => {
  const harness = new TunnelHarness();
  harness.now = 2000;
  harness.frame('upstream', OPCODE.text);
  harness.now = 9000;
  harness.end('client');
  assert.deepEqual([harness.tunnel.closing.wireIdle, harness.tunnel.closing.decidedAt], [7000, 9000]);
  harness.now = 9500;
  harness.end('upstream');
  assert.deepEqual(
    [harness.tunnel.closing.wireIdle, harness.tunnel.closing.decidedAt],
    [7000, 9000],
    'the first reason stands',
  );
});
