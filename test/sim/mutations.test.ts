import assert from 'node:assert/strict';
import test from 'node:test';
import { judge, judgeAll, type Verdict } from './mutants.ts';

test('the simulation finds each mistake of the list', async (t) => {
  const verdicts: Verdict[] = [];
  await judgeAll((verdict) => {
    verdicts.push(verdict);
    t.diagnostic(`${verdict.isCaught ? 'caught' : 'MISSED'}  ${verdict.name}: ${verdict.by}`);
  });
  assert.deepEqual(
    verdicts.filter(({ isCaught }) => !isCaught),
    [],
  );
});

test('a copy of the proxy without a mistake passes', async () => {
  const { isCaught, by } = await judge(null, 150);
  assert.equal(isCaught, false, by);
  assert.equal(by, 'nothing was found');
});
