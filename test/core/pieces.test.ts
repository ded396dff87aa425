import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pieces } from '../../src/core/pieces.ts';

test('pieces come back in order, as they are', () => {
  const pieces = new Pieces();
  const [first, second] = [Uint8Array.of(1), Uint8Array.of(2)];
  pieces.add(first);
  pieces.add(second);
  assert.equal(pieces.count, 2);
  assert.equal(pieces.at(0), first);
  assert.equal(pieces.at(1), second);
});

test('what was cleared is let go of, and the list is used again', () => {
  const pieces = new Pieces();
  pieces.add(Uint8Array.of(1));
  pieces.clear();
  assert.equal(pieces.count, 0);
  assert.equal(pieces.at(0), undefined);
  pieces.add(Uint8Array.of(2));
  assert.deepEqual([pieces.count, ...pieces.at(0)], [1, 2]);
});
