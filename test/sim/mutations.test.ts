import assert from 'node:assert/strict';
import test from 'node:test';
import { inapplicable, judgeAll, NO_MISTAKE, type Verdict } from './mutants.ts';

test('each mistake of the list can be made', () => {
  assert.deepEqual(inapplicable(), []);
});

test('the simulation finds each mistake of the list, and none where there is none', async (t) => {
  assert.deepEqual(inapplicable(), []);
  const wrong: Verdict[] = [];
  await judgeAll((verdict) => {
    t.diagnostic(`${verdict.isCaught ? 'caught' : 'not caught'}  ${verdict.name}: ${verdict.by}`);
    if (verdict.isCaught === (verdict.name === NO_MISTAKE)) wrong.push(verdict);
  });
  assert.deepEqual(wrong, []);
});
