import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../../src/runtime/slots.ts';

test('items come and go in any order, and a free place is used again', () => {
  const slots = new Slots<{ name: string }>();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => slots.add({ name }));
  slots.remove(b as number);
  assert.deepEqual([...slots], [{ name: 'a' }, { name: 'c' }]);
  assert.equal(slots.add({ name: 'd' }), b);
  assert.equal(slots.size, 3);
  for (const slot of [c, a, b]) slots.remove(slot as number);
  assert.deepEqual([[...slots], slots.size], [[], 0]);
});

test('what is removed while all are visited is left out, and the others are not', () => {
  const slots = new Slots<{ name: string }>();
  slots.add({ name: 'a' });
  const b = slots.add({ name: 'b' });
  slots.add({ name: 'c' });
  const seen: string[] = [];
  for (const { name } of slots) {
    seen.push(name);
    if (name === 'a') slots.remove(b);
  }
  assert.deepEqual(seen, ['a', 'c']);
});
