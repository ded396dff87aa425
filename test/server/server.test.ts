/** The public listeners, without anything behind them. */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Address } from '../../src/core/settings.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { Listeners, type ListenersOptions } from '../../src/server/listeners.ts';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { keepFirstValue } from '../support/first-value.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { startChild, temporaryFolder } from '../support/process.ts';
import { connectRaw, upgradeRequest } from '../support/raw-http.ts';
import { Watch } from '../support/watch.ts';

const ANY: Address = { kind: 'tcp', host: '127.0.0.1', port: 0 };
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function start(t: Cleanup, options: Partial<ListenersOptions> = {}, addresses: readonly Address[] = [ANY]) {
  const { log, sink } = createSinkLogger();
  const refused: (readonly [number, string])[] = [];
  const reasons: string[] = [];
  const sockets: Socket[] = [];
  const watch = new Watch();
  const listeners = new Listeners({
    headerBytes: 16_384,
    headTimeoutMs: 15_000,
    maxClients: Infinity,
    clock: systemClock,
    log,
    onRequest: (_req, res) => res.end('served'),
    onUpgrade: (_req, socket) => {
      sockets.push(socket as Socket);
      socket.on('error', () => undefined);
      socket.end('upgraded');
    },
    onRefused: ({ status, code, reason }) => {
      refused.push([status, code]);
      reasons.push(reason);
      watch.changed();
    },
    ...options,
  });
  atEnd(t, async () => {
    for (const socket of sockets) socket.destroy();
    listeners.cut();
    await listeners.close();
  });
  const bound = await listeners.listen(addresses);
  const [first] = bound;
  return { listeners, bound, port: first?.kind === 'tcp' ? first.port : 0, sink, refused, reasons, watch };
}

test('it listens on every address, and tells the ports that the system chose', async (t) => {
  const path = join(await temporaryFolder(t), 'sock');
  const { bound } = await start(t, {}, [ANY, { kind: 'unix', path }, ANY]);
  assert.deepEqual(
    bound.map(({ kind }) => kind),
    ['tcp', 'unix', 'tcp'],
  );
  for (const address of bound) if (address.kind === 'tcp') assert.ok(address.port > 0);
  // The proxy in front runs as another user.
  assert.equal(statSync(path).mode & 0o777, 0o666);
});

test('a socket file that a crash has left behind is replaced', async (t) => {
  const path = join(await temporaryFolder(t), 'sock');
  const script = "require('net').createServer().listen(process.argv[1], () => console.log('up'))";
  const crashing = startChild(t, process.execPath, ['-e', script, path]);
  await crashing.until(() => crashing.stdout.includes('up'), 'its start');
  await crashing.stop('SIGKILL');
  assert.ok(existsSync(path));
  await start(t, {}, [{ kind: 'unix', path }]);
});

test('a socket file that is in use is an error', async (t) => {
  const path = join(await temporaryFolder(t), 'sock');
  await start(t, {}, [{ kind: 'unix', path }]);
  await assert.rejects(start(t, {}, [{ kind: 'unix', path }]), { code: 'EADDRINUSE' });
});

test('a port that is taken is an error', async (t) => {
  const { bound } = await start(t);
  await assert.rejects(start(t, {}, bound), { code: 'EADDRINUSE' });
});

test('requests are served, and what offers a WebSocket is told apart from other upgrades', async (t) => {
  const { port } = await start(t);
  const plain = await connectRaw(t, port, GET);
  await plain.until('served');
  const h2c = await connectRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  await h2c.until('served');
  const websocket = await connectRaw(t, port, upgradeRequest());
  await websocket.until('upgraded');
});

for (const [what, begin, reason] of [
  ['TLS', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 'bytes of TLS, .* use http:'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'HTTP/2, .* speaks HTTP/1'],
  ['a PROXY head', 'PROXY TCP4 10.0.0.9 10.0.0.1 5000 80\r\nGET / HTTP/1.1\r\n\r\n', 'proxy_protocol to on'],
  ['a binary PROXY head', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 'proxy_protocol to on'],
  ['bytes beyond ASCII', 'GET /\xc3\xa9 HTTP/1.1\r\n\r\n', 'not ASCII'],
] as const) {
  test(`${what} is called by its name`, async (t) => {
    const { port, reasons } = await start(t);
    const client = await connectRaw(t, port, begin);
    assert.match(await client.end(), /^HTTP\/1\.1 400 /);
    assert.match(reasons.join(), new RegExp(reason));
  });
}

