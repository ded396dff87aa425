/** Requests that get nowhere. The limits here are a fraction of a second of wall-clock time; nothing is measured. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { NO_HEALTH } from '../../src/core/failover.ts';
import { front, rawClient, rawServer, tcpTarget } from '../support/http.ts';
import { routeTo } from '../support/routes.ts';
import { Watch } from '../support/watch.ts';

const MIB = 1024 * 1024;
const UPLOAD = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MIB}\r\n\r\n`;
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** Sends until nothing is taken any more. */
async function fill(socket: Socket): Promise<void> {
  for (let sent = 0; sent < 60; sent++) {
    if (!socket.write(Buffer.alloc(MIB)) && !(await takenSoon(socket))) return;
  }
}

/** Whether the socket drains while everything else has had its turn a thousand times. */
async function takenSoon(socket: Socket): Promise<boolean> {
  for (let turn = 0; turn < 1000 && socket.writableNeedDrain; turn++) await new Promise(setImmediate);
  return !socket.writableNeedDrain;
}

test('an upstream that takes none of an upload is let go, and the client gets 504', async (t) => {
  const upstream = await rawServer(t);
  const { port, requests, over } = await front(t, tcpTarget(upstream.port), { stall: 300 });
  const client = rawClient(t, port, UPLOAD);
  const server = await upstream.next();
  server.socket.pause();
  await fill(client.socket);
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 504 /);
  await over(1);
  assert.deepEqual(requests, [['alpha', 504]]);
  server.socket.resume();
  await server.untilEnd();
});

test('a client that takes none of its answer is let go, and so is the upstream', async (t) => {
  const upstream = await rawServer(t);
  const { port, over } = await front(t, tcpTarget(upstream.port), { stall: 300 });
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  await server.until('\r\n\r\n');
  client.socket.pause();
  server.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
  await fill(server.socket);
  await over(1);
  await server.untilEnd();
});

test('who reads slowly but reads is served to the end, and a quiet event stream stays', async (t) => {
  const upstream = await rawServer(t);
  const { port, requests } = await front(t, tcpTarget(upstream.port), { stall: 200 });
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  await server.until('\r\n\r\n');
  server.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
  await client.until('data: 1');
  // Nothing waits for anybody meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 600));
  server.write('data: 2\n\n');
  await client.until('data: 2');
  assert.deepEqual(requests, []);
});

test('a client that resets its connection during an upload that nobody takes is noticed', async (t) => {
  const upstream = await rawServer(t);
  const { port, requests, over } = await front(t, tcpTarget(upstream.port), { stall: 60_000 });
  const client = rawClient(t, port, UPLOAD);
  const server = await upstream.next();
  server.socket.pause();
  await fill(client.socket);
  client.socket.resetAndDestroy();
  await over(1);
  assert.deepEqual(requests, [['alpha', 499]]);
  server.socket.resume();
  await server.untilEnd();
});

test('where the kernel cannot be asked for the peer, such a request ends with the stall', async (t) => {
  const upstream = await rawServer(t);
  const { port, over } = await front(t, tcpTarget(upstream.port), { stall: 300 });
  const client = rawClient(t, port, UPLOAD);
  const server = await upstream.next();
  server.socket.pause();
  const handles = Object.getPrototypeOf(Reflect.get(client.socket, '_handle')) as { getpeername: unknown };
  const { getpeername } = handles;
  t.after(() => Object.assign(handles, { getpeername }));
  handles.getpeername = undefined;
  await fill(client.socket);
  client.socket.resetAndDestroy();
  await over(1);
  server.socket.resume();
  await server.untilEnd();
});

test('an answer that is complete before the upload ends the upload upstream, and the connection goes on', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * MIB}\r\n\r\nbegin`);
  const server = await upstream.next();
  await server.until('begin');
  server.socket.pause();
  server.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
  await client.until('\r\n\r\nno');
  client.take();
  client.write('x'.repeat(4 * MIB - 'begin'.length) + GET);
  const second = await upstream.next();
  await second.until('\r\n\r\n');
  second.write('HTTP/1.1 204 No Content\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 204 /);
});

test('an answer that streams while the upload goes on is full duplex', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  const server = await upstream.next();
  await server.until('\r\n\r\n');
  server.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
  for (const word of ['one', 'two', 'six']) {
    client.write(`3\r\n${word}\r\n`);
    await server.until(word);
    server.write(`3\r\n${word.toUpperCase()}\r\n`);
    await client.until(word.toUpperCase());
  }
});

test('a request is over when both its response and its upstream request are closed', async (t) => {
  const { ReloadableForwarder } = await import('../../src/forward/reloadable-forwarder.ts');
  const { listen, memoryLog, plainServer } = await import('../support/http.ts');
  const upstream = await rawServer(t);
  const watch = new Watch();
  let over = 0;
  const route = routeTo(tcpTarget(upstream.port));
  const forwarder = new ReloadableForwarder({
    trusted: () => false,
    routes: [],
    upstreamTls: { ca: 'system', verify: true },
    health: NO_HEALTH,
    observer: { httpRequest() {} },
    log: memoryLog(),
  });
  t.after(() => forwarder.close());
  const server = plainServer((req, res) =>
    forwarder.handle(req, res, route, '/', () => {
      over++;
      watch.changed();
    }),
  );
  const port = await listen(t, server);
  const client = rawClient(t, port, GET);
  const peer = await upstream.next();
  await peer.until('\r\n\r\n');
  assert.equal(over, 0);
  peer.write('HTTP/1.1 204 No Content\r\n\r\n');
  await watch.until(() => over === 1, 'its end');
  client.take();
  client.write(GET);
  await once(peer.socket, 'data');
  client.socket.destroy();
  await watch.until(() => over === 2, 'its end');
});
