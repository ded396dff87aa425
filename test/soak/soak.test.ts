/** A short soak. `npm run soak` goes on for as long as it is told to, with thousands of connections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skipWithout } from '../support/requirements.ts';
import { DISTURBANCES, soak } from './soak.ts';
import { faultsOf, slopeOf, summary } from './verdict.ts';

const OPTIONS = { seed: 1, minutes: 0, rounds: 5, crowd: 150, active: 120 };

test('after kills, reloads and restarts on every side, the books balance and nothing is left', {
  skip: skipWithout('nginx', 'haproxy'),
}, async (t) => {
  const result = await soak(t, OPTIONS, () => undefined);
  t.diagnostic(summary(result, OPTIONS.seed));
  assert.deepEqual(faultsOf(result), []);
  assert.equal(result.disturbances.size, DISTURBANCES.length);
  const causes = [...result.books.causes.keys()].join();
  for (const cause of ['close_frame', 'reserved_code', 'abrupt_end', 'pong_timeout'])
    assert.match(causes, new RegExp(cause));
});

test('a steady rise is told from ups and downs', () => {
  assert.deepEqual(slopeOf([1, 3, 5, 7]), { growth: 6, spread: 0 });
  const wavy = slopeOf([1, 9, 1, 9, 1]);
  assert.equal(wavy.growth, 0);
  assert.ok(wavy.spread > 8);
});
