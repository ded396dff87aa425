/** Who closes, and what each side gets: the ends that the proxy brings about, row by row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloseCause, Side } from '../../src/core/report.ts';
import type { TunnelOptions } from '../../src/core/tunnel-options.ts';
import { LINGER } from '../../src/core/ending.ts';
import { frameFrom, KEEPALIVE, NO_LIMITS, other, SIDES, TunnelHarness } from '../support/core-harness.ts';
import { closeCode, closePayload, OPCODE } from '../support/frames.ts';

const OFF = Number.POSITIVE_INFINITY;
const TORN = Buffer.of(0x82, 0x05, 1);
const QUIET = { interval: OFF, timeout: OFF, mode: 'idle' } as const;

function lastClose(harness: TunnelHarness, side: Side): [code: number | null, reason: string] | string {
  const frame = harness.frames(side).at(-1);
  if (frame?.opcode !== OPCODE.close) return `opcode ${frame?.opcode}`;
  return [closeCode(frame), frame.payload.subarray(2).toString()];
}

function whyOf(harness: TunnelHarness): [string | undefined, string | undefined, number | null | undefined] {
  const { facts } = harness.tunnel;
  return [facts?.initiator, facts?.cause, facts?.code];
}

/** Bytes for a side are stuck for the stall time. */
function stall(harness: TunnelHarness, side: Side): void {
  harness.act((tunnel, now) => tunnel.leg(side).keepalive.queueing(0, now));
  harness.pass(60_000);
}

/** A connection on which nobody but this side is asked for anything. */
function asking(side: Side): TunnelHarness {
  return new TunnelHarness({ keepalive: { ...KEEPALIVE, [other(side)]: QUIET } });
}

function askingNobody(): TunnelHarness {
  return new TunnelHarness({ keepalive: { ...KEEPALIVE, client: QUIET, upstream: QUIET } });
}

test('a dead client is reset, and the upstream ends without a Close', () => {
  const silent = asking('client');
  silent.pass(41_000);
  assert.deepEqual(whyOf(silent), ['client', 'pong_timeout', null]);
  const stuck = askingNobody();
  stall(stuck, 'client');
  assert.deepEqual(whyOf(stuck), ['client', 'stall', null]);
  for (const harness of [silent, stuck]) {
    assert.deepEqual(harness.wishes.client, ['reset']);
    assert.deepEqual(harness.wishes.upstream, ['end']);
    assert.ok(harness.frames('upstream').every((frame) => frame.opcode !== OPCODE.close));
    harness.pass(LINGER);
    assert.equal(harness.tunnel.isOver, true);
  }
});

test('a dead upstream is reset, and the client gets a Close 1011 that says so', () => {
  const silent = asking('upstream');
  silent.pass(91_000);
  assert.deepEqual(whyOf(silent), ['upstream', 'pong_timeout', 1011]);
  assert.deepEqual(lastClose(silent, 'client'), [1011, 'upstream does not answer']);
  const stuck = askingNobody();
  stall(stuck, 'upstream');
  assert.deepEqual(whyOf(stuck), ['upstream', 'stall', 1011]);
  assert.deepEqual(lastClose(stuck, 'client'), [1011, 'upstream takes no data']);
  assert.deepEqual([silent.wishes.upstream, stuck.wishes.upstream], [['reset'], ['reset']]);
});

test('with a dead upstream inside a frame the client’s TCP ends alone', () => {
  const silent = asking('upstream');
  silent.receive('upstream', TORN);
  silent.pass(91_000);
  assert.deepEqual([silent.wire('client'), silent.wishes.client], [TORN, ['end']]);
  const stuck = askingNobody();
  stuck.receive('upstream', TORN);
  stall(stuck, 'upstream');
  assert.deepEqual([stuck.wire('client'), stuck.wishes.client], [TORN, ['end']]);
});

test('while reading from a side is paused it is not dead, and then it gets a fresh window', () => {
  const harness = asking('client');
  harness.pass(11_000);
  harness.act((tunnel) => tunnel.client.keepalive.paused());
  harness.pass(100_000);
  assert.equal(harness.cause(), null);
  harness.act((tunnel, now) => tunnel.client.keepalive.resumed(now));
  harness.pass(29_999);
  assert.equal(harness.cause(), null);
  harness.pass(10);
  assert.equal(harness.cause(), 'pong_timeout');
});

test('a client that closed and then finds its upstream dead gets its end with our Close', () => {
  const harness = askingNobody();
  harness.frame('client', OPCODE.close, closePayload(1000));
  stall(harness, 'upstream');
  assert.deepEqual(lastClose(harness, 'client'), [1011, 'upstream takes no data']);
  assert.deepEqual(harness.wishes.client, ['end']);
  assert.deepEqual(whyOf(harness), ['client', 'close_frame', 1000], 'the first reason stands');
});