test('a client that leaves in the middle of a body has asked nothing that is refused', async (t) => {
  const over = new Watch();
  let isOver = false;
  const onRequest = (_req: unknown, res: ServerResponse): void => {
    res.on('close', () => {
      isOver = true;
      over.changed();
    });
  };
  const { port, refused } = await start(t, { onRequest });
  const client = await connectRaw(t, port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf');
  client.socket.end();
  await over.until(() => isOver, 'its end');
  assert.equal(await client.end(), '');
  assert.deepEqual(refused, []);
});

test('one that leaves behind the answer to half a body is no other', async (t) => {
  const { port, refused } = await start(t);
  const client = await connectRaw(t, port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf');
  await client.until('served');
  client.socket.end();
  assert.match(await client.end(), /served$/);
  assert.deepEqual(refused, []);
});

test('one that leaves in the middle of a head is answered, and reported', async (t) => {
  const { port, refused } = await start(t);
  const client = await connectRaw(t, port, 'GET / HTTP/1.1\r\nHo');
  client.socket.end();
  assert.match(await client.end(), /^HTTP\/1\.1 400 /);
  assert.deepEqual(refused, [[400, 'HPE_INVALID_EOF_STATE']]);
});

for (const [what, text, status, code] of [
  ['no HTTP', 'hello\r\n\r\n', 400, 'HPE_INVALID_METHOD'],
  ['a bare line feed', 'GET / HTTP/1.1\nHost: a\n\n', 400, 'HPE_CR_EXPECTED'],
  ['too long a head', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'HPE_HEADER_OVERFLOW'],
] as const) {
  test(`${what} is answered with ${status}, and reported`, async (t) => {
    const { port, refused } = await start(t);
    const client = await connectRaw(t, port, text);
    assert.match(await client.head(), new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nConnection: close\r\n`));
    client.reset();
    assert.equal(refused[0]?.[0], status);
    if (code !== 'HPE_CR_EXPECTED') assert.equal(refused[0]?.[1], code);
  });
}

test('a client that sends no whole head in time is sent away with 408', async (t) => {
  const { port, refused } = await start(t, { headTimeoutMs: 100 });
  const silent = await connectRaw(t, port);
  const slow = await connectRaw(t, port, 'GET / HTTP/1.1\r\n');
  for (const client of [silent, slow]) {
    assert.match(await client.head(), /^HTTP\/1\.1 408 /);
    client.reset();
  }
  assert.deepEqual(refused, [
    [408, 'ERR_HTTP_REQUEST_TIMEOUT'],
    [408, 'ERR_HTTP_REQUEST_TIMEOUT'],
  ]);
});

test('rubbish behind a request whose answer has begun ends the connection without another answer', async (t) => {
  const responses: ServerResponse[] = [];
  const { port, refused } = await start(t, {
    onRequest: (_req, res) => {
      responses.push(res);
      res.write('begun');
    },
  });
  const client = await connectRaw(t, port, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  await client.until('begun');
  client.send('no length\r\n');
  const text = await client.end();
  assert.equal(text.split('HTTP/1.1').length, 2);
  assert.deepEqual(refused, []);
});

test('new limits hold for connections from then on', async (t) => {
  const { listeners, port } = await start(t);
  const long = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(5000)}\r\n\r\n`;
  await (await connectRaw(t, port, long)).until('served');
  listeners.apply({ headerBytes: 2048, headTimeoutMs: 100 });
  const client = await connectRaw(t, port, long);
  assert.match(await client.head(), /^HTTP\/1\.1 431 /);
  client.reset();
  const slow = await connectRaw(t, port);
  assert.match(await slow.head(), /^HTTP\/1\.1 408 /);
  slow.reset();
});

test('a Node that looks at maxHeaderSize at its start only keeps the limit until a restart', async (t) => {
  keepFirstValue(t, Server.prototype, 'maxHeaderSize');
  const { listeners, port } = await start(t);
  listeners.apply({ headerBytes: 2048, headTimeoutMs: 15_000 });
  const client = await connectRaw(t, port, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(5000)}\r\n\r\n`);
  await client.until('served');
  const longer = await connectRaw(t, port, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
  assert.match(await longer.head(), /^HTTP\/1\.1 431 /);
  longer.reset();
});

test('clients beyond the number that the descriptors allow are dropped, which is logged', async (t) => {
  const { port, sink } = await start(t, { maxClients: 1 });
  const first = await connectRaw(t, port, GET);
  await first.until('served');
  const second = await connectRaw(t, port);
  await second.end();
  first.send(GET);
  await first.until('servedHTTP/1.1 200 OK');
  const [line] = sink.lines('too many clients, connections dropped');
  assert.deepEqual([line?.['level'], line?.['times']], ['warn', 1]);
});

test('a stop ends idle connections at once, and waits for the others', async (t) => {
  const responses: ServerResponse[] = [];
  const asked = new Watch();
  const { listeners, port } = await start(t, {
    onRequest: (_req, res) => {
      responses.push(res);
      asked.changed();
    },
  });
  const running = await connectRaw(t, port, GET);
  await asked.until(() => responses.length === 1, 'a request');
  let isClosed = false;
  const closed = listeners.close().then(() => (isClosed = true));
  responses[0]?.end('whole');
  assert.equal(isClosed, false);
  assert.match(await running.end(), /whole/);
  running.socket.end();
  await closed;
});
