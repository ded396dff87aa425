import assert from 'node:assert/strict';
import type { OnReadOpts } from 'node:net';
import { test } from 'node:test';
import { SocketReader } from '../../src/tunnel/socket-reader.ts';
import { ReadBatch } from '../../src/tunnel/read-batch.ts';

function newTurn(): ReadBatch {
  return new ReadBatch({ afterPoll: () => {} });
}

/** Does what Node does on a read: fills the buffer it was given, then calls back. */
function feed(reader: SocketReader, length: number, fill: number): { goesOn: boolean; into: Uint8Array } {
  const onread = reader.onread as OnReadOpts & { buffer: () => Uint8Array };
  const into = onread.buffer();
  into.fill(fill, 0, length);
  return { goesOn: onread.callback(length, into), into };
}

function startReader(turn = newTurn(), keeps = false): { reader: SocketReader; chunks: Buffer[] } {
  const reader = new SocketReader(turn);
  const chunks: Buffer[] = [];
  reader.sink = {
    onChunk(chunk) {
      chunks.push(chunk);
      if (keeps) reader.keep();
      return true;
    },
  };
  return { reader, chunks };
}

const LARGE = 20_000;

test('a small chunk is a copy, so the next read of any socket leaves it alone', () => {
  const turn = newTurn();
  const { reader, chunks } = startReader(turn);
  feed(reader, 10, 1);
  feed(new SocketReader(turn), 10, 2);
  assert.deepEqual(chunks, [Buffer.alloc(10, 1)]);
});

test('sockets with small chunks share one buffer', () => {
  const turn = newTurn();
  assert.equal(feed(new SocketReader(turn), 10, 1).into, feed(new SocketReader(turn), 10, 1).into);
});

test('a socket that brings large chunks gets a buffer of its own, and reads into it again', () => {
  const { reader, chunks } = startReader();
  const shared = feed(reader, LARGE, 1).into;
  const own = feed(reader, LARGE, 2).into;
  assert.notEqual(own, shared);
  assert.equal(feed(reader, LARGE, 3).into, own);
  assert.deepEqual(
    chunks.map(({ length }) => length),
    [LARGE, LARGE, LARGE],
  );
  assert.equal(chunks[0]?.[0], 1);
});

test('a large chunk that is kept is not written over', () => {
  const { reader, chunks } = startReader(newTurn(), true);
  for (const fill of [1, 2, 3]) feed(reader, LARGE, fill);
  assert.deepEqual(
    chunks.map(([first]) => first),
    [1, 2, 3],
  );
});

test('what was put off is written before a buffer of its own is read into again', () => {
  const turn = newTurn();
  const { reader, chunks } = startReader(turn);
  let written = 0;
  reader.sink = {
    onChunk(chunk) {
      chunks.push(chunk);
      turn.defer({ writeDeferred: () => void written++ });
      return true;
    },
  };
  feed(reader, LARGE, 1);
  assert.equal(written, 0);
  feed(reader, LARGE, 2);
  assert.equal(written, 2);
});

test('a buffer of its own is given up after many small chunks', () => {
  const { reader } = startReader();
  const shared = feed(reader, LARGE, 1).into;
  assert.notEqual(feed(reader, 10, 1).into, shared);
  for (let small = 0; small < 20; small++) feed(reader, 10, 1);
  assert.equal(feed(reader, 10, 1).into, shared);
});

test('what takes the chunks can stop reading', () => {
  const { reader } = startReader();
  assert.equal(feed(reader, 10, 1).goesOn, true);
  reader.sink = { onChunk: () => false };
  assert.equal(feed(reader, 10, 1).goesOn, false);
  assert.equal(feed(reader, LARGE, 1).goesOn, false);
  assert.equal(feed(reader, LARGE, 1).goesOn, false);
});
