/** The program as an operator meets it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startRoom } from '../../src/demo/room.ts';
import { atEnd } from '../support/cleanup.ts';
import { connectIdle } from '../support/idle-client.ts';
import {
  type Child,
  type ProgramOptions,
  spawnProgram,
  startProgram,
  startProxy,
  temporaryFolder,
} from '../support/process.ts';
import { connectRaw, startRawServer } from '../support/raw-websocket.ts';

async function runProgram(t: TestContext, options: ProgramOptions): Promise<Child & { code: number | null }> {
  const child = spawnProgram(t, { cwd: await temporaryFolder(t), ...options });
  const { code } = await child.exited;
  return Object.assign(child, { code });
}

async function configFile(t: TestContext, text: string): Promise<string> {
  const file = join(await temporaryFolder(t), 'config.yaml');
  await writeFile(file, text);
  return file;
}

test('--help explains the flags and exits with 0', async (t) => {
  const { code, stdout, stderr } = await runProgram(t, { args: ['--help'] });
  assert.equal(code, 0);
  assert.match(stdout, /ws-keepalive-proxy.*--upstream.*--listen.*--demo/s);
  assert.equal(stderr, '');
});

test('--version prints the version and exits with 0', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const { code, stdout } = await runProgram(t, { args: ['--version'] });
  assert.deepEqual([code, stdout.includes(version)], [0, true]);
});

test('the start is one line that says the limits in force', async (t) => {
  const { child } = await startProgram(t, {
    args: ['--upstream', 'http://127.0.0.1:1'],
    settings: { LIMITS_CONNECTIONS_PER_IP: '7' },
  });
  const { limits } = (await child.log('started')) as { limits?: Record<string, unknown> };
  const keys = 'connections connections_per_ip handshakes requests requests_per_ip descriptors memory_mib';
  assert.deepEqual(Object.keys(limits ?? {}), keys.split(' '));
  assert.equal(limits?.['connections_per_ip'], 7);
});

test('an unknown flag exits with 2 and names the one that was meant', async (t) => {
  const { code, stderr } = await runProgram(t, { args: ['--upsteam', 'http://127.0.0.1:1'] });
  assert.equal(code, 2);
  assert.match(stderr, /--upsteam.*--upstream/);
});

test('without an upstream it exits with 2 and says how to name one', async (t) => {
  const { code, stderr } = await runProgram(t, {});
  assert.equal(code, 2);
  assert.match(stderr, /upstream/);
});

test('check prints the effective configuration, which check accepts', async (t) => {
  const file = await configFile(t, 'upstream: http://neko:8080\nkeepalive: { ping_interval: 5s }\n');
  const first = await runProgram(t, { args: ['check', '--config', file], settings: { TIMEOUTS_CONNECT: '7s' } });
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /ping_interval: 5s/);
  assert.match(first.stdout, /connect: 7s/);
  assert.match(first.stdout, /\n {2}connections: auto # \d+ here, with \d+ descriptors and \d+ MiB of memory\n/);
  assert.equal(first.stderr, 'ok\n');
  const second = await runProgram(t, { args: ['check', '--config', await configFile(t, first.stdout)] });
  assert.equal(second.stdout, first.stdout);
});

test('check names every mistake with its place and exits with 2', async (t) => {
  const file = await configFile(
    t,
    'upstream: http://neko:8080\nkeepalive:\n  ping_intervall: 5s\n  pong_timeout: 30\nlisten: nowhere\n',
  );
  const { code, stdout, stderr } = await runProgram(t, { args: ['check', '--config', file] });
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /config\.yaml:3:3: .*ping_intervall.*ping_interval\b/);
  assert.match(stderr, /config\.yaml:4:17: .*pong_timeout/);
  assert.match(stderr, /config\.yaml:5:9: .*listen/);
});

test('a mistake in the environment names the variable and exits with 2', async (t) => {
  const { code, stderr } = await runProgram(t, {
    args: ['--upstream', 'http://127.0.0.1:1'],
    settings: { KEEPALIVE_PING_INTERVAL: '200' },
  });
  assert.equal(code, 2);
  assert.match(stderr, /WSKP_KEEPALIVE_PING_INTERVAL/);
});

test('a taken port exits with 1 and names the address', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  atEnd(t, () => holder.close());
  await once(holder, 'listening');
  const address = `127.0.0.1:${(holder.address() as AddressInfo).port}`;
  const { code, stdout, stderr } = await runProgram(t, {
    args: ['--upstream', 'http://127.0.0.1:1', '--listen', address],
  });
  assert.equal(code, 1);
  assert.ok((stdout + stderr).includes(address), stdout + stderr);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  test(`${signal} ends both sides without a Close, and ends the program with 0`, async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port);
    const client = await connectRaw(t, { port: proxy.port });
    const upstream = await server.next();
    const stopped = proxy.child.stop(signal);
    assert.deepEqual(await Promise.all([client.untilEnded(), upstream.untilEnded()]), ['fin', 'fin']);
    assert.deepEqual([client.bytes.length, upstream.bytes.length], [0, 0]);
    assert.deepEqual(await stopped, { code: 0, signal: null });
  });

test('passwords in URLs and headers appear nowhere in the output', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { LOG_LEVEL: 'trace' });
  const client = await connectRaw(t, {
    port: proxy.port,
    path: '/ws?password=hunter2&username=ann&token=hunter2',
    headers: ['Cookie: session=hunter2', 'Authorization: Bearer hunter2', 'Sec-WebSocket-Protocol: hunter2'],
  });
  const upstream = await server.next();
  assert.match(upstream.head, /password=hunter2/);
  assert.match(upstream.head, /Bearer hunter2/);
  client.end();
  await proxy.child.log('websocket closed');
  await proxy.child.stop();
  assert.ok(!(proxy.child.stdout + proxy.child.stderr).includes('hunter2'));
});

test('a connection gives one line when it opens and one when it closes', async (t) => {
  const room = await startRoom({ port: 0, host: '127.0.0.1' });
  atEnd(t, () => room.close());
  const proxy = await startProxy(t, room.port);
  const client = await connectIdle(t, proxy.port, 'ann');
  client.say('hello');
  await client.hears('hello');
  client.socket.close(4001, 'done');
  const closed = await proxy.child.log('websocket closed');
  await proxy.child.stop();
  const lines = proxy.child.logs.filter((line) => String(line['msg']).startsWith('websocket '));
  assert.deepEqual(
    lines.map((line) => line['msg']),
    ['websocket opened', 'websocket closed'],
  );
  assert.equal(lines[0]?.['id'], closed['id']);
  assert.deepEqual(
    [closed['initiator'], closed['cause'], closed['code'], closed['reason'], closed['client']],
    ['client', 'close_frame', 4001, 'done', '127.0.0.1'],
  );
});

test('--demo serves a page and a room through the proxy', async (t) => {
  const { port } = await startProgram(t, { args: ['--demo'] });
  const page = await fetch(`http://127.0.0.1:${port}/`);
  assert.match(await page.text(), /<title>[^<]*one room, two ways/);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/health`)).text(), 'true');
  const ann = await connectIdle(t, port, 'ann');
  const bob = await connectIdle(t, port, 'bob');
  ann.say('hello bob');
  await bob.hears('hello bob');
});
