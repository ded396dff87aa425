import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Child, startChild, temporaryFolder } from './process.ts';

const LEAKS = fileURLToPath(new URL('leaks.ts', import.meta.url));

/** Runs a test file of this content as the runner would. */
async function runFile(t: TestContext, content: string): Promise<Child> {
  const file = join(await temporaryFolder(t), 'x.test.mjs');
  await writeFile(file, content);
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, LEAK_GRACE: '200' };
  const child = startChild(t, process.execPath, ['--import', 'tsx', '--import', LEAKS, '--test', file], { env });
  await child.exited;
  return child;
}

test('a file that leaves a server open fails and names it', async (t) => {
  const child = await runFile(
    t,
    `import { test } from 'node:test';
     import { createServer } from 'node:net';
     test('passes', () => { createServer().listen(0, '127.0.0.1'); });`,
  );
  assert.equal(child.exit?.code, 1);
  assert.match(child.stdout + child.stderr, /left open after the last test: TCPServerWrap/);
});

test('a file that leaves a timer fails and names it', async (t) => {
  const child = await runFile(
    t,
    `import { test } from 'node:test';
     test('passes', () => { setInterval(() => {}, 1000); });`,
  );
  assert.equal(child.exit?.code, 1);
  assert.match(child.stdout + child.stderr, /left open after the last test: Timeout/);
});

test('a file that tidies up passes, slow subtests and hooks included', async (t) => {
  const child = await runFile(
    t,
    `import { after, test } from 'node:test';
     import { createServer } from 'node:net';
     const server = createServer().listen(0, '127.0.0.1');
     const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
     test('outer', async (t) => {
       await t.test('inner', pause);
       await pause();
     });
     test('last', () => { server.close(); });
     after(() => {});`,
  );
  assert.equal(child.exit?.code, 0, child.stdout);
});
