import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkList } from '../../src/core/direction.ts';

test('chunks come back in order, as they are', () => {
  const chunks = new ChunkList();
  const [first, second] = [Uint8Array.of(1), Uint8Array.of(2)];
  chunks.add(first);
  chunks.add(second);
  assert.equal(chunks.count, 2);
  assert.equal(chunks.at(0), first);
  assert.equal(chunks.at(1), second);
});

test('what was cleared is let go of, and the list is used again', () => {
  const chunks = new ChunkList();
  chunks.add(Uint8Array.of(1));
  chunks.clear();
  assert.equal(chunks.count, 0);
  assert.equal(chunks.at(0), undefined);
  chunks.add(Uint8Array.of(2));
  assert.deepEqual([chunks.count, ...chunks.at(0)], [1, 2]);
});
