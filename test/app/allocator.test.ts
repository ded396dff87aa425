import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { raiseAllocatorThresholds } from '../../src/allocator.ts';

const SIZES = '/proc/self/status';
const HALF_A_BLOCK = 15 * 1024 * 1024;
const TURNS = 1000;

/** What is mapped to be written to, in bytes: reserved address space does not count (proc(5), `VmData`). */
function mapped(): number {
  return Number(/^VmData:\s*(\d+) kB$/m.exec(readFileSync(SIZES, 'latin1'))?.[1]) * 1024;
}

test('the block is mapped, and given back without the collector', { skip: !existsSync(SIZES) }, async () => {
  const before = mapped();
  raiseAllocatorThresholds();
  assert.ok(mapped() - before > HALF_A_BLOCK, 'the block was never there');
  for (let turn = 0; turn < TURNS && mapped() - before > HALF_A_BLOCK; turn++) await setImmediate();
  assert.ok(mapped() - before < HALF_A_BLOCK, 'the block is still there');
});
