import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkList, Direction, type DirectionLimits, PushEvents } from '../../src/core/direction.ts';
import { Boundary } from '../../src/core/frame-scanner.ts';
import { PingTags } from '../../src/core/ping-tags.ts';
import { drain, lend } from '../support/core-harness.ts';

const OURS = Uint8Array.of(0x89, 0x00);
const OUR_CLOSE = Uint8Array.of(0x88, 0x02, 0x03, 0xf4);
/** A Pong with the tag of the one Ping that `RelayUnderTest` has outstanding when told so. */
const OWN_PONG = [0x8a, 0x08, 0, 0, 0, 5, 0, 0, 0, 6];

class RelayUnderTest {
  readonly direction: Direction;
  readonly tags = new PingTags();
  readonly out = new ChunkList();

  constructor({ masked = false, ...limits }: Partial<DirectionLimits> & { readonly masked?: boolean } = {}) {
    const unlimited = Number.POSITIVE_INFINITY;
    const all = { maxPayload: unlimited, extensions: false, controlRate: unlimited, ...limits };
    this.direction = new Direction(masked, all, this.tags);
  }

  awaitPong(low = 6): void {
    this.tags.add({
      high: 5,
      low,
      copies: 1,
      sentAt: 100,
      position: 0,
      flushedAt: Number.POSITIVE_INFINITY,
      excused: 0,
      drain: 0,
    });
  }

  push(bytes: readonly number[], now = 0): { seen: number; out: number[] } {
    let out: number[] = [];
    const seen = lend(
      Uint8Array.from(bytes),
      (chunk) => this.direction.push(chunk, now, this.out),
      () => {
        out = [...drain(this.out)];
      },
    );
    return { seen, out };
  }

  inject(frame = OURS, isLast = false, place: Boundary = Boundary.frame): { isOut: boolean; out: number[] } {
    const isOut = this.direction.inject(frame, isLast, place, this.out);
    return { isOut, out: [...drain(this.out)] };
  }

  end(): number[] {
    this.direction.end(this.out);
    return [...drain(this.out)];
  }
}

test('a chunk that holds whole frames or payload passes as the very same piece', () => {
  const { direction, out } = new RelayUnderTest();
  for (const chunk of [Uint8Array.of(0x82, 0x03, 1, 0x81, 0x00), Uint8Array.of(9, 9)]) {
    direction.push(chunk, 0, out);
    assert.equal(out.count, 1);
    assert.equal(out.at(0), chunk);
    out.clear();
  }
});

test('a header is held back until it is complete', () => {
  const under = new RelayUnderTest();
  assert.deepEqual(under.push([0x81, 0x00, 0x82]), { seen: PushEvents.nothing, out: [0x81, 0x00] });
  assert.deepEqual(under.push([0x7e]), { seen: PushEvents.nothing, out: [] });
  assert.deepEqual(under.push([0x00, 0x80, 7]), { seen: PushEvents.nothing, out: [0x82, 0x7e, 0x00, 0x80, 7] });
  assert.equal(under.direction.bytes, 7);
});

test('what is held is let go of at the end', () => {
  const under = new RelayUnderTest();
  under.push([0x82, 0x7e]);
  assert.deepEqual(under.end(), [0x82, 0x7e]);
  assert.equal(under.direction.mayInject, false, 'the output ended inside a frame');
});

test('an end between frames leaves a boundary, one inside a frame does not', () => {
  const whole = new RelayUnderTest();
  whole.push([0x81, 0x01, 0x61]);
  assert.deepEqual(whole.end(), []);
  assert.equal(whole.direction.canInject, true);
  const torn = new RelayUnderTest();
  torn.push([0x81, 0x02, 0x61]);
  assert.deepEqual(torn.end(), []);
  assert.deepEqual([torn.direction.canInject, torn.direction.mayInject], [false, false]);
});

test('a frame of ours goes out at once between frames, also between fragments and before a held header', () => {
  const under = new RelayUnderTest();
  assert.deepEqual(under.inject(), { isOut: true, out: [0x89, 0x00] });
  under.push([0x01, 0x01, 0x61, 0x80]);
  assert.deepEqual(under.inject(), { isOut: true, out: [0x89, 0x00] });
  assert.deepEqual(under.push([0x01, 0x62]).out, [0x80, 0x01, 0x62]);
});

test('inside a frame it waits for the boundary, wherever in a chunk that is', () => {
  const cases: [rest: number[], out: number[]][] = [
    [
      [2, 3],
      [2, 3, 0x89, 0x00],
    ],
    [
      [2, 3, 0x81, 0x00],
      [2, 3, 0x89, 0x00, 0x81, 0x00],
    ],
    [
      [2, 3, 0x81],
      [2, 3, 0x89, 0x00],
    ],
  ];
  for (const [rest, out] of cases) {
    const under = new RelayUnderTest();
    under.push([0x82, 0x03, 1]);
    assert.deepEqual(under.inject(), { isOut: false, out: [] });
    assert.equal(under.direction.isWaiting, true);
    assert.deepEqual(under.push(rest), { seen: PushEvents.injected, out });
    assert.equal(under.direction.isWaiting, false);
  }
});

