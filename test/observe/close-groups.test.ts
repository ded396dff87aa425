import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CloseReport } from '../../src/core/events.ts';
import { CloseGroups } from '../../src/observe/close-groups.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { abruptEnd } from '../support/reports.ts';

function setUp() {
  const clock = new FakeClock();
  const released: string[] = [];
  const groups = new CloseGroups(clock, (due) => {
    for (const { reports, together } of due) {
      for (const { id } of reports) released.push(`${id} ${together} at ${clock.now()}`);
    }
  });
  const end = (id: string, more: Partial<CloseReport> = {}): void =>
    groups.take('front', abruptEnd(5_000, { id, endedAt: clock.now(), ...more }));
  return { clock, groups, end, released };
}

test('an end waits for a second', () => {
  const { clock, end, released } = setUp();
  end('a');
  clock.advance(999);
  assert.deepEqual(released, []);
  clock.advance(1);
  assert.deepEqual(released, ['a 1 at 1000']);
});

test('ends of one front within a second know of each other, those of another front or time do not', () => {
  const { clock, end, released } = setUp();
  end('a');
  clock.advance(400);
  end('b');
  end('c', { front: '10.0.0.2' });
  clock.advance(2_000);
  end('d');
  clock.advance(2_000);
  assert.deepEqual(released, ['a 2 at 1000', 'b 2 at 1000', 'c 1 at 1400', 'd 1 at 3400']);
});

test('kinds do not mix', () => {
  const { clock, groups, end, released } = setUp();
  end('a');
  groups.take('leaving', abruptEnd(5_000, { id: 'b', endedAt: 0 }));
  clock.advance(1_000);
  assert.deepEqual(released, ['a 1 at 1000', 'b 1 at 1000']);
});

test('a crowd that still grows when its second is over waits on, for three seconds at most', () => {
  const { clock, end, released } = setUp();
  for (let at = 0; at < 3_400; at += 100) {
    end(`${at}`);
    clock.advance(100);
  }
  clock.advance(2_000);
  assert.equal(released[0], '0 30 at 3000');
});

test('an end that is reported late joins those that it came with, and waits no more', () => {
  const { clock, end, released } = setUp();
  end('a');
  clock.advance(3_000);
  end('b', { endedAt: 10 });
  assert.deepEqual(released, ['a 1 at 1000', 'b 2 at 3000']);
});

test('a timer that fires a little early passes the end on all the same', () => {
  const { clock, end, released } = setUp();
  end('a');
  clock.behind = 0.5;
  clock.advance(1_000);
  assert.equal(released.length, 1);
});

test('a stop passes everything on and leaves no timer, and it works on after that', () => {
  const { clock, groups, end, released } = setUp();
  end('a');
  end('b');
  groups.flush();
  assert.deepEqual([released, clock.armed], [['a 2 at 0', 'b 2 at 0'], 0]);
  clock.advance(5_000);
  end('c');
  clock.advance(1_000);
  assert.equal(released[2], 'c 1 at 6000');
});

test('old groups are forgotten', () => {
  const { clock, groups, end } = setUp();
  for (let count = 0; count < 10; count += 1) {
    end(`${count}`, { front: `10.0.0.${count}` });
    clock.advance(10_000);
  }
  assert.equal(groups.remembered, 1);
});

test('a flood is passed on early, the oldest first', () => {
  const { end, released } = setUp();
  for (let index = 0; index < 20_001; index += 1) end(`e${index}`, { front: `f${index}` });
  assert.deepEqual(released, ['e0 1 at 0']);
});
