import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloseReport } from '../../src/core/report.ts';
import { ClosingDesk } from '../../src/observe/closing-desk.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { abruptEnd, closeReport } from '../support/reports.ts';

function setUp() {
  const clock = new FakeClock();
  const released: string[] = [];
  const desk = new ClosingDesk(clock, (report, { together, sameAge }) => {
    released.push(`${report.id} ${together}${sameAge ? ' same' : ''} at ${clock.now() - start}`);
  });
  const start = clock.now();
  const end = (id: string, idleMs = 5_000, more: Partial<CloseReport> = {}): void =>
    desk.take(abruptEnd(idleMs, { id, endedAt: clock.now(), ...more }));
  return { clock, desk, end, released };
}

test('an abrupt end of the client side waits for a second', () => {
  const { clock, end, released } = setUp();
  end('a');
  clock.advance(999);
  assert.deepEqual(released, []);
  clock.advance(1);
  assert.deepEqual(released, ['a 1 same at 1000']);
});

test('all other ends are passed on at once', () => {
  const { desk, end, released } = setUp();
  desk.take(closeReport({ id: 'a', code: 1000 }));
  end('b', 5_000, { side: 'upstream' });
  assert.deepEqual(released, ['a 1 same at 0', 'b 1 same at 0']);
});

test('ends of one front within a second know of each other, whichever came first', () => {
  const { clock, end, released } = setUp();
  end('a', 5_000);
  clock.advance(400);
  end('b', 9_000);
  clock.advance(400);
  end('c', 9_010);
  clock.advance(2_000);
  assert.deepEqual(released, ['a 3 at 1000', 'b 3 at 1400', 'c 3 at 1800']);
});

test('ends of the same age are told as such', () => {
  const { clock, end, released } = setUp();
  for (const id of ['a', 'b', 'c']) end(id, 60_010);
  clock.advance(1_000);
  assert.deepEqual(released, ['a 3 same at 1000', 'b 3 same at 1000', 'c 3 same at 1000']);
});

test('ends of another front or of another time are no company', () => {
  const { clock, end, released } = setUp();
  end('a');
  end('b', 9_000, { front: '10.0.0.2' });
  clock.advance(1_001);
  end('c', 9_000);
  clock.advance(1_000);
  assert.deepEqual(released, ['a 1 same at 1000', 'b 1 same at 1000', 'c 1 same at 2001']);
});

test('what counts is when connections ended, not when it was reported', () => {
  const { clock, end, released } = setUp();
  const endedAt = clock.now();
  end('a', 5_000, { endedAt });
  clock.advance(3_000);
  end('b', 9_000, { endedAt: endedAt + 10 });
  clock.advance(1_000);
  assert.deepEqual(released, ['a 1 same at 1000', 'b 2 at 4000']);
});

test('a timer that fires a little early passes the end on all the same', () => {
  const { clock, end, released } = setUp();
  end('a');
  clock.behind = 0.5;
  clock.advance(1_000);
  assert.equal(released.length, 1);
});

test('a stop passes everything on and leaves no timer', () => {
  const { clock, desk, end, released } = setUp();
  end('a');
  end('b', 9_000);
  desk.flush();
  assert.deepEqual(released, ['a 2 at 0', 'b 2 at 0']);
  clock.advance(5_000);
  assert.equal(released.length, 2);
});

test('the desk works on after a stop, and forgets old ends', () => {
  const { clock, desk, end, released } = setUp();
  desk.flush();
  end('a');
  clock.advance(10_000);
  end('b', 9_000);
  clock.advance(1_000);
  assert.deepEqual(released, ['a 1 same at 1000', 'b 1 same at 11000']);
  assert.equal(desk.remembered, 1);
});

test('a flood is passed on early, the oldest first', () => {
  const { end, released } = setUp();
  for (let index = 0; index < 20_001; index += 1) end(`e${index}`, 5_000, { front: `f${index}` });
  assert.deepEqual(released, ['e0 1 same at 0']);
});

test('of a great many ends a hundred are looked at', () => {
  const { clock, end, released } = setUp();
  for (let count = 0; count < 500; count += 1) end(`${count}`, count * 1000);
  clock.advance(1000);
  assert.deepEqual([released[0], released[499]], ['0 100 at 1000', '499 100 at 1000']);
});