test('a chunk that does not reach the boundary leaves it waiting', () => {
  const under = new RelayUnderTest();
  under.push([0x82, 0x03]);
  under.inject();
  assert.deepEqual(under.push([1, 2]), { seen: PushEvents.nothing, out: [1, 2] });
  assert.deepEqual(under.push([3]), { seen: PushEvents.injected, out: [3, 0x89, 0x00] });
});

test('a Close of ours takes the place of a Ping that waits, and nothing passes behind it', () => {
  const under = new RelayUnderTest();
  under.push([0x82, 0x01]);
  under.inject();
  under.inject(OUR_CLOSE, true);
  assert.deepEqual(under.push([1, 0x81, 0x00]), { seen: PushEvents.injected, out: [1, ...OUR_CLOSE] });
  assert.deepEqual(under.push([0x81, 0x00]), { seen: PushEvents.nothing, out: [] });
  assert.deepEqual([under.direction.closed, under.direction.mayInject], [true, false]);
  assert.equal(under.direction.bytes, 3, 'discarded bytes do not count');
});

test('behind a discarded direction’s Close nothing else changes', () => {
  const under = new RelayUnderTest();
  under.inject(OUR_CLOSE, true);
  assert.deepEqual(under.push([0x88, 0x00]), { seen: PushEvents.close, out: [] });
});

test('behind a relayed Close nothing of ours goes out', () => {
  const under = new RelayUnderTest();
  under.push([0x88, 0x02, 0x03]);
  under.inject();
  assert.deepEqual(under.push([0xe8, 0x81, 0x00]), { seen: PushEvents.close, out: [0xe8, 0x81, 0x00] });
  assert.deepEqual(
    [under.direction.closed, under.direction.isWaiting, under.direction.canInject],
    [true, false, false],
  );
});

test('a Ping of ours that waits for the end of a relayed Ping is dropped', () => {
  const under = new RelayUnderTest();
  under.push([0x89, 0x02, 1]);
  under.inject();
  assert.deepEqual(under.push([2, 0x81, 0x00]), { seen: PushEvents.ping, out: [2, 0x81, 0x00] });
  assert.equal(under.direction.isWaiting, false);
});

test('a Close of ours that waits for the end of a relayed Ping is not dropped', () => {
  const under = new RelayUnderTest();
  under.push([0x89, 0x02, 1]);
  under.inject(OUR_CLOSE, true);
  assert.deepEqual(under.push([2]), { seen: PushEvents.ping | PushEvents.injected, out: [2, ...OUR_CLOSE] });
});

test('a stopped direction is walked and discarded', () => {
  const under = new RelayUnderTest();
  under.push([0x82, 0x01]);
  under.inject();
  under.direction.stop();
  assert.deepEqual(under.push([1, 0x88, 0x00]), { seen: PushEvents.close, out: [] });
  assert.equal(under.direction.closed, false, 'the Close has not gone this way');
});

test('control frames that pass are seen', () => {
  const under = new RelayUnderTest();
  assert.equal(under.push([0x89, 0x00]).seen, PushEvents.ping);
  assert.equal(under.push([0x8a, 0x00]).seen, PushEvents.pong);
  assert.equal(
    under.push([0x8a, 0x00, 0x89, 0x00, 0x88, 0x00]).seen,
    PushEvents.ping | PushEvents.pong | PushEvents.close,
  );
});

test('only the answer to a Ping of ours is swallowed', () => {
  const under = new RelayUnderTest();
  under.awaitPong();
  const stranger = OWN_PONG.with(9, 7);
  assert.deepEqual(under.push(stranger), { seen: PushEvents.pong, out: stranger });
  assert.deepEqual(under.push([0x81, 0x00, ...OWN_PONG, 0x82, 0x00]), {
    seen: PushEvents.ownPong,
    out: [0x81, 0x00, 0x82, 0x00],
  });
  assert.equal(under.direction.answered?.sentAt, 100);
  assert.deepEqual([under.direction.ownPongs, under.direction.bytes, under.direction.scanner.frames], [1, 14, 3]);
  assert.deepEqual(under.push(OWN_PONG), { seen: PushEvents.pong, out: OWN_PONG }, 'it was answered already');
});

test('an answer in pieces is swallowed whole, a stranger’s comes out whole', () => {
  const under = new RelayUnderTest();
  under.awaitPong();
  const stranger = OWN_PONG.with(9, 7);
  for (const byte of stranger.slice(0, -1)) assert.deepEqual(under.push([byte]), { seen: PushEvents.nothing, out: [] });
  assert.deepEqual(under.push(stranger.slice(-1)), { seen: PushEvents.pong, out: stranger });
  for (const byte of OWN_PONG.slice(0, -1)) assert.deepEqual(under.push([byte]), { seen: PushEvents.nothing, out: [] });
  assert.deepEqual(under.push(OWN_PONG.slice(-1)), { seen: PushEvents.ownPong, out: [] });
});

