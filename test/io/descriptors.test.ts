import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientsWithin, descriptorLimit, effectiveLimits, warnOfBudget } from '../../src/io/descriptors.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { settingsOf } from '../support/app.ts';

const { limits } = settingsOf({ UPSTREAM: 'http://neko:8080' });

test('the limit is the soft one of this process', () => {
  const line = 'Max open files            1024                 524288               files     \n';
  assert.equal(
    descriptorLimit(() => `Limit  Soft Limit  Hard Limit  Units\n${line}`),
    1024,
  );
  assert.ok(descriptorLimit() > 0);
});

test('where there is no limit, or none can be read, there is none', () => {
  assert.equal(
    descriptorLimit(() => 'Max open files            unlimited            unlimited            files     \n'),
    Infinity,
  );
  assert.equal(
    descriptorLimit(() => {
      throw new Error('no /proc here');
    }),
    Infinity,
  );
  assert.equal(clientsWithin(Infinity), Infinity);
});

test('auto is what fits twice, with some to spare', () => {
  assert.deepEqual(effectiveLimits(limits, 1024), { connections: 460, connectionsPerIp: Infinity });
  assert.equal(effectiveLimits(limits, 64).connections, 16);
  assert.equal(effectiveLimits(limits, 10).connections, 1);
  assert.equal(effectiveLimits({ ...limits, connections: 7 }, 10).connections, 7);
});

test('an explicit number that does not fit twice is warned about, one that does is not', () => {
  const warnings = (connections: number | 'auto'): unknown[] => {
    const { log, sink } = createSinkLogger();
    warnOfBudget({ ...limits, connections }, 1024, log);
    return sink.lines().map((line) => [line['connections'], line['descriptors'], line['auto']]);
  };
  assert.deepEqual(warnings(497), [[497, 1024, 460]]);
  assert.deepEqual([...warnings(496), ...warnings('auto'), ...warnings(Infinity)], []);
});
