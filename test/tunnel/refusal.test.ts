import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { endClient } from '../../src/tunnel/refusal.ts';
import { connectRaw, type RawHttpPeer, startRawUpstream, upgradeRequest } from '../support/raw-http.ts';
import { type Harness, startHarness } from '../support/upgrade-harness.ts';

interface Exchange {
  readonly proxy: Harness;
  readonly client: RawHttpPeer;
  readonly server: RawHttpPeer;
}

/** A client whose request has arrived at the upstream. */
async function exchange(t: TestContext, stall = 60_000): Promise<Exchange> {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target, timeouts: { stall } });
  const client = await connectRaw(t, proxy.port, `${upgradeRequest()}early`);
  const server = await upstream.peer();
  await server.head();
  return { proxy, client, server };
}

const CHUNKED = '4;x=y\r\nwiki\r\n0\r\nTrailer: 1\r\n\r\n';

for (const [what, answer, delivered] of [
  [
    'counted',
    'HTTP/1.1 401 Who Are You\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nsorry',
    'HTTP/1.1 401 Who Are You\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nConnection: close\r\n\r\nsorry',
  ],
  [
    'chunked',
    `HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKED}`,
    `HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${CHUNKED}`,
  ],
  [
    'empty',
    'HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 404 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  ],
  [
    'missing, by its status,',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n',
  ],
  [
    'missing, by its status, with a length,',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nConnection: close\r\n\r\n',
  ],
  [
    'behind hop-by-hop fields',
    'HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok',
  ],
  [
    'behind an interim answer',
    'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 2\r\n\r\nno',
    'HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno',
  ],
] as const) {
  test(`a refusal whose body is ${what} reaches the client whole though the upstream stays open`, async (t) => {
    const { proxy, client, server } = await exchange(t);
    server.send(`${answer}HTTP/1.1 200 Next\r\n\r\n`);
    assert.equal(await client.end(), delivered);
    await server.end();
    assert.ok(!server.text.includes('early'));
    const [failure, ...others] = proxy.failures;
    const status = Number(delivered.slice(9, 12));
    assert.deepEqual([failure?.reason, failure?.status, others.length], ['upstream_refused', status, 0]);
    assert.deepEqual(proxy.tunnels, []);
  });
}

test('a refusal without a length ends with its connection', async (t) => {
  const { client, server } = await exchange(t);
  server.send('HTTP/1.0 500 Oops\r\nServer: x\r\n\r\nabc');
  await client.until('abc');
  assert.equal(client.ended, null);
  server.socket.end('def');
  assert.equal(await client.end(), 'HTTP/1.1 500 Oops\r\nServer: x\r\nConnection: close\r\n\r\nabcdef');
});

test('a refusal comes through as it comes in', async (t) => {
  const { client, server } = await exchange(t);
  server.send('HTTP/1.1 401 No\r\nContent-Length: 6\r\n\r\n');
  await client.head();
  server.send('abc');
  await client.until('abc');
  server.send('def');
  await client.end();
  assert.ok(client.text.endsWith('\r\n\r\nabcdef'));
});

test('a large refusal waits for a client that does not read, and then arrives whole', async (t) => {
  const upstream = await startRawUpstream(t);
  const accepted: Socket[] = [];
  const onUpgrade = (socket: Duplex): unknown => accepted.push(socket as Socket);
  const proxy = await startHarness(t, { upstream: upstream.target, onUpgrade });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  client.socket.pause();
  const server = await upstream.peer();
  await server.head();
  const body = Buffer.alloc(2 ** 24, 'large body ').toString('latin1');
  server.send(`HTTP/1.1 401 No\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  // Each turn reads another chunk, unless the proxy has stopped reading.
  for (let turn = 0; turn < 200; turn += 1) await nextTurn();
  const queued = accepted[0]?.writableLength ?? 0;
  assert.ok(queued > 0 && queued < 256 * 1024, `${queued} bytes queued`);
  client.socket.resume();
  const text = await client.end();
  assert.ok(text.slice(text.indexOf('\r\n\r\n') + 4) === body);
});

for (const [what, head, end] of [
  ['counted body', 'Content-Length: 9', (peer: RawHttpPeer) => peer.socket.end()],
  ['chunked body', 'Transfer-Encoding: chunked', (peer: RawHttpPeer) => peer.reset()],
] as const) {
  test(`a ${what} that breaks off ends the client's answer early`, async (t) => {
    const { client, server } = await exchange(t);
    server.send(`HTTP/1.1 401 No\r\n${head}\r\n\r\n4\r\nwi`);
    await client.until('wi');
    end(server);
    assert.ok((await client.end()).endsWith('\r\n\r\n4\r\nwi'));
  });
}

test('a broken chunk ends both connections, and nothing of it is passed on', async (t) => {
  const { client, server } = await exchange(t);
  server.send('HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n');
  await client.head();
  server.send('zz\r\nHTTP/1.1 200 OK\r\n\r\n');
  assert.ok((await client.end()).endsWith('Connection: close\r\n\r\n'));
  await server.end();
});

for (const [how, leave] of [
  ['resets', (peer: RawHttpPeer) => peer.reset()],
  ['ends', (peer: RawHttpPeer) => peer.socket.end()],
] as const) {
  test(`a client that ${how} while its refusal comes releases the upstream`, async (t) => {
    const { proxy, client, server } = await exchange(t);
    server.send('HTTP/1.1 401 No\r\n\r\nabc');
    await client.until('abc');
    leave(client);
    await server.end();
    assert.deepEqual(
      proxy.failures.map(({ reason }) => reason),
      ['upstream_refused'],
    );
  });
}

test('a client that leaves is noticed behind a flood of early bytes, too', async (t) => {
  const { client, server } = await exchange(t);
  client.send('early '.repeat(1_000_000));
  server.send('HTTP/1.1 401 No\r\n\r\nabc');
  await client.until('abc');
  client.reset();
  await server.end();
});

test('an upstream that stalls inside its refusal is given up', async (t) => {
  const { client, server } = await exchange(t, 50);
  server.send('HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\nabc');
  await client.end();
  await server.end();
  assert.ok(client.text.endsWith('abc'));
});

/** A connection whose accepting end the test ends with `endClient`. */
async function connectedPair(t: TestContext): Promise<{ near: Socket; far: RawHttpPeer }> {
  const accepting = await startRawUpstream(t);
  const far = await connectRaw(t, accepting.port);
  return { near: (await accepting.peer()).socket, far };
}

test('a client that does not end its own side is dropped after a while', async (t) => {
  const { near, far } = await connectedPair(t);
  near.write('bye');
  endClient(near, 60_000, 20);
  assert.equal(await far.end(), 'bye');
  await once(near, 'close');
});

test('a client that does not take its answer is dropped', async (t) => {
  const { near, far } = await connectedPair(t);
  far.socket.pause();
  near.write(Buffer.alloc(2 ** 24));
  endClient(near, 20, 60_000);
  await once(near, 'close');
  assert.equal(near.writableFinished, false);
});

test('what a client still sends does not cost it its answer', async (t) => {
  const { near, far } = await connectedPair(t);
  near.pause();
  far.send('late '.repeat(100_000));
  near.write('bye');
  endClient(near, 60_000, 60_000);
  assert.equal(await far.end(), 'bye');
  assert.equal(far.ended, 'fin');
  far.socket.end();
  await once(near, 'close');
});
