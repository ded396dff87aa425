import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clientsWithin,
  descriptorLimit,
  effectiveLimits,
  memoryLimit,
  warnOfBudget,
} from '../../src/server/descriptors.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { settingsOf } from '../support/app.ts';

const { limits } = settingsOf({ UPSTREAM: 'http://neko:8080' });

const MIB = 1024 * 1024;
const of = (descriptors: number, memory = Infinity) => ({ descriptors, memory });

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
  assert.deepEqual(effectiveLimits(limits, of(1024)), { connections: 460, connectionsPerIp: Infinity });
  assert.equal(effectiveLimits(limits, of(64)).connections, 16);
  assert.equal(effectiveLimits(limits, of(10)).connections, 1);
  assert.equal(effectiveLimits({ ...limits, connections: 7 }, of(10)).connections, 7);
});

test('an explicit number that does not fit twice is warned about, one that does is not', () => {
  const warnings = (connections: number | 'auto'): unknown[] => {
    const { log, sink } = createSinkLogger();
    warnOfBudget({ ...limits, connections }, of(1024), log);
    return sink.lines().map((line) => [line['connections'], line['descriptors'], line['auto']]);
  };
  assert.deepEqual(warnings(497), [[497, 1024, 460]]);
  assert.deepEqual([...warnings(496), ...warnings('auto'), ...warnings(Infinity)], []);
});

test('the memory is what the container may have, and the machine has at least', () => {
  assert.equal(memoryLimit(128 * MIB, 1024 * MIB), 128 * MIB);
  assert.equal(memoryLimit(2 ** 63, 1024 * MIB), 1024 * MIB);
  assert.equal(memoryLimit(0, 1024 * MIB), 1024 * MIB);
  assert.equal(memoryLimit(undefined, 1024 * MIB), 1024 * MIB);
  assert.ok(memoryLimit() > 0);
});

test('auto in a small container is what its memory allows, also when all come at once', () => {
  const within = (memory: number): number => effectiveLimits(limits, of(65_536, memory)).connections;
  assert.deepEqual([within(64 * MIB), within(128 * MIB), within(256 * MIB)], [606, 3034, 7888]);
  assert.equal(within(1024 * MIB), 29_491);
  assert.equal(within(32 * MIB), 1);
});

test('an explicit number that does not fit into the memory is warned about', () => {
  const { log, sink } = createSinkLogger();
  warnOfBudget({ ...limits, connections: 3034 }, of(65_536, 128 * MIB), log);
  assert.deepEqual(sink.lines(), []);
  warnOfBudget({ ...limits, connections: 3035 }, of(65_536, 128 * MIB), log);
  const [line] = sink.lines();
  assert.deepEqual([line?.['connections'], line?.['memory'], line?.['auto']], [3035, 128 * MIB, 3034]);
  assert.match(String(line?.['msg']), /raise the memory limit or write auto/);
});
