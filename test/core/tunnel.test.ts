import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PushEvents } from '../../src/core/direction.ts';
import { framesOf, frameFrom, KEEPALIVE, NO_LIMITS, TunnelHarness } from '../support/core-harness.ts';
import { OPCODE, type RawFrame } from '../support/frames.ts';

const OFF = Number.POSITIVE_INFINITY;
const QUIET = { interval: OFF, timeout: OFF, mode: 'idle' } as const;
/** Pings towards the client alone. */
const CLIENT_ONLY = { keepalive: { ...KEEPALIVE, upstream: QUIET } };
const UPSTREAM_ONLY = { keepalive: { ...KEEPALIVE, client: QUIET } };

function only(frames: readonly RawFrame[]): RawFrame {
  assert.equal(frames.length, 1, `one frame, not ${frames.length}`);
  return frames[0] as RawFrame;
}

test('bytes pass both ways as they are', () => {
  const harness = new TunnelHarness();
  const up = harness.frame('client', OPCODE.text, 'up');
  const down = harness.frame('upstream', OPCODE.text, 'down');
  assert.deepEqual([harness.wire('upstream'), harness.wire('client')], [up, down]);
});

test('what the endpoints have to judge passes and is counted', () => {
  const harness = new TunnelHarness();
  const up = harness.frame('client', 0x3, 'x', { rsv: 5, mask: null });
  const down = harness.frame('upstream', OPCODE.continuation, 'y', { mask: Buffer.alloc(4) });
  assert.deepEqual([harness.wire('upstream'), harness.wire('client')], [up, down]);
  const { client, upstream } = harness.tunnel;
  assert.deepEqual([upstream.outgoing.scanner.violations, client.outgoing.scanner.violations], [3, 2]);
  assert.equal(harness.cause(), null);
});

test('with an extension reserved bits are no violation', () => {
  const harness = new TunnelHarness({ limits: { ...NO_LIMITS, extensions: true } });
  harness.frame('client', OPCODE.text, 'x', { rsv: 4 });
  assert.equal(harness.tunnel.upstream.outgoing.scanner.violations, 0);
});

test('a due Ping goes to a quiet client, unmasked, early by the jitter and never late', () => {
  const harness = new TunnelHarness(CLIENT_ONLY, () => -1);
  assert.equal(harness.tunnel.nextDeadline(), 9100);
  harness.pass(10_000);
  const ping = only(harness.frames('client'));
  assert.deepEqual(
    [ping.opcode, ping.masked, ping.payload.length, ping.fin, ping.rsv],
    [OPCODE.ping, false, 8, true, 0],
  );
  assert.equal(harness.wire('upstream').length, 0);
});

test('a due Ping goes to a quiet upstream, masked with a fresh key', () => {
  const harness = new TunnelHarness(UPSTREAM_ONLY);
  harness.pass(30_000);
  harness.frame('upstream', OPCODE.pong);
  harness.pass(30_000);
  const [first, second, ...rest] = harness.frames('upstream');
  assert.ok(first && second && rest.length === 0);
  assert.ok(first.masked && second.masked);
  assert.notDeepEqual(first.raw.subarray(2, 6), second.raw.subarray(2, 6));
  assert.notDeepEqual(first.payload, second.payload);
});

test('the client’s answer is swallowed, told and taken as life', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  harness.pass(10_000);
  const ping = only(harness.pings('client'));
  harness.now += 50;
  const sentAt = harness.now - 50;
  harness.frame('client', OPCODE.pong, ping.payload);
  assert.equal(harness.wire('upstream').length, 0);
  const answered = harness.answered[0];
  assert.ok(answered);
  assert.deepEqual([harness.answered.length, answered.side, answered.now], [1, 'client', sentAt + 50]);
  assert.equal(harness.tunnel.client.keepalive.pongs, 1);
  harness.now += 31_000;
  harness.act((tunnel, now) => tunnel.judge(now));
  assert.equal(harness.cause(), null);
});

test('the upstream’s answer is swallowed', () => {
  const harness = new TunnelHarness(UPSTREAM_ONLY);
  harness.pass(30_000);
  harness.frame('upstream', OPCODE.pong, only(harness.pings('upstream')).payload);
  assert.equal(harness.wire('client').length, 0);
  assert.equal(harness.tunnel.upstream.keepalive.pongs, 1);
});

test('the other side’s tag is a stranger’s', () => {
  const harness = new TunnelHarness();
  harness.pass(30_000);
  const stolen = harness.pings('client').at(-1);
  assert.ok(stolen);
  const forged = harness.frame('upstream', OPCODE.pong, stolen.payload);
  assert.deepEqual(framesOf(harness.wire('client')).at(-1)?.raw, forged);
});

