/** Who closes, and what each side gets: the ends that the proxy brings about, row by row. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloseCause, Side } from '../../src/core/events.ts';
import type { TunnelOptions } from '../../src/core/tunnel.ts';
import { LINGER } from '../../src/core/side.ts';
import { frameFrom, framesOf, KEEPALIVE, NO_LIMITS, other, SIDES, TunnelHarness } from '../support/core-harness.ts';
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
  harness.act((tunnel, now) => tunnel.side(side).keepalive.queueing(0, now));
  harness.pass(60_000);
}

/** A connection on which nobody but this side is asked for anything. */
function asking(side: Side): TunnelHarness {
  return new TunnelHarness({ keepalive: { ...KEEPALIVE, [other(side)]: QUIET } }).answering();
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

test('a dead upstream is reset, and the client’s TCP ends without a Close', () => {
  const silent = asking('upstream');
  silent.pass(91_000);
  assert.deepEqual(whyOf(silent), ['upstream', 'pong_timeout', null]);
  const stuck = askingNobody();
  stall(stuck, 'upstream');
  assert.deepEqual(whyOf(stuck), ['upstream', 'stall', null]);
  for (const harness of [silent, stuck]) {
    assert.deepEqual([harness.wire('client').length, harness.wishes.client], [0, ['end']]);
    assert.deepEqual(harness.wishes.upstream, ['reset']);
  }
});

test('with a dead upstream inside a frame the client’s TCP ends behind what was held', () => {
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
  harness.act((tunnel) => tunnel.client.keepalive.paused(11_000));
  harness.pass(100_000);
  assert.equal(harness.cause(), null);
  harness.act((tunnel, now) => tunnel.client.keepalive.resumed(now));
  harness.pass(29_999);
  assert.equal(harness.cause(), null);
  harness.pass(10);
  assert.equal(harness.cause(), 'pong_timeout');
});

test('a client that closed and then finds its upstream dead gets its end', () => {
  const harness = askingNobody();
  harness.frame('client', OPCODE.close, closePayload(1000));
  stall(harness, 'upstream');
  assert.deepEqual([harness.wire('client').length, harness.wishes.client], [0, ['end']]);
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

  test(`${cause}: the upstream that passes it is reset, the client’s TCP ends behind what was queued`, () => {
    const harness = new TunnelHarness(options);
    harness.receive('upstream', breakLimit('upstream'));
    assert.ok(harness.frames('client').every((frame) => frame.opcode === OPCODE.ping));
    assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['reset'] });
    assert.deepEqual(whyOf(harness), ['upstream', cause, null]);
  });
}

test('the client that passes a limit is told between two fragments as well', () => {
  const harness = new TunnelHarness();
  const fragment = harness.frame('upstream', OPCODE.text, 'half', { fin: false });
  harness.receive('client', frameFrom('client', OPCODE.binary, '', { claimed: 2n ** 63n }));
  assert.deepEqual(harness.frames('client')[0]?.raw, fragment);
  assert.deepEqual(lastClose(harness, 'client')[0], 1002);
});

test('a stop without a code ends both sides at once between two messages, and nothing more goes out', () => {
  const harness = new TunnelHarness();
  harness.act((tunnel, now) => tunnel.drain(null, '', now));
  assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['end'] });
  harness.frame('client', OPCODE.text, 'late');
  assert.deepEqual([harness.wire('client').length, harness.wire('upstream').length], [0, 0]);
  const facts = { initiator: 'proxy', side: 'client', cause: 'drain', code: null, reason: '', reset: false };
  assert.deepEqual(harness.tunnel.facts, facts);
  harness.pass(LINGER);
  assert.equal(harness.tunnel.isOver, true);
});

test('with and without a code a stop waits for the end of the message, and without one both sides do', () => {
  for (const code of [null, 1012]) {
    for (const side of SIDES) {
      const to = other(side);
      const harness = new TunnelHarness();
      const first = harness.frame(side, OPCODE.text, 'a', { fin: false });
      harness.act((tunnel, now) => tunnel.drain(code, 'restart', now));
      assert.deepEqual(harness.wishes, { client: [], upstream: [] });
      const rest = Buffer.concat([frameFrom(side, OPCODE.continuation, 'b'), frameFrom(side, OPCODE.text, 'late')]);
      harness.receive(side, rest);
      const sent = Buffer.concat([first, frameFrom(side, OPCODE.continuation, 'b')]);
      assert.deepEqual(harness.wire(to).subarray(0, sent.length), sent);
      const behind = framesOf(harness.wire(to).subarray(sent.length)).map(closeCode);
      assert.deepEqual(behind, code === null ? [] : [1012]);
      const ends = code === null ? ['end'] : [];
      assert.deepEqual(harness.wishes, { client: ends, upstream: ends });
    }
  }
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

test('a fault of our own ends the client without a Close and resets the upstream', () => {
  const harness = new TunnelHarness();
  harness.act((tunnel, now) => tunnel.fail(now));
  assert.equal(harness.wire('client').length, 0);
  assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['reset'] });
  assert.deepEqual(whyOf(harness), ['proxy', 'internal_error', null]);
});

test('a fault behind an end of the client ends it alone', () => {
  const harness = new TunnelHarness();
  harness.end('client');
  harness.act((tunnel, now) => tunnel.fail(now));
  assert.deepEqual([harness.wire('client').length, harness.wishes.client], [0, ['end', 'destroy']]);
});

test('a Close that comes while a stop waits for the end of a message ends both sides', () => {
  for (const side of SIDES) {
    const harness = new TunnelHarness();
    harness.frame(other(side), OPCODE.text, 'a', { fin: false });
    harness.act((tunnel, now) => tunnel.drain(null, '', now));
    harness.frame(side, OPCODE.close, '');
    assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['end'] });
  }
});

test('a connection that is too old ends like one of a proxy that stops, for a reason of its own', () => {
  const harness = new TunnelHarness();
  const first = harness.frame('client', OPCODE.text, 'a', { fin: false });
  harness.act((tunnel, now) => tunnel.expire(now));
  assert.deepEqual(harness.wishes, { client: [], upstream: [] });
  const last = frameFrom('client', OPCODE.continuation, 'b');
  harness.receive('client', last);
  assert.deepEqual(harness.wire('upstream'), Buffer.concat([first, last]));
  assert.deepEqual(harness.wishes, { client: ['end'], upstream: ['end'] });
  assert.deepEqual(whyOf(harness), ['proxy', 'max_age', null]);
  harness.act((tunnel, now) => tunnel.expire(now));
  assert.deepEqual(whyOf(harness), ['proxy', 'max_age', null], 'the first reason stands');
});
