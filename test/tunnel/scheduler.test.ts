import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Scheduled, Scheduler } from '../../src/tunnel/scheduler.ts';
import { FakeClock } from '../support/fake-clock.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** An item that notes what it is told, and whose next deadline is the test's. */
class Item implements Scheduled {
  deadline = NEVER;
  slot = -1;
  next = NEVER;
  isSuspect = false;
  readonly log: string[] = [];

  nextDeadline(): number {
    return this.next;
  }

  handleTimer(now: number): boolean {
    this.log.push(`timer ${now}`);
    this.next = NEVER;
    return this.isSuspect;
  }

  judge(now: number): void {
    this.log.push(`judge ${now}`);
  }

  refresh(lost: number, now: number): void {
    this.log.push(`refresh ${now}, ${lost} lost`);
  }
}

function setUp(): { clock: FakeClock; scheduler: Scheduler; add: (at: number) => Item } {
  const clock = new FakeClock();
  const scheduler = new Scheduler(clock);
  return {
    clock,
    scheduler,
    add(at) {
      const item = new Item();
      item.next = at;
      scheduler.update(item);
      return item;
    },
  };
}

test('every item is called at its deadline, and one timer serves all', () => {
  const { clock, add } = setUp();
  const late = add(500);
  const early = add(100);
  assert.equal(clock.armed, 1);
  clock.advance(1000);
  assert.deepEqual(early.log, ['timer 100']);
  assert.deepEqual(late.log, ['timer 500']);
});

test('a deadline that moved away is looked at again, at its new time', () => {
  const { clock, scheduler, add } = setUp();
  const item = add(100);
  item.next = 300;
  scheduler.update(item);
  item.handleTimer = (now) => {
    item.log.push(`timer ${now}`);
    item.next = now < 300 ? 300 : NEVER;
    return false;
  };
  clock.advance(1000);
  assert.deepEqual(item.log, ['timer 100', 'timer 300']);
});

test('a deadline that came nearer is met', () => {
  const { clock, scheduler, add } = setUp();
  const item = add(500);
  item.next = 50;
  scheduler.update(item);
  clock.advance(60);
  assert.deepEqual(item.log, ['timer 50']);
});

test('a suspect is judged only after what had arrived was read', () => {
  const { clock, add } = setUp();
  const item = add(100);
  item.isSuspect = true;
  clock.advance(200, () => item.log.push('input'));
  assert.deepEqual(item.log, ['timer 100', 'input', 'judge 100']);
});

test('a timer that comes more than a second late refreshes everybody first', () => {
  const { clock, add } = setUp();
  const due = add(500);
  const other = add(60_000);
  clock.sleep(5000);
  assert.deepEqual(due.log, ['refresh 5000, 4500 lost', 'timer 5000']);
  assert.deepEqual(other.log, ['refresh 5000, 4500 lost']);
});

test('a suspend between two far deadlines is noticed', () => {
  const { clock, add } = setUp();
  const item = add(60_000);
  clock.advance(10_000);
  assert.deepEqual(item.log, []);
  clock.sleep(20_000);
  assert.deepEqual(item.log, ['refresh 30000, 19000 lost']);
});

test('a timer that fires early counts as on time', () => {
  const { clock, add } = setUp();
  const item = add(100);
  clock.behind = 0.7;
  clock.advance(100);
  assert.deepEqual(item.log, ['timer 100']);
});

test('nothing is armed when nothing is left', () => {
  const { clock, scheduler, add } = setUp();
  const item = add(100);
  scheduler.remove(item);
  assert.equal(scheduler.size, 0);
  assert.equal(clock.armed, 0);
  clock.advance(1000);
  assert.deepEqual(item.log, []);
});