test('a Ping that waits for a boundary can be answered from when it goes out, and is timed from then', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  harness.receive('upstream', frameFrom('upstream', OPCODE.binary, 'abc').subarray(0, 3));
  harness.jump(10_000);
  assert.equal(harness.tunnel.client.outgoing.isWaiting, true);
  harness.now = 17_000;
  harness.receive('upstream', Buffer.from('bc'));
  const [data, ping] = harness.frames('client');
  assert.deepEqual([data?.payload.toString(), ping?.opcode], ['abc', OPCODE.ping]);
  harness.now = 17_080;
  harness.frame('client', OPCODE.pong, ping?.payload);
  assert.equal(harness.tunnel.client.keepalive.rtt, 80);
  assert.equal(harness.wire('upstream').length, 0);
});

test('only one Ping waits inside a frame, however long that lasts, and only those that went out count', () => {
  const harness = new TunnelHarness({
    keepalive: { ...KEEPALIVE, client: { ...KEEPALIVE.client, timeout: OFF }, upstream: QUIET },
  });
  harness.receive('upstream', frameFrom('upstream', OPCODE.binary, 'abc').subarray(0, 3));
  harness.pass(100_000);
  assert.equal(harness.tunnel.client.keepalive.pings, 0);
  harness.receive('upstream', Buffer.from('bc'));
  assert.deepEqual([harness.pings('client').length, harness.tunnel.client.keepalive.pings], [1, 1]);
});

test('the Pong clock runs from the flush of the Ping', () => {
  const harness = new TunnelHarness(CLIENT_ONLY).answering();
  harness.holdFlush = true;
  harness.jump(10_000);
  harness.pass(60_000);
  assert.equal(harness.cause(), null);
  harness.flush('client');
  harness.pass(29_999);
  assert.equal(harness.cause(), null);
  harness.pass(10);
  assert.equal(harness.cause(), 'pong_timeout');
});

test('a relayed Ping starts the Pong clock as one of ours would', () => {
  const off = { keepalive: { ...KEEPALIVE, client: { ...KEEPALIVE.client, interval: OFF }, upstream: QUIET } };
  const harness = new TunnelHarness(off).answering();
  harness.frame('upstream', OPCODE.ping, 'app');
  harness.pass(30_001);
  assert.deepEqual([harness.cause(), harness.tunnel.facts?.initiator], ['pong_timeout', 'client']);
});

test('no Ping of ours while a relayed one is unanswered, and its answer passes back', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  harness.now = 8000;
  harness.frame('upstream', OPCODE.ping, 'app');
  harness.jump(9999);
  assert.equal(harness.pings('client').length, 1);
  const pong = harness.frame('client', OPCODE.pong, 'app');
  assert.deepEqual(harness.wire('upstream'), pong);
  harness.jump(8001);
  assert.equal(harness.pings('client').length, 2, 'ours follows an interval after the newest byte sent');
});

test('no Ping of ours right behind a relayed one that was on its way when ours fell due', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  const relayed = frameFrom('upstream', OPCODE.ping, 'app');
  harness.receive('upstream', relayed.subarray(0, 4));
  harness.jump(10_000);
  harness.receive('upstream', relayed.subarray(4));
  assert.deepEqual(harness.wire('client'), relayed);
  harness.jump(9999);
  assert.deepEqual(harness.wire('client'), relayed);
  harness.jump(1);
  assert.equal(harness.pings('client').length, 2);
});

test('nobody is judged by the timer itself, and what arrives before the judgement saves', () => {
  const harness = new TunnelHarness(CLIENT_ONLY).answering();
  harness.pass(10_000);
  harness.now += 30_000;
  assert.equal(harness.tunnel.handleTimer(harness.now), true);
  assert.equal(harness.cause(), null);
  harness.frame('client', OPCODE.text, 'late');
  harness.act((tunnel, now) => tunnel.judge(now));
  assert.equal(harness.cause(), null);
});

test('after a late tick everybody gets a fresh window', () => {
  const harness = new TunnelHarness(CLIENT_ONLY).answering();
  harness.jump(10_000);
  harness.now += 3_600_000;
  harness.act((tunnel, now) => tunnel.refresh(3_000, now));
  harness.timer();
  harness.pass(29_999);
  assert.equal(harness.cause(), null);
  harness.pass(2);
  assert.equal(harness.cause(), 'pong_timeout');
});

test('a side that is waited for gets a fresh window as well', () => {
  const harness = new TunnelHarness();
  harness.end('client');
  harness.now = 3_600_000;
  harness.act((tunnel, now) => tunnel.refresh(3_000, now));
  harness.timer();
  assert.deepEqual(harness.wishes.client, []);
  harness.pass(3000);
  assert.deepEqual(harness.wishes.client, ['end', 'destroy']);
});

