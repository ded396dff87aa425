/** `healthcheck` asks the built program, as a container's health check does. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { deadPort } from '../support/http.ts';
import { spawnProgram, startProgram, startProxy, temporaryFolder } from '../support/process.ts';
import { startRawServer } from '../support/raw-websocket.ts';

interface Check {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `healthcheck` with these settings. */
async function check(t: TestContext, listen: string, ...flags: string[]): Promise<Check> {
  const cwd = await temporaryFolder(t);
  const child = spawnProgram(t, { args: ['healthcheck', ...flags], settings: { ADMIN_LISTEN: listen }, cwd });
  const { code } = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

for (const [name, listen] of [
  ['an address', (port: number) => `127.0.0.1:${port}`],
  ['every IPv4 address', (port: number) => `0.0.0.0:${port}`],
  ['a name', (port: number) => `localhost:${port}`],
] as const)
  test(`healthcheck finds the program listening on ${name}, and exits with 0`, async (t) => {
    const address = listen(await freePort(t));
    const proxy = await startProxy(t, await deadPort(), { ADMIN_LISTEN: address });
    await proxy.child.log('status page and metrics listening');
    const { code, stdout } = await check(t, address);
    assert.deepEqual([code, stdout], [0, 'healthy\n']);
  });

test('healthcheck finds the program listening on a unix socket', async (t) => {
  const path = join(await temporaryFolder(t), 'admin.sock');
  const proxy = await startProxy(t, await deadPort(), { ADMIN_LISTEN: `unix:${path}` });
  await proxy.child.log('status page and metrics listening');
  assert.equal((await check(t, `unix:${path}`)).code, 0);
  await proxy.child.stop();
  assert.equal(existsSync(path), false);
});

test('healthcheck --ready exits with 1 while no upstream can be reached, and healthcheck alone with 0', async (t) => {
  const address = `127.0.0.1:${await freePort(t)}`;
  const dead = await startProxy(t, await deadPort(), { ADMIN_LISTEN: address });
  await dead.child.log('status page and metrics listening');
  assert.equal((await check(t, address)).code, 0);
  const { code, stdout } = await check(t, address, '--ready');
  assert.equal(code, 1);
  assert.match(stdout, /: not ready: no upstream takes connections/);
});

test('healthcheck --ready exits with 0 while one of several upstreams can be reached', async (t) => {
  const [address, up] = [`127.0.0.1:${await freePort(t)}`, await startRawServer(t)];
  const cwd = await temporaryFolder(t);
  const room = (name: string, port: number): string =>
    `  - {name: ${name}, path: /${name}, upstream: "http://127.0.0.1:${port}"}\n`;
  writeFileSync(join(cwd, 'config.yaml'), `routes:\n${room('dead', await deadPort())}${room('up', up.port)}`);
  const proxy = await startProgram(t, { cwd, settings: { ADMIN_LISTEN: address } });
  await proxy.child.log('status page and metrics listening');
  const { code, stdout } = await check(t, address, '--ready');
  assert.deepEqual([code, stdout], [0, 'ready\n']);
});

test('healthcheck exits with 1 when nobody answers, and names the address', async (t) => {
  const port = await deadPort();
  const { code, stdout } = await check(t, `127.0.0.1:${port}`);
  assert.equal(code, 1);
  assert.match(stdout, new RegExp(`127\\.0\\.0\\.1:${port}: .*ECONNREFUSED`));
});

test('healthcheck exits with 2 when the admin listener is off, and says so', async (t) => {
  const { code, stderr } = await check(t, 'off');
  assert.equal(code, 2);
  assert.match(stderr, /admin\.listen is off/);
});

test('healthcheck exits with 2 when the port is not known beforehand', async (t) => {
  const { code, stderr } = await check(t, '127.0.0.1:0');
  assert.equal(code, 2);
  assert.match(stderr, /port 0/);
});

test('healthcheck reads the configuration file and the flags as the program does', async (t) => {
  const cwd = await temporaryFolder(t);
  const child = spawnProgram(t, { args: ['healthcheck', '--config', 'nowhere.yaml'], cwd });
  assert.equal((await child.exited).code, 2);
  assert.match(child.stderr, /nowhere\.yaml/);
});
