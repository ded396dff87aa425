/** What `npm publish` would upload, installed elsewhere and run. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { startRoom } from '../../src/demo/room.ts';
import { describeBuild } from '../../src/version.ts';
import { atEnd } from '../support/cleanup.ts';
import { EXAMPLES } from '../support/examples.ts';
import { freePort } from '../support/free-port.ts';
import { connectIdle } from '../support/idle-client.ts';
import { startChild, temporaryFolder, untilListening } from '../support/process.ts';
import { allRequired } from '../support/requirements.ts';
import { Scope } from '../support/scope.ts';

const run = promisify(execFile);
const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
const MANIFEST = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly exports?: unknown;
};
const NEEDED =
  /^(?:LICENSE|README(?:\.zh)?\.md|package\.json|config\.example\.yaml|config\.schema\.json|dist\/commit|dist\/.*\.(?:js|d\.ts|html|css))$/;

/** What npm sets for the script that runs the tests does not hold for another folder. */
function surroundings(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:npm_(?!config_(?!local_prefix))|WSKP_)/.test(name),
  );
  return { ...Object.fromEntries(inherited), npm_config_prefer_offline: 'true' };
}

const skip = !allRequired && MANIFEST.exports === undefined && 'package.json exports nothing';

describe('the package', { skip }, () => {
  const scope = new Scope();
  let folder = '';
  let files: string[] = [];

  before(
    async () => {
      folder = await temporaryFolder(scope);
      // What the tests run is built already; building it again would pull it from under them.
      const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
      const { stdout } = await run('npm', pack, { cwd: PROJECT, env: surroundings() });
      const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
      files = packed?.files.map(({ path }) => path) ?? [];
      await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
      const install = ['install', '--no-audit', '--no-fund', join(folder, packed?.filename ?? '')];
      await run('npm', install, { cwd: folder, env: surroundings() });
    },
    { timeout: 120_000 },
  );
  after(() => scope.undo());

  test('holds what it needs to run, and nothing else', () => {
    for (const file of [
      'dist/main.js',
      'dist/index.js',
      'dist/index.d.ts',
      'config.schema.json',
      'LICENSE',
      'README.md',
    ]) {
      assert.ok(files.includes(file), file);
    }
    assert.deepEqual(
      files.filter((file) => !NEEDED.test(file)),
      [],
    );
  });

  test('runs by its name', async () => {
    const { stdout } = await run('npx', ['--no-install', 'ws-keepalive-proxy', '--version'], {
      cwd: folder,
      env: surroundings(),
    });
    assert.ok(stdout.startsWith(describeBuild({ version: MANIFEST.version, commit: '' })), stdout);
  });

  test('serves the program of examples/embedded, which imports it by its name', async (t) => {
    const room = await startRoom({ host: '127.0.0.1', port: 0 });
    atEnd(t, () => room.close());
    await copyFile(join(EXAMPLES, 'embedded/server.mjs'), join(folder, 'server.mjs'));
    const port = await freePort(t);
    const env = { ...surroundings(), LISTEN: `127.0.0.1:${port}`, UPSTREAM: `http://127.0.0.1:${room.port}` };
    const child = startChild(t, process.execPath, ['server.mjs'], { cwd: folder, env });
    await untilListening(child, port);
    const client = await connectIdle(t, port, 'guest');
    client.say('embedded');
    await client.hears('embedded');
    const code = new Promise((resolve) => client.socket.once('close', resolve));
    child.process.kill('SIGTERM');
    assert.equal(await code, 1006, 'without a Close');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
});
