/** SIGHUP: what a good configuration changes, and that a bad one changes nothing. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cleanup } from '../support/cleanup.ts';
import { openCrowd } from '../support/crowd.ts';
import { OPCODE } from '../support/frames.ts';
import { type Child, startProgram, temporaryFolder } from '../support/process.ts';
import { connectRaw as connectHttp, startRawUpstream, upgradeRequest } from '../support/raw-http.ts';
import { connectRaw, startRawServer } from '../support/raw-websocket.ts';
import { untilAtMost } from '../support/resources.ts';

const RELOADS = 100;
const CONNECTIONS = 200;

interface Reloadable {
  readonly child: Child;
  readonly port: number;
  /** Writes another configuration. */
  write(yaml: string): void;
  /** Writes one and waits until it was read. */
  reload(yaml: string): Promise<void>;
}

async function startReloadable(t: Cleanup, yaml: string): Promise<Reloadable> {
  const folder = await temporaryFolder(t);
  const write = (text: string): void => writeFileSync(join(folder, 'config.yaml'), text);
  write(yaml);
  const { child, port } = await startProgram(t, { cwd: folder, settings: { TIMEOUTS_DRAIN: '100ms' } });
  const reload = async (text: string): Promise<void> => {
    const before = reloads(child);
    write(text);
    child.process.kill('SIGHUP');
    await child.until(() => reloads(child) > before, 'a reload');
  };
  return { child, port, write, reload };
}

function reloads(child: Child): number {
  return child.logs.filter(({ msg }) => msg === 'configuration reloaded').length;
}

const url = (port: number): string => `http://127.0.0.1:${port}`;

test('a reload moves new connections to another upstream and keeps the open ones', async (t) => {
  const [before, after] = [await startRawServer(t), await startRawServer(t)];
  const proxy = await startReloadable(t, `upstream: ${url(before.port)}\n`);
  const old = await connectRaw(t, { port: proxy.port });
  const oldUpstream = await before.next();
  await proxy.reload(`upstream: ${url(after.port)}\n`);
  await connectRaw(t, { port: proxy.port });
  await after.next();
  old.sendFrame({ opcode: OPCODE.text, payload: 'still here' });
  assert.equal((await oldUpstream.nextMessage()).payload.toString(), 'still here');
});

test('a reload gives open connections the keepalive settings of their route', async (t) => {
  const server = await startRawServer(t);
  const yaml = (alpha: string): string =>
    `keepalive: {ping_interval: 1h, front_idle_timeout: off}\nroutes:\n  - name: alpha\n    path: /alpha\n    upstream: ${url(server.port)}\n    keepalive: {ping_interval: ${alpha}}\nupstream: ${url(server.port)}\n`;
  const proxy = await startReloadable(t, yaml('1h'));
  const alpha = await connectRaw(t, { port: proxy.port, path: '/alpha/ws' });
  const other = await connectRaw(t, { port: proxy.port });
  await proxy.reload(yaml('50ms'));
  for (let pings = 0; pings < 3; pings++) assert.equal((await alpha.nextFrame()).opcode, OPCODE.ping);
  assert.deepEqual(other.frames, []);
});

test('a reload changes origins, limits, trusted proxies and timeouts for new connections', async (t) => {
  const upstream = await startRawUpstream(t, undefined, true);
  const proxy = await startReloadable(t, `upstream: ${url(upstream.port)}\n`);
  const first = await connectHttp(t, proxy.port, upgradeRequest({ add: ['X-Forwarded-For: 192.0.2.1'] }));
  assert.match(await (await upstream.peer(0)).head(), /\r\nX-Real-IP: 192\.0\.2\.1\r\n/);
  const common = `upstream: ${url(upstream.port)}\ntrusted_proxies: []\ntimeouts: {handshake: 300ms}\n`;
  await proxy.reload(`${common}limits: {connections: 1}\n`);
  const second = await connectHttp(t, proxy.port, upgradeRequest());
  assert.match(await second.head(), /^HTTP\/1\.1 503 /);
  first.reset();
  await proxy.child.log('upgrade failed', ({ reason }) => reason === 'client_gone');
  const third = await connectHttp(t, proxy.port, upgradeRequest({ add: ['X-Forwarded-For: 192.0.2.1'] }));
  assert.match(await (await upstream.peer(1)).head(), /\r\nX-Real-IP: 127\.0\.0\.1\r\n/);
  assert.match(await third.head(), /^HTTP\/1\.1 504 /);
  await proxy.reload(`${common}allowed_origins: [same-host]\n`);
  const fourth = await connectHttp(t, proxy.port, upgradeRequest({ add: ['Origin: http://evil.example'] }));
  assert.match(await fourth.head(), /^HTTP\/1\.1 403 /);
  await proxy.reload(`${common}limits: {header_bytes: 1KiB}\n`);
  const fifth = await connectHttp(t, proxy.port, upgradeRequest({ add: [`X-Long: ${'x'.repeat(2000)}`] }));
  assert.match(await fifth.head(), /^HTTP\/1\.1 431 /);
});

