import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { ROOT, runSim } from './run-sim.ts';
import { simulate } from './simulate.ts';

/** Connection-hours of each run. */
const HOURS = 100;
/** Fixed, so that a run depends on the change alone; `npm run sim` draws a new one each time. */
const SEEDS = [1, 2];

describe('simulated networks', { concurrency: 2 }, () => {
  for (const seed of SEEDS) {
    test(`${HOURS} connection-hours with seed ${seed} bring no violation`, async (t) => {
      const outcome = await runSim(ROOT, ['--seed', String(seed), '--hours', String(HOURS)]);
      for (const line of outcome.trim().split('\n')) t.diagnostic(line);
      assert.match(outcome, /^violations: 0 /m);
    });
  }
});

test('a run is replayed exactly by its seed', () => {
  const one = simulate(7, 1);
  assert.deepEqual(one, simulate(7, 1));
  assert.notEqual(one.events, simulate(8, 1).events);
});
