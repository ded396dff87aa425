import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { createIdleCollector, findCollector, IdleCollector } from '../../src/runtime/idle-collector.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MB = 1024 * 1024;
const LOOK = 500;

/** A process whose state is set by hand, and which has been quiet for a while. */
async function startCollector() {
  const clock = new FakeClock();
  const state = { busy: 0, heap: 40 * MB, live: 30 * MB, changes: 0, collections: 0, fails: false };
  const collector = new IdleCollector({
    clock,
    busy: () => state.busy,
    changes: () => state.changes,
    heapBytes: () => state.heap,
    collect: async () => {
      state.collections++;
      if (state.fails) throw new Error('no collector');
      state.heap = state.live;
    },
  });
  collector.start();
  /** Lets it look so many times. */
  async function look(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      clock.advance(LOOK);
      await setImmediate();
    }
  }
  await look(3);
  assert.equal(state.collections, 1, 'what starting has left behind is collected');
  Object.assign(state, { collections: 0, changes: 1000 });
  return { clock, state, collector, look };
}

test('a heap that has not grown is left alone', async () => {
  const { state, look } = await startCollector();
  state.heap += 7 * MB;
  await look(5);
  assert.equal(state.collections, 0);
});

test('a heap that has grown is collected as soon as the process is quiet, and then left alone', async () => {
  const { state, look } = await startCollector();
  Object.assign(state, { heap: 80 * MB, busy: 0.5 });
  await look(5);
  assert.equal(state.collections, 0);
  state.busy = 0.1;
  await look(5);
  assert.equal(state.collections, 1);
});

test('what is still needed counts as grown no longer', async () => {
  const { state, look } = await startCollector();
  Object.assign(state, { heap: 80 * MB, live: 70 * MB });
  await look(2);
  Object.assign(state, { heap: 77 * MB, changes: 2000 });
  await look(2);
  assert.equal(state.collections, 1);
  state.heap = 79 * MB;
  await look(2);
  assert.equal(state.collections, 2);
});

test('a heap that plain requests have grown is left alone', async () => {
  const { state, look } = await startCollector();
  Object.assign(state, { heap: 80 * MB, changes: 500 });
  await look(5);
  assert.equal(state.collections, 0);
  state.changes = 512;
  await look(5);
  assert.equal(state.collections, 1);
});

test('a heap that has shrunk by itself may grow less from there', async () => {
  const { state, look } = await startCollector();
  state.heap = 20 * MB;
  await look(1);
  state.heap = 29 * MB;
  await look(1);
  assert.equal(state.collections, 1);
});

test('a collector that fails is left alone from then on', async () => {
  const { clock, state, look } = await startCollector();
  Object.assign(state, { heap: 80 * MB, fails: true });
  await look(5);
  assert.deepEqual([state.collections, clock.armed], [1, 0]);
});

test('it looks no more once it was stopped', async () => {
  const { clock, state, collector } = await startCollector();
  state.heap = 80 * MB;
  collector.stop();
  clock.advance(10 * LOOK);
  assert.deepEqual([state.collections, clock.armed], [0, 0]);
});

test('V8 gives back what is needed no longer', async () => {
  const garbage = Array.from({ length: 300_000 }, (_, index) => ({ index }));
  const before = getHeapStatistics().total_heap_size;
  garbage.length = 0;
  const collect = await findCollector();
  await collect?.();
  assert.ok(getHeapStatistics().total_heap_size < before);
});

test('a Node without its inspector has no collector', async () => {
  assert.equal(await findCollector(() => Promise.reject(new Error('ERR_INSPECTOR_NOT_AVAILABLE'))), null);
});

test('the collector of this process is started and stopped', async () => {
  const collector = await createIdleCollector(() => 0);
  assert.ok(collector);
  collector.start();
  collector.stop();
});
