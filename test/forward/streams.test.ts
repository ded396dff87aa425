import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { front, listen, plainServer, rawClient, rawServer, tcpTarget } from '../support/http.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const UPLOAD = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin';

async function setUp(t: TestContext, request: string) {
  const upstream = await rawServer(t);
  const ahead = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, ahead.port, request);
  const server = await upstream.next();
  await server.until('\r\n\r\n');
  return { ...ahead, upstream, client, server };
}

test('an event stream has its head while it is quiet, and every event as it comes', async (t) => {
  const { client, server } = await setUp(t, GET);
  server.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
  await client.until('\r\n\r\n');
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    server.write(`9\r\n${event}\r\n`);
    await client.until(event);
  }
});

test('an upload reaches the upstream as it comes', async (t) => {
  const { client, server } = await setUp(t, UPLOAD);
  await server.until('begin');
  client.write('more');
  await server.until('more');
});

test('an upstream that dies within its body cuts the client off', async (t) => {
  for (const framing of ['Content-Length: 100', 'Content-Length: 100000', 'Transfer-Encoding: chunked']) {
    for (const how of ['destroy', 'end', 'resetAndDestroy'] as const) {
      const { client, server, requests, over } = await setUp(t, GET);
      server.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n5\r\nhello\r\n`);
      await client.until('hello');
      server.socket[how]();
      assert.doesNotMatch(await client.untilEnd(), /\r\n0\r\n/);
      await over(1);
      assert.deepEqual(requests, [['alpha', 200]]);
    }
  }
});

test('a client that leaves before the answer releases the upstream at once', async (t) => {
  const { client, server, requests, over, log } = await setUp(t, GET);
  client.socket.destroy();
  await server.untilEnd();
  await over(1);
  assert.deepEqual(requests, [['alpha', 499]]);
  assert.deepEqual(log.lines, []);
});

test('a client that leaves during the answer releases the upstream at once', async (t) => {
  for (const framing of ['Content-Length: 100', 'Content-Length: 100000', 'Transfer-Encoding: chunked']) {
    const { client, server, log } = await setUp(t, GET);
    server.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n5\r\nhello\r\n`);
    await client.until('hello');
    client.socket.resetAndDestroy();
    await server.untilEnd();
    assert.deepEqual(log.lines, []);
  }
});

test('a client that leaves during its upload releases the upstream at once', async (t) => {
  const { client, server, log } = await setUp(t, UPLOAD);
  await server.until('begin');
  client.socket.destroy();
  await server.untilEnd();
  assert.deepEqual(log.lines, []);
});

test('a client that leaves its upload after an early answer releases the upstream at once', async (t) => {
  const { client, server } = await setUp(t, UPLOAD);
  server.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
  await client.until('\r\n\r\nno');
  client.socket.destroy();
  await server.untilEnd();
});

test('the rest of an upload that nobody wants is dropped, and the connection goes on', async (t) => {
  const { client, server, upstream } = await setUp(t, UPLOAD);
  await server.until('begin');
  server.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
  await client.until('\r\n\r\nno');
  server.socket.destroy();
  client.take();
  client.write('x'.repeat(1_000_000 - 'begin'.length) + GET);
  const second = await upstream.next();
  await second.until('\r\n\r\n');
  second.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  assert.match(await client.until('\r\n\r\nok'), /^HTTP\/1\.1 200 OK\r\n/);
});

const MIB = 1024 * 1024;
const SIZE = 256 * MIB;
/** What both ends and the proxy between them may hold of a stream, in bytes: a few chunks each, and what is not swept yet. */
const ALLOWANCE = 64 * MIB;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in buffers that somebody still holds. */
function held(): number {
  // What the first finds is swept beside the program; the second waits for that.
  collect();
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** Writes SIZE bytes as fast as they are taken, then ends. */
async function pour(to: NodeJS.WritableStream): Promise<void> {
  const chunk = Buffer.alloc(MIB);
  for (let sent = 0; sent < SIZE; sent += chunk.length) {
    if (!to.write(chunk)) await once(to, 'drain');
  }
  to.end();
}

/** Counts what arrives, and looks now and then at how much is held meanwhile. */
async function drain(from: NodeJS.ReadableStream): Promise<{ bytes: number; peak: number }> {
  let bytes = 0;
  let peak = 0;
  let looked = 0;
  for await (const chunk of from) {
    bytes += chunk.length;
    if (bytes - looked < 16 * MIB) continue;
    looked = bytes;
    peak = Math.max(peak, held());
  }
  return { bytes, peak };
}

test('a large download passes without being held', async (t) => {
  const upstream = plainServer((_req, res) => void pour(res));
  const { port } = await front(t, tcpTarget(await listen(t, upstream)));
  const before = held();
  const get = http.request({ port, host: '127.0.0.1' }).end();
  const [download] = (await once(get, 'response')) as [http.IncomingMessage];
  const { bytes, peak } = await drain(download);
  assert.equal(bytes, SIZE);
  assert.ok(peak - before < ALLOWANCE, `${peak - before} bytes were held`);
});

test('a large upload passes without being held', async (t) => {
  const upstream = plainServer((req, res) => void receive(req, res));
  async function receive(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    res.end(JSON.stringify(await drain(req)));
  }
  const { port } = await front(t, tcpTarget(await listen(t, upstream)));
  const before = held();
  const post = http.request({ port, host: '127.0.0.1', method: 'POST' });
  const answered = once(post, 'response') as Promise<[http.IncomingMessage]>;
  await pour(post);
  const [answer] = await answered;
  const { bytes, peak } = JSON.parse(Buffer.concat(await answer.toArray()).toString()) as Awaited<
    ReturnType<typeof drain>
  >;
  assert.equal(bytes, SIZE);
  assert.ok(peak - before < ALLOWANCE, `${peak - before} bytes were held`);
});

test('bodies that come at the same time are not mixed up', async (t) => {
  const upstream = plainServer((req, res) => {
    res.end(Buffer.alloc(4 * MIB, req.url?.slice(1)));
  });
  const { port } = await front(t, tcpTarget(await listen(t, upstream)));
  const letters = 'abcdefgh'.split('');
  const bodies = letters.map(async (letter) => {
    const get = http.request({ port, host: '127.0.0.1', path: `/${letter}`, agent: false }).end();
    const [answer] = (await once(get, 'response')) as [http.IncomingMessage];
    return Buffer.concat(await answer.toArray());
  });
  for (const [index, body] of (await Promise.all(bodies)).entries()) {
    assert.ok(body.equals(Buffer.alloc(4 * MIB, letters[index])), `the body of ${letters[index]}`);
  }
});

test('a client that does not read holds the upstream back', async (t) => {
  const { client, server } = await setUp(t, GET);
  server.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello');
  await client.until('hello');
  client.socket.pause();
  const sender = server.socket;
  const chunk = Buffer.alloc(MIB);
  let sent = 0;
  // Kernel buffers take megabytes; a proxy that reads on would take them all.
  while (sent < SIZE) {
    sent += chunk.length;
    if (!sender.write(chunk) && !(await takenSoon(sender))) break;
  }
  assert.ok(sent < SIZE / 2, `${sent} bytes went into the void`);
});

/** Whether the socket drains while everything else has had its turn a thousand times. */
async function takenSoon(socket: net.Socket): Promise<boolean> {
  for (let turn = 0; turn < 1000; turn += 1) {
    if (!socket.writableNeedDrain) return true;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return false;
}