interface LimitCase {
  readonly cause: CloseCause;
  readonly options: Partial<TunnelOptions>;
  readonly code: number;
  readonly reason: string;
  readonly break: (side: Side) => Buffer;
}

const LIMITS: readonly LimitCase[] = [
  {
    cause: 'frame_limit',
    options: { limits: { ...NO_LIMITS, maxPayload: 200 } },
    code: 1009,
    reason: 'frame longer than the limit',
    break: (side) => frameFrom(side, OPCODE.binary, Buffer.alloc(201)),
  },
  {
    cause: 'rate_limit',
    options: { limits: { ...NO_LIMITS, controlRate: 0.1 } },
    code: 1008,
    reason: 'too many control frames',
    break: (side) => Buffer.concat([frameFrom(side, OPCODE.ping), frameFrom(side, OPCODE.ping)]),
  },
  {
    cause: 'bad_length',
    options: {},
    code: 1002,
    reason: 'frame length with the top bit set',
    break: (side) => frameFrom(side, OPCODE.binary, '', { claimed: 2n ** 63n }),
  },
];

for (const { cause, options, code, reason, break: breakLimit } of LIMITS) {
  test(`${cause}: the client that passes it gets ${code}, the upstream an end without a Close`, () => {
    const harness = new TunnelHarness(options);
    harness.receive('client', breakLimit('client'));
    assert.deepEqual(lastClose(harness, 'client'), [code, reason]);
    assert.deepEqual(harness.wishes, { client: [], upstream: ['end'] });
    assert.ok(harness.frames('upstream').every((frame) => frame.opcode === OPCODE.ping));
    assert.deepEqual(harness.tunnel.facts, { initiator: 'client', side: 'client', cause, code, reason, reset: false });
    harness.frame('client', OPCODE.text, 'goes nowhere');
    harness.pass(LINGER);
    assert.deepEqual(harness.wishes.client, ['end']);
  });

  test(`${cause}: inside a frame the client’s TCP ends alone`, () => {
    const harness = new TunnelHarness(options);
    harness.receive('upstream', TORN);
    harness.receive('client', breakLimit('client'));
    assert.deepEqual([harness.wire('client'), harness.wishes.client[0]], [TORN, 'end']);
  });

  test(`${cause}: the upstream that passes it is reset, the client gets 1011`, () => {
    const harness = new TunnelHarness(options);
    harness.receive('upstream', breakLimit('upstream'));
    assert.deepEqual(lastClose(harness, 'client'), [1011, reason]);
    assert.deepEqual(harness.wishes, { client: [], upstream: ['reset'] });
    assert.deepEqual(whyOf(harness), ['upstream', cause, 1011]);
  });
}

test('the upstream that passes a limit behind half a frame: the Close stands at the boundary before it', () => {
  const harness = new TunnelHarness({ limits: { ...NO_LIMITS, maxPayload: 200 } });
  harness.receive('upstream', frameFrom('upstream', OPCODE.binary, Buffer.alloc(201)).subarray(0, 3));
  harness.receive('upstream', Buffer.of(0xff));
  assert.deepEqual(lastClose(harness, 'client')[0], 1011);
  assert.equal(harness.frames('client').length, 1);
});

test('a stop gives both sides a Close and waits for theirs', () => {
  const harness = new TunnelHarness();
  harness.act((tunnel, now) => tunnel.drain(1012, 'restart', now));
  for (const side of SIDES) {
    assert.deepEqual(lastClose(harness, side), [1012, 'restart']);
    assert.equal(harness.frames(side)[0]?.masked, side === 'upstream');
  }
  const facts = { initiator: 'proxy', side: 'client', cause: 'drain', code: 1012, reason: 'restart', reset: false };
  assert.deepEqual(harness.tunnel.facts, facts);
  harness.frame('client', OPCODE.close, closePayload(1012));
  assert.deepEqual(harness.wishes, { client: ['end'], upstream: [] });
  harness.frame('upstream', OPCODE.close, closePayload(1012));
  assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['end'] });
  assert.deepEqual([harness.frames('client').length, harness.frames('upstream').length], [1, 1]);
});

test('a stop waits 3 s for each side, and no side’s end cuts the other’s time short', () => {
  for (const how of ['end', 'reset'] as const) {
    for (const side of SIDES) {
      const harness = new TunnelHarness();
      harness.act((tunnel, now) => tunnel.drain(1012, '', now));
      harness[how](side);
      assert.deepEqual(harness.wishes[other(side)], []);
      harness.pass(LINGER);
      assert.deepEqual(harness.wishes[other(side)], ['end']);
      harness.pass(LINGER);
      assert.equal(harness.tunnel.isOver, true);
    }
  }
});