test('a reload gives new connections the timeouts and limits of their route', async (t) => {
  const upstream = await startRawUpstream(t);
  const yaml = (alpha: string): string =>
    `upstream: ${url(upstream.port)}\nroutes: [{name: alpha, path: /alpha, upstream: "${url(upstream.port)}"${alpha}}]\n`;
  const proxy = await startReloadable(t, yaml(''));
  const alpha = upgradeRequest({ line: 'GET /alpha/ws HTTP/1.1' });
  await connectHttp(t, proxy.port, alpha);
  await upstream.peer(0);
  await proxy.reload(yaml(', limits: {connections: 1}'));
  assert.match(await (await connectHttp(t, proxy.port, alpha)).head(), /^HTTP\/1\.1 503 /);
  // Another route still has as many as it wants, and its 15 s.
  await connectHttp(t, proxy.port, upgradeRequest());
  await upstream.peer(1);
  await proxy.reload(yaml(', timeouts: {handshake: 300ms}'));
  assert.match(await (await connectHttp(t, proxy.port, alpha)).head(), /^HTTP\/1\.1 504 /);
});

test('a reload changes the log level, and names the keys that need a restart', async (t) => {
  const server = await startRawServer(t);
  const yaml = `upstream: ${url(server.port)}\n`;
  const proxy = await startReloadable(t, yaml);
  await proxy.reload(`${yaml}log: {level: debug, query: keep}\nadmin: {hosts: [neko]}\n`);
  const warning = await proxy.child.log('changed keys that need a restart are left as they were');
  assert.deepEqual([warning['level'], warning['keys']], ['warn', ['admin.hosts', 'log.query']]);
  const client = await connectHttp(t, proxy.port, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
  assert.match(await client.end(), /^HTTP\/1\.1 400 /);
  const line = await proxy.child.log('request refused');
  assert.equal(line['level'], 'debug');
});

test('a bad configuration changes nothing, and every mistake is logged with its place', async (t) => {
  const server = await startRawServer(t);
  const yaml = `upstream: ${url(server.port)}\n`;
  const proxy = await startReloadable(t, yaml);
  const client = await connectRaw(t, { port: proxy.port });
  proxy.write(`${yaml}keepalive:\n  ping_intervall: 5s\ntimeouts:\n  connect: 5\nlimits: {connections: 1}\n`);
  proxy.child.process.kill('SIGHUP');
  const line = await proxy.child.log('configuration not reloaded, the old one stays in force');
  assert.equal(line['level'], 'error');
  const [first = '', second = '', ...more] = line['problems'] as string[];
  assert.match(first, /^config\.yaml:3:3: keepalive\.ping_intervall: unknown key; did you mean ping_interval/);
  assert.match(second, /^config\.yaml:5:12: timeouts\.connect: /);
  assert.deepEqual(more, []);
  await connectRaw(t, { port: proxy.port });
  assert.equal(client.ended, null);
});

test('certificates that cannot be read are a bad configuration too', async (t) => {
  const server = await startRawServer(t);
  const yaml = `upstream: ${url(server.port)}\n`;
  const proxy = await startReloadable(t, yaml);
  proxy.write(`${yaml}upstream_tls: {ca: missing.pem}\n`);
  proxy.child.process.kill('SIGHUP');
  const line = await proxy.child.log('configuration not reloaded, the old one stays in force');
  assert.match(
    String(line['problems']),
    /^config\.yaml:2:20: upstream_tls\.ca: cannot read missing\.pem: no such file/,
  );
  await connectRaw(t, { port: proxy.port });
});

test('a hundred reloads with two hundred connections open lose none, and leave nothing behind', async (t) => {
  const server = await startRawServer(t);
  const yaml = (interval: number): string =>
    `upstream: ${url(server.port)}\nkeepalive: {ping_interval: ${interval}s}\ntimeouts: {connect: ${interval}s}\n`;
  const proxy = await startReloadable(t, yaml(10));
  const { clients, upstreams } = await openCrowd(t, CONNECTIONS, { port: proxy.port }, server);
  const descriptors = (): number => readdirSync(`/proc/${proxy.child.pid}/fd`).length;
  const before = descriptors();
  for (let count = 0; count < RELOADS; count++) await proxy.reload(yaml(10 + (count % 2)));
  await untilAtMost(descriptors, before, 'descriptors');
  assert.equal(clients.filter((peer) => peer.ended !== null).length, 0);
  for (const [index, client] of clients.entries()) client.sendFrame({ opcode: OPCODE.text, payload: String(index) });
  const heard = await Promise.all(
    upstreams.map((peer) => peer.nextMessage().then(({ payload }) => payload.toString())),
  );
  assert.equal(new Set(heard).size, CONNECTIONS);
});
