import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIdleCollector, IdleCollector } from '../../src/idle-collector.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MB = 1024 * 1024;

/** A process whose state is set by hand: `used` is alive, and `stuck` is what no collection gives back. It has been quiet for a minute. */
function startCollector() {
  const clock = new FakeClock();
  const state = { busy: 0, total: 30 * MB, used: 25 * MB, stuck: 5 * MB, collections: 0 };
  const collector = new IdleCollector({
    clock,
    busy: () => state.busy,
    heap: () => ({ total: state.total, free: state.total - state.used }),
    collect: () => {
      state.collections++;
      state.total = state.used + state.stuck;
    },
  });
  collector.start();
  clock.advance(60_000);
  assert.equal(state.collections, 1, 'what starting has left behind is collected');
  state.collections = 0;
  return { clock, state, collector };
}

test('a heap that has not grown is left alone', () => {
  const { clock, state } = startCollector();
  state.total += 7 * MB;
  clock.advance(60_000);
  assert.equal(state.collections, 0);
});

test('a heap that has grown is collected as soon as the process is quiet, and then left alone', () => {
  const { clock, state } = startCollector();
  Object.assign(state, { total: 80 * MB, busy: 0.5 });
  clock.advance(60_000);
  assert.equal(state.collections, 0);
  state.busy = 0.1;
  clock.advance(60_000);
  assert.equal(state.collections, 1);
});

test('what is still needed counts as grown no longer', () => {
  const { clock, state } = startCollector();
  Object.assign(state, { total: 80 * MB, used: 65 * MB });
  clock.advance(60_000);
  state.total = 77 * MB;
  clock.advance(60_000);
  assert.equal(state.collections, 1);
  state.total = 79 * MB;
  clock.advance(60_000);
  assert.equal(state.collections, 2);
});

test('room that is not given back is asked for again, in quiet moments, and not for ever', () => {
  const { clock, state } = startCollector();
  Object.assign(state, { total: 80 * MB, stuck: 32 * MB });
  clock.advance(6000);
  assert.equal(state.collections, 1);
  state.busy = 1;
  clock.advance(30_000);
  assert.equal(state.collections, 1);
  state.busy = 0;
  clock.advance(600_000);
  assert.equal(state.collections, 5);
});

test('once the room is given back nothing more is asked for', () => {
  const { clock, state } = startCollector();
  Object.assign(state, { total: 80 * MB, stuck: 32 * MB });
  clock.advance(6000);
  state.stuck = MB;
  clock.advance(600_000);
  assert.equal(state.collections, 2);
});

test('it looks no more once it was stopped', () => {
  const { clock, state, collector } = startCollector();
  state.total = 80 * MB;
  collector.stop();
  clock.advance(60_000);
  assert.deepEqual([state.collections, clock.armed], [0, 0]);
});

test('V8 lends its collector, and nobody else sees it', () => {
  assert.ok(createIdleCollector() instanceof IdleCollector);
  assert.equal('gc' in globalThis, process.execArgv.includes('--expose-gc'));
});
