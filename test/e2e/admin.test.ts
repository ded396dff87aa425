/** The admin listener of the built program. The command that asks it is tested in test/long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMetrics, readStatus, adminGet } from '../support/admin.ts';
import { deadPort } from '../support/http.ts';
import { type Program, spawnProgram, startProxy, temporaryFolder } from '../support/process.ts';
import { connectRaw, startRawServer } from '../support/raw-websocket.ts';

async function ready(proxy: Program): Promise<[number, string]> {
  const answer = await adminGet(proxy, '/readyz');
  return [answer.status, (await answer.text()).trim()];
}

test('a taken admin address ends the program with 1 and names the key', async (t) => {
  const first = await startProxy(t, await deadPort());
  const line = await first.child.log('status page and metrics listening');
  const args = ['--upstream', 'http://127.0.0.1:1', '--listen', '127.0.0.1:0'];
  const settings = { ADMIN_LISTEN: String(line['address']) };
  const second = spawnProgram(t, { args, settings, cwd: await temporaryFolder(t) });
  assert.equal((await second.exited).code, 1);
  assert.match(second.stderr, /^admin\.listen: .*EADDRINUSE.*choose another address, or off/);
});

test('with admin.listen off there is no listener, and the proxy works', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { ADMIN_LISTEN: 'off' });
  const client = await connectRaw(t, { port: proxy.port });
  client.end();
  await proxy.child.log('websocket closed');
  assert.ok(!proxy.child.stdout.includes('status page'));
});

test('it is ready while an upstream takes connections, and not when none does', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port);
  assert.deepEqual(await ready(proxy), [200, 'ready']);
  const without = await startProxy(t, await deadPort());
  const [status, detail] = await ready(without);
  assert.equal(status, 503);
  assert.match(detail, /no upstream takes connections/);
});

test('an upstream that let a WebSocket in counts as reached', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port);
  await connectRaw(t, { port: proxy.port });
  await server.next();
  assert.deepEqual(await ready(proxy), [200, 'ready']);
});

test('while it stops it is alive and not ready, and what is left can be seen', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { TIMEOUTS_DRAIN: '60s' });
  const client = await connectRaw(t, { port: proxy.port });
  const upstream = await server.next();
  // Its end waits for that of the frame.
  upstream.send(upstream.frame({ opcode: 1, payload: 'never whole' }).subarray(0, 5));
  await client.until(() => client.bytes.length === 5, 'a part of a frame');
  assert.equal((await ready(proxy))[0], 200);
  proxy.child.process.kill('SIGTERM');
  await proxy.child.log('stopping');
  assert.deepEqual(await ready(proxy), [503, 'stopping']);
  assert.equal((await adminGet(proxy, '/healthz')).status, 200);
  const { draining, connections } = await readStatus(proxy);
  assert.deepEqual([draining, connections.length, connections[0]?.['state']], [true, 1, 'closing']);
  client.socket.destroy();
  assert.equal((await proxy.child.exited).code, 0);
});

test('an open connection shows its state, its Pings and what it moved', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { KEEPALIVE_PING_INTERVAL: '100ms' });
  const client = await connectRaw(t, { port: proxy.port });
  client.sendFrame({ opcode: 1, payload: 'hello' });
  await (await server.next()).nextMessage();
  await client.until(() => client.frames.length >= 2, 'two Pings');
  const { connections, program } = await readStatus(proxy);
  assert.match(program, /^\d+\.\d+\.\d+/);
  const [row] = connections;
  assert.ok(row);
  assert.deepEqual([row['client'], row['front'], row['route']], ['127.0.0.1', '127.0.0.1', 'default']);
  assert.equal(row['path'], '/ws?password=[redacted]&username=[redacted]');
  assert.equal(row['bytes_up'], 11);
  assert.ok(Number(row['pings']) >= 2 && Number(row['pongs']) >= 1 && Number(row['rtt_ms']) >= 0);
  assert.equal(row['ping_interval_ms'], 100);
});

test('a client that owes a Pong is shown as waiting, one that takes nothing as blocked', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { KEEPALIVE_PING_INTERVAL: '100ms' });
  const client = await connectRaw(t, { port: proxy.port, autoPong: false });
  await client.until(() => client.frames.length >= 1, 'a Ping');
  assert.equal((await readStatus(proxy)).connections[0]?.['state'], 'waiting');
  client.stopReading();
  const upstream = await server.next();
  const chunk = Buffer.alloc(1_000_000);
  for (let sent = 0; sent < 16; sent += 1) upstream.sendFrame({ opcode: 2, payload: chunk });
  for (;;) if ((await readStatus(proxy)).connections[0]?.['state'] === 'blocked') break;
});

test('the metrics of the program are those of its routes', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { KEEPALIVE_PING_INTERVAL: '7s' });
  const { value } = await readMetrics(proxy);
  assert.equal(value('ws_keepalive_ping_interval_seconds', { route: 'default' }), 7);
  assert.equal(value('ws_keepalive_connections_open', { route: 'default' }), 0);
});
