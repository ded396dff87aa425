import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Deadlined, DeadlineHeap } from '../../src/core/deadline-heap.ts';

const item = (): Deadlined => ({ deadline: Number.POSITIVE_INFINITY, slot: -1 });

test('the earliest deadline stands first, whatever is added, moved and removed', () => {
  const step = fc.record({ which: fc.nat(19), deadline: fc.oneof(fc.nat(50), fc.constant(Number.POSITIVE_INFINITY)) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new DeadlineHeap<Deadlined>();
      const items = Array.from({ length: 20 }, item);
      const model = new Map<Deadlined, number>();
      for (const { which, deadline } of steps) {
        const chosen = items[which] as Deadlined;
        heap.set(chosen, deadline);
        model.delete(chosen);
        if (deadline !== Number.POSITIVE_INFINITY) model.set(chosen, deadline);
        assert.equal(heap.size, model.size);
        assert.equal(heap.first?.deadline, model.size === 0 ? undefined : Math.min(...model.values()));
      }
      const order: number[] = [];
      for (let first = heap.first; first !== undefined; first = heap.first) {
        order.push(first.deadline);
        heap.delete(first);
      }
      assert.deepEqual(
        order,
        [...model.values()].sort((a, b) => a - b),
      );
    }),
  );
});

test('an item that is not in the heap can be deleted', () => {
  const heap = new DeadlineHeap<Deadlined>();
  heap.set(item(), 5);
  heap.delete(item());
  assert.equal(heap.size, 1);
});

test('every item is visited once', () => {
  const heap = new DeadlineHeap<Deadlined>();
  const items = [item(), item(), item()];
  for (const [index, one] of items.entries()) heap.set(one, 3 - index);
  const seen = new Set<Deadlined>();
  heap.forEach((one) => seen.add(one));
  assert.deepEqual(seen, new Set(items));
});