test('each of several answers in one chunk is swallowed and counted', () => {
  const under = new RelayUnderTest();
  for (const low of [6, 7, 8]) under.awaitPong(low);
  const pongs = [...OWN_PONG, ...OWN_PONG.with(9, 7), ...OWN_PONG.with(9, 8)];
  assert.deepEqual(under.push(pongs), { seen: PushEvents.ownPong, out: [] });
  assert.equal(under.direction.ownPongs, 3);
  assert.equal(under.direction.answered?.low, 8, 'the newest is kept');
});

test('a masked answer is swallowed from the client', () => {
  const under = new RelayUnderTest({ masked: true });
  under.awaitPong();
  const key = [0x80, 2, 3, 4];
  const payload = OWN_PONG.slice(2).map((byte, index) => byte ^ (key[index & 3] as number));
  assert.deepEqual(under.push([0x8a, 0x88, ...key, ...payload]), { seen: PushEvents.ownPong, out: [] });
});

test('at a bad length everything before it passes and nothing after', () => {
  const under = new RelayUnderTest();
  const bad = [0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0];
  assert.deepEqual(under.push([0x81, 0x00, ...bad, 0x81, 0x00]), { seen: PushEvents.limitPassed, out: [0x81, 0x00] });
  assert.deepEqual([under.direction.limitPassed, under.direction.canInject], ['bad_length', true]);
  assert.deepEqual(under.push([0x81, 0x00]), { seen: PushEvents.nothing, out: [] });
});

test('at a frame over the limit, too, though its header came in pieces', () => {
  const under = new RelayUnderTest({ maxPayload: 200 });
  assert.deepEqual(under.push([0x82, 0x7e, 0x00]).out, []);
  assert.deepEqual(under.push([0xc9, 1, 2, 3]), { seen: PushEvents.limitPassed, out: [] });
  assert.equal(under.direction.limitPassed, 'frame_limit');
  assert.deepEqual(under.end(), []);
});

test('what waited goes out before a frame that passes the limit', () => {
  const under = new RelayUnderTest({ maxPayload: 200 });
  under.push([0x82, 0x01]);
  under.inject();
  const { seen, out } = under.push([1, 0x82, 0x7e, 0x01, 0x00]);
  assert.deepEqual([seen, out], [PushEvents.injected | PushEvents.limitPassed, [1, 0x89, 0x00]]);
});

test('control frames pass at the rate and in bursts of ten times that, and the next one breaks the limit', () => {
  const under = new RelayUnderTest({ controlRate: 2 });
  for (let i = 0; i < 20; i += 1)
    assert.equal(under.push([i % 2 === 0 ? 0x89 : 0x8a, 0x00], 1000).seen & PushEvents.limitPassed, 0);
  const last = under.push([0x89, 0x00, 0x81, 0x00], 1000);
  assert.deepEqual(last, { seen: PushEvents.ping | PushEvents.limitPassed, out: [0x89, 0x00] });
  assert.equal(under.direction.limitPassed, 'rate_limit');
});

test('the burst refills with time, up to its size', () => {
  const under = new RelayUnderTest({ controlRate: 2 });
  const spend = (count: number, now: number): number => {
    let broken = 0;
    for (let i = 0; i < count; i += 1) broken |= under.push([0x89, 0x00], now).seen & PushEvents.limitPassed;
    return broken;
  };
  assert.equal(spend(20, 0), 0);
  assert.equal(spend(4, 2000), 0);
  assert.equal(spend(20, 1_000_000), 0);
  assert.equal(spend(1, 1_000_000), PushEvents.limitPassed);
});

test('neither data frames nor swallowed Pongs count against the rate, strangers’ Pongs do', () => {
  const under = new RelayUnderTest({ controlRate: 0.1 });
  for (let low = 10; low < 20; low += 1) {
    under.awaitPong(low);
    assert.equal(under.push([...OWN_PONG.with(9, low), 0x81, 0x00]).seen, PushEvents.ownPong);
  }
  under.awaitPong();
  assert.equal(under.push(OWN_PONG.with(9, 9)).seen, PushEvents.pong);
  assert.equal(under.push(OWN_PONG.with(9, 9)).seen, PushEvents.pong | PushEvents.limitPassed);
});

test('a rate limit that breaks at the end of a frame leaves no place for a Ping that waited', () => {
  const under = new RelayUnderTest({ controlRate: 0.05 });
  under.push([0x8a, 0x01]);
  under.inject();
  assert.deepEqual(under.push([1, 0x81, 0x00]), { seen: PushEvents.pong | PushEvents.limitPassed, out: [1] });
});