test('inside a frame the Close of a stop waits for the boundary', () => {
  for (const side of SIDES) {
    const harness = new TunnelHarness();
    const frame = frameFrom(side, OPCODE.binary, 'abc');
    harness.receive(side, frame.subarray(0, -1));
    harness.act((tunnel, now) => tunnel.drain(1012, 'restart', now));
    harness.receive(side, frame.subarray(-1));
    assert.deepEqual(harness.frames(other(side))[0]?.raw, frame);
    assert.deepEqual(lastClose(harness, other(side)), [1012, 'restart']);
    harness.pass(2 * LINGER);
    assert.equal(harness.tunnel.isOver, true);
  }
});

test('a boundary that never comes is ended by the deadline of the stop', () => {
  const harness = new TunnelHarness();
  harness.receive('upstream', TORN);
  harness.act((tunnel, now) => tunnel.drain(1012, '', now));
  harness.pass(8000);
  assert.deepEqual([harness.wire('client'), harness.wishes.client], [TORN, []]);
  harness.act((tunnel) => tunnel.finish());
  assert.deepEqual(harness.wishes.client, ['end']);
});

test('a boundary that cannot come any more is not waited for', () => {
  for (const how of ['end', 'reset'] as const) {
    for (const side of SIDES) {
      const harness = new TunnelHarness();
      harness.receive(side, frameFrom(side, OPCODE.binary, 'abc').subarray(0, -1));
      harness.act((tunnel, now) => tunnel.drain(1012, '', now));
      harness[how](side);
      assert.deepEqual(harness.wishes[other(side)], ['end']);
    }
  }
});

test('a peer’s own Close that was on its way when the stop came takes the place of ours', () => {
  for (const side of SIDES) {
    const harness = new TunnelHarness();
    const frame = frameFrom(side, OPCODE.close, closePayload(1001));
    harness.receive(side, frame.subarray(0, -1));
    harness.act((tunnel, now) => tunnel.drain(1012, '', now));
    harness.receive(side, frame.subarray(-1));
    assert.deepEqual(harness.wire(other(side)), frame);
    assert.deepEqual(harness.wishes[side], ['end'], 'it got our Close and sent its own');
    harness.pass(2 * LINGER);
    assert.equal(harness.tunnel.isOver, true);
  }
});

test('a limit that is passed during a stop resets nobody who got a Close', () => {
  for (const side of SIDES) {
    const harness = new TunnelHarness();
    harness.act((tunnel, now) => tunnel.drain(1012, '', now));
    harness.receive(side, frameFrom(side, OPCODE.binary, '', { claimed: 2n ** 63n }));
    assert.deepEqual(harness.wishes, { client: [], upstream: [] });
    harness.pass(2 * LINGER);
    assert.deepEqual(harness.wishes, { client: ['end', 'destroy'], upstream: ['end', 'destroy'] });
  }
});

test('nor is an upstream reset that is being ended', () => {
  const harness = new TunnelHarness();
  harness.reset('client');
  harness.receive('upstream', frameFrom('upstream', OPCODE.binary, '', { claimed: 2n ** 63n }));
  assert.deepEqual(harness.wishes.upstream, ['end']);
});

test('a client that is stuck during a stop is reset, and the upstream keeps its time', () => {
  const harness = new TunnelHarness();
  harness.holdFlush = true;
  harness.act((tunnel, now) => tunnel.drain(1012, '', now));
  stall(harness, 'client');
  assert.deepEqual(harness.wishes, { client: ['reset'], upstream: [] });
});

test('a connection that ends already is not stopped once more', () => {
  const harness = new TunnelHarness();
  const frame = harness.frame('client', OPCODE.close, closePayload(1000));
  harness.act((tunnel, now) => tunnel.drain(1012, '', now));
  assert.deepEqual([harness.wire('upstream'), harness.wire('client').length], [frame, 0]);
  assert.equal(harness.cause(), 'close_frame');
});

test('a fault of our own gives the client a Close 1011 and ends the upstream', () => {
  const harness = new TunnelHarness();
  harness.act((tunnel, now) => tunnel.fail(now));
  assert.deepEqual(lastClose(harness, 'client'), [1011, 'internal error in the proxy']);
  assert.deepEqual(harness.wishes, { client: [], upstream: ['end'] });
  assert.deepEqual(whyOf(harness), ['proxy', 'internal_error', 1011]);
});

test('a fault behind an end of the client ends it alone', () => {
  const harness = new TunnelHarness();
  harness.end('client');
  harness.act((tunnel, now) => tunnel.fail(now));
  assert.deepEqual([harness.wire('client').length, harness.wishes.client], [0, ['end', 'destroy']]);
});
