import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DialQueue, DialQueues } from '../../src/runtime/dial-queue.ts';

/** A queue whose started attempts are listed by name. */
function listing(limit: number) {
  const started: string[] = [];
  const queue = new DialQueue(() => limit);
  const enter = (client: string, name = client): (() => void) => queue.enter(client, () => started.push(name));
  return { started, enter };
}

test('attempts start at once while there are places', () => {
  const { started, enter } = listing(2);
  enter('a');
  enter('b');
  enter('c');
  assert.deepEqual(started, ['a', 'b']);
});

test('the next one starts when a place is given back', () => {
  const { started, enter } = listing(2);
  const leave = enter('a');
  enter('b');
  enter('c');
  leave();
  assert.deepEqual(started, ['a', 'b', 'c']);
});

test('a place is given back once, however often its owner leaves', () => {
  const { started, enter } = listing(2);
  const leave = enter('a');
  enter('b');
  leave();
  leave();
  enter('c');
  enter('d');
  assert.deepEqual(started, ['a', 'b', 'c']);
});

test('one client has at most half of the places', () => {
  const { started, enter } = listing(4);
  enter('a', 'a1');
  enter('a', 'a2');
  enter('a', 'a3');
  enter('b', 'b1');
  assert.deepEqual(started, ['a1', 'a2', 'b1']);
});

test('a single place is for whoever comes', () => {
  const { started, enter } = listing(1);
  enter('a');
  assert.deepEqual(started, ['a']);
});

test('clients take turns', () => {
  const { started, enter } = listing(2);
  const leaves = [enter('x'), enter('y')];
  for (const name of ['a1', 'a2', 'a3']) enter('a', name);
  enter('b', 'b1');
  for (const leave of leaves) leave();
  assert.deepEqual(started, ['x', 'y', 'a1', 'b1']);
});

test('the attempts of one client start in the order in which they came', () => {
  const { started, enter } = listing(2);
  const leave = enter('a', 'a1');
  for (const name of ['a2', 'a3']) enter('a', name);
  leave();
  assert.deepEqual(started, ['a1', 'a2']);
});

test('who leaves while waiting is not started', () => {
  const { started, enter } = listing(1);
  const leave = enter('a');
  const leaveWaiting = enter('b');
  enter('c');
  leaveWaiting();
  leave();
  assert.deepEqual(started, ['a', 'c']);
});

test('without a limit nobody waits', () => {
  const { started, enter } = listing(Infinity);
  for (let i = 0; i < 1000; i++) enter('a');
  assert.equal(started.length, 1000);
});

test('an upstream that hangs delays nobody who goes to another', () => {
  const queues = new DialQueues(() => 1);
  const started: string[] = [];
  const [one, other] = [{}, {}];
  queues.enter(one, 'a', () => started.push('one'));
  queues.enter(one, 'b', () => started.push('one again'));
  queues.enter(other, 'a', () => started.push('other'));
  assert.deepEqual(started, ['one', 'other']);
});

test('any number may leave as soon as their turn has come, one after the other', () => {
  const queue = new DialQueue(() => 1);
  const leaveFirst = queue.enter('a', () => undefined);
  let left = 0;
  for (let index = 0; index < 50_000; index += 1) {
    const leave = queue.enter('a', () => {
      left += 1;
      leave();
    });
  }
  leaveFirst();
  assert.equal(left, 50_000);
});

test('a start that throws does not stop the others', () => {
  const queue = new DialQueue(() => 2);
  assert.throws(() => queue.enter('a', () => assert.fail('no')));
  let isStarted = false;
  queue.enter('b', () => (isStarted = true));
  assert.equal(isStarted, true);
});
