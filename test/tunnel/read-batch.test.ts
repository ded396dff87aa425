import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadBatch } from '../../src/tunnel/read-batch.ts';

/** A turn whose end is called for by hand. */
function startTurn(): { batch: ReadBatch; polls: (() => void)[] } {
  const polls: (() => void)[] = [];
  return { batch: new ReadBatch({ afterPoll: (callback) => void polls.push(callback) }), polls };
}

function bytes(length: number, fill: number): Buffer {
  return Buffer.alloc(length, fill);
}

test('what is put off is written once, after everything was read, in order', () => {
  const { batch, polls } = startTurn();
  const written: string[] = [];
  for (const name of ['a', 'b']) batch.defer({ writeDeferred: () => void written.push(name) });
  assert.deepEqual([polls.length, written], [1, []]);
  polls.pop()?.();
  assert.deepEqual(written, ['a', 'b']);
  batch.defer({ writeDeferred: () => void written.push('c') });
  polls.pop()?.();
  assert.deepEqual(written, ['a', 'b', 'c']);
});

test('what is held stays as it is until the end of the batch, and is written over in the next one', () => {
  const { batch } = startTurn();
  const first = batch.hold(bytes(100, 1), 50);
  const second = batch.hold(bytes(100, 2), 100);
  assert.deepEqual([first, second], [bytes(50, 1), bytes(100, 2)]);
  assert.equal(batch.flush(), false);
  batch.hold(bytes(10, 3), 10);
  assert.deepEqual(first.subarray(0, 10), bytes(10, 3));
});

test('what somebody keeps is never written over', () => {
  const { batch } = startTurn();
  const kept = batch.hold(bytes(50, 1), 50);
  batch.defer({ writeDeferred: () => batch.keep() });
  assert.equal(batch.flush(), true);
  for (let fill = 2; fill < 200; fill++) {
    batch.hold(bytes(16_384, fill), 16_384);
    batch.flush();
  }
  assert.deepEqual(kept, bytes(50, 1));
});

test('when there is no more room, what was put off is written at once', () => {
  const { batch } = startTurn();
  let isWritten = false;
  const first = batch.hold(bytes(16_384, 1), 16_384);
  batch.defer({
    writeDeferred: () => {
      assert.deepEqual(first, bytes(16_384, 1));
      isWritten = true;
    },
  });
  for (let reads = 0; reads < 20; reads++) batch.hold(bytes(16_384, 2), 16_384);
  assert.equal(isWritten, true);
});

test('a keep in a full turn takes new room', () => {
  const { batch } = startTurn();
  const held: Buffer[] = [];
  for (let fill = 0; fill < 60; fill++) {
    held.push(batch.hold(bytes(16_384, fill), 16_384));
    batch.keep();
  }
  for (const [fill, chunk] of held.entries()) assert.deepEqual(chunk, bytes(16_384, fill));
});
