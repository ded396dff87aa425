import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { freeCompilationsAtOnce } from '../../src/runtime/compiler.ts';

test('a V8 whose middle compiler is off is left as it is', () => {
  const flagsFor = (v8: string): string[] => {
    const flags: string[] = [];
    freeCompilationsAtOnce(v8, (flag) => flags.push(flag));
    return flags;
  };
  assert.deepEqual(flagsFor('11.3.244.8-node.38'), []);
  assert.deepEqual(flagsFor('13.6.233.17-node.30'), ['--no-maglev-destroy-on-background']);
});

test('this V8 knows the flag, or is not given it: of one that it does not know it complains', () => {
  const { href } = new URL('../../src/runtime/compiler.ts', import.meta.url);
  const program = `import { freeCompilationsAtOnce } from ${JSON.stringify(href)}; freeCompilationsAtOnce();`;
  const { status, stderr } = spawnSync(
    process.execPath,
    [...process.execArgv.filter((flag) => !flag.startsWith('--test')), '--input-type=module', '-e', program],
    { encoding: 'utf8' },
  );
  assert.deepEqual([status, stderr], [0, '']);
});
