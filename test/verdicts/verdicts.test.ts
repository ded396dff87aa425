/** The blind test, which waits for real timers of real programs, in two rounds; the second knows what the first has learned. See main.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChild } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

test('no verdict on an end that a real program brought about is wrong', {
  skip: skipWithout('nginx', 'haproxy', 'caddy', 'chromium'),
}, async (t) => {
  const run = startChild(t, process.execPath, ['--import', 'tsx', MAIN, '--rounds', '2']);
  const { code } = await run.exited;
  assert.equal(code, 0, run.stdout + run.stderr);
});