test('new settings apply to an open connection', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  harness.act((tunnel) => tunnel.configure({ ...KEEPALIVE, client: QUIET, upstream: QUIET, frontIdleTimeout: 5 }));
  assert.equal(harness.tunnel.nextDeadline(), OFF);
  harness.now = 6;
  harness.frame('client', OPCODE.text);
  assert.deepEqual(harness.bridged, [6]);
});

test('a gap longer than the front allows is told when traffic comes back', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  harness.now = 60_000;
  harness.frame('upstream', OPCODE.text);
  assert.deepEqual(harness.bridged, [], 'allowed just so');
  harness.now = 120_001;
  harness.frame('client', OPCODE.text);
  assert.deepEqual(harness.bridged, [60_001]);
});

test('Pings of ours and their answers bridge the gap and do not end it', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  for (let count = 1; count <= 6; count += 1) {
    harness.pass(10_000);
    harness.frame('client', OPCODE.pong, harness.pings('client').at(-1)?.payload);
  }
  harness.now = 60_001;
  harness.frame('upstream', OPCODE.text);
  assert.deepEqual(harness.bridged, [60_001]);
});

test('a silence of a second or more on the client side is told when a byte breaks it, whichever way it goes', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  harness.now = 999;
  harness.frame('client', OPCODE.text);
  harness.now = 2500;
  harness.frame('client', OPCODE.text);
  harness.now = 4000;
  harness.frame('upstream', OPCODE.text);
  harness.pass(10_000);
  assert.equal(harness.pings('client').length, 1);
  assert.deepEqual(harness.outlived.map(Math.round), [1501, 1500, harness.outlived[2]]);
});

test('a Close ends no pause between messages, and what comes after the first reason is no silence lived through', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  harness.now = 7000;
  harness.frame('client', OPCODE.close);
  assert.deepEqual([harness.tunnel.activeAt, harness.outlived.length], [0, 1]);
  harness.now = 9000;
  harness.frame('upstream', OPCODE.close);
  assert.deepEqual([harness.tunnel.activeAt, harness.outlived.length], [0, 1]);
});

test('several answers in one chunk count one by one', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  harness.pass(30_000);
  const pongs = harness.pings('client').map((ping) => frameFrom('client', OPCODE.pong, ping.payload));
  assert.ok(pongs.length > 1);
  harness.receive('client', Buffer.concat(pongs));
  assert.equal(harness.tunnel.client.keepalive.pongs, pongs.length);
});

test('a slow reader is given the time for what relayed Pings were sent before', () => {
  const harness = new TunnelHarness(CLIENT_ONLY);
  const chunk = frameFrom('upstream', OPCODE.binary, Buffer.alloc(4_000_000));
  for (let count = 0; count < 4; count += 1) {
    harness.frame('upstream', OPCODE.ping);
    harness.receive('upstream', chunk);
  }
  // The first Pong says nothing about the four chunks; 64 KiB/s need 244 s for them.
  harness.frame('client', OPCODE.pong);
  harness.frame('upstream', OPCODE.ping);
  harness.pass(240_000);
  assert.equal(harness.cause(), null);
});

test('the codes of what a push has seen are bits of their own', () => {
  const bits = Object.values(PushEvents).filter((bit) => bit !== 0);
  assert.equal(
    bits.reduce((sum, bit) => sum + bit, 0),
    bits.reduce((all, bit) => all | bit, 0),
  );
});

/** The first bytes of frames both ways, and then silence. */
function stoppedInsideFrames(): TunnelHarness {
  const harness = new TunnelHarness().answering();
  harness.receive('client', frameFrom('client', OPCODE.text, 'unfinished').subarray(0, 8));
  harness.receive('upstream', frameFrom('upstream', OPCODE.text, 'unfinished').subarray(0, 4));
  return harness;
}

test('peers that both stop inside a frame cannot be asked, and are given up all the same', () => {
  const harness = stoppedInsideFrames();
  harness.pass(39_000);
  assert.equal(harness.cause(), null);
  harness.pass(2000);
  assert.equal(harness.cause(), 'pong_timeout');
});

test('a Ping that could go out after all gets its whole time', () => {
  const harness = stoppedInsideFrames();
  harness.pass(38_000);
  harness.receive('upstream', frameFrom('upstream', OPCODE.text, 'unfinished').subarray(4));
  harness.pass(20_000);
  assert.equal(harness.cause(), null);
  harness.pass(11_000);
  assert.deepEqual([harness.cause(), harness.tunnel.facts?.side], ['pong_timeout', 'client']);
});
