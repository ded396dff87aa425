import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turn } from '../../src/io/turn.ts';

/** A turn whose end is called for by hand. */
function startTurn(): { turn: Turn; polls: (() => void)[] } {
  const polls: (() => void)[] = [];
  return { turn: new Turn({ afterPoll: (callback) => void polls.push(callback) }), polls };
}

function bytes(length: number, fill: number): Buffer {
  return Buffer.alloc(length, fill);
}

test('what is put off is written once, after everything was read, in order', () => {
  const { turn, polls } = startTurn();
  const written: string[] = [];
  for (const name of ['a', 'b']) turn.defer({ writeDeferred: () => void written.push(name) });
  assert.deepEqual([polls.length, written], [1, []]);
  polls.pop()?.();
  assert.deepEqual(written, ['a', 'b']);
  turn.defer({ writeDeferred: () => void written.push('c') });
  polls.pop()?.();
  assert.deepEqual(written, ['a', 'b', 'c']);
});

test('what is held stays as it is until the end of the turn, and is written over in the next one', () => {
  const { turn } = startTurn();
  const first = turn.hold(bytes(100, 1), 50);
  const second = turn.hold(bytes(100, 2), 100);
  assert.deepEqual([first, second], [bytes(50, 1), bytes(100, 2)]);
  assert.equal(turn.flush(), false);
  turn.hold(bytes(10, 3), 10);
  assert.deepEqual(first.subarray(0, 10), bytes(10, 3));
});

test('what somebody keeps is never written over', () => {
  const { turn } = startTurn();
  const kept = turn.hold(bytes(50, 1), 50);
  turn.defer({ writeDeferred: () => turn.keep() });
  assert.equal(turn.flush(), true);
  for (let fill = 2; fill < 200; fill++) {
    turn.hold(bytes(16_384, fill), 16_384);
    turn.flush();
  }
  assert.deepEqual(kept, bytes(50, 1));
});

test('when there is no more room, what was put off is written at once', () => {
  const { turn } = startTurn();
  let isWritten = false;
  const first = turn.hold(bytes(16_384, 1), 16_384);
  turn.defer({
    writeDeferred: () => {
      assert.deepEqual(first, bytes(16_384, 1));
      isWritten = true;
    },
  });
  for (let reads = 0; reads < 20; reads++) turn.hold(bytes(16_384, 2), 16_384);
  assert.equal(isWritten, true);
});

test('a keep in a full turn takes new room', () => {
  const { turn } = startTurn();
  const held: Buffer[] = [];
  for (let fill = 0; fill < 60; fill++) {
    held.push(turn.hold(bytes(16_384, fill), 16_384));
    turn.keep();
  }
  for (const [fill, chunk] of held.entries()) assert.deepEqual(chunk, bytes(16_384, fill));
});
