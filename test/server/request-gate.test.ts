import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { guard } from '../../src/server/request-gate.ts';
import { createFrontServer } from '../../src/server/server.ts';
import { listen, rawClient } from '../support/http.ts';
import { Watch } from '../support/watch.ts';

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const WEBSOCKET = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const H2C = 'GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n';

/** A server that answers `/hang…` when told to, and anything else with its path and body; it greets on an upgraded socket. */
async function start(t: TestContext) {
  const hanging: ServerResponse[] = [];
  const seen: string[] = [];
  const left: string[] = [];
  const refused: string[] = [];
  const watch = new Watch();
  const server = createFrontServer({
    headerBytes: 16_384,
    headTimeoutMs: 15_000,
    onRequest: (req, res) => {
      seen.push(req.url ?? '');
      res.on('close', () => {
        if (!res.writableFinished) left.push(req.url ?? '');
        watch.changed();
      });
      if (req.url?.startsWith('/hang')) hanging.push(res);
      else {
        const answer = (chunks: unknown[]): unknown =>
          res.end(`[${req.url} ${Buffer.concat(chunks as Buffer[]).toString()}]`);
        req.toArray().then(answer, () => undefined);
      }
      watch.changed();
    },
    onUpgrade: (_req, socket, head) => socket.end(`[upgraded ${head.toString()}]`),
    onRefused: ({ status, code }) => refused.push(`${status} ${code}`),
  });
  const port = await listen(t, server);
  const until = (what: () => boolean): Promise<unknown> => watch.until(what, 'what was waited for');
  return { server, port, hanging, seen, left, refused, until };
}

test('a request waits for the answer to the one before it', async (t) => {
  const { port, hanging, seen, until } = await start(t);
  const client = rawClient(t, port, get('/hang/1') + get('/hang/2') + get('/3'));
  await until(() => hanging.length === 1);
  assert.deepEqual(seen, ['/hang/1']);
  hanging[0]?.end('[one]');
  await until(() => hanging.length === 2);
  assert.deepEqual(seen, ['/hang/1', '/hang/2']);
  hanging[1]?.end('[two]');
  assert.deepEqual((await client.until('[/3 ]')).match(/\[.*?\]/g), ['[one]', '[two]', '[/3 ]']);
});

for (const [name, request, greeting] of [
  ['a WebSocket', `${WEBSOCKET}early`, '[upgraded early]'],
  ['an ignored upgrade', H2C, '[/h2c ]'],
] as const) {
  test(`${name} behind a request waits for its answer, and loses no byte`, async (t) => {
    const { port, hanging, until } = await start(t);
    const client = rawClient(t, port, get('/hang') + request);
    await until(() => hanging.length === 1);
    hanging[0]?.end('[one]');
    assert.deepEqual((await client.untilEnd()).match(/\[.*?\]/g), ['[one]', greeting]);
  });
}

const BODIES = [
  'POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nab\r\n\r\ncd',
  'POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6;x="\r"\r\nab\r\n\r\n\r\n2\r\ncd\r\n0\r\nT: 1\r\n\r\n',
  '\r\n\r\n\r\nPOST /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
  get('/last'),
];

test('what waits stays what it was while others are read', async (t) => {
  const { port, hanging, seen, until } = await start(t);
  const first = rawClient(t, port, get('/hang/1') + get('/waits'));
  await until(() => hanging.length === 1);
  const second = rawClient(t, port, get(`/${'x'.repeat(300)}`) + get('/hang/2'));
  await until(() => hanging.length === 2);
  assert.equal(seen.length, 3);
  for (const res of hanging) res.end('[over]');
  await first.until('[/waits ]');
  await second.until('[over]');
});

/** As in a Node that keeps it elsewhere. */
function withoutSharedReads(server: Server): void {
  server.prependListener('connection', (socket) => {
    const { _handle: handle } = socket as unknown as { _handle: object };
    Object.defineProperty(handle, 'useUserBuffer', { value: undefined });
  });
}

test('all of it holds where reads cannot be shared', async (t) => {
  const { server, port, hanging, seen, until } = await start(t);
  withoutSharedReads(server);
  const client = rawClient(t, port, get('/hang') + BODIES.join('').replace(';x="\r"', '') + WEBSOCKET);
  await until(() => hanging.length === 1);
  assert.deepEqual(seen, ['/hang']);
  hanging[0]?.end('[one]');
  const answers = (await client.untilEnd()).match(/\[[^]*?\]/g);
  assert.deepEqual(answers?.at(0), '[one]');
  assert.deepEqual(answers?.slice(-2), ['[/last ]', '[upgraded ]']);
});

test('requests with bodies are told apart however they are cut', async (t) => {
  const { port } = await start(t);
  const text = BODIES.join('').replace(';x="\r"', ';x=y');
  for (let size = 1; size < text.length; size += size < 12 ? 1 : 17) {
    const client = rawClient(t, port);
    client.socket.setNoDelay(true);
    await once(client.socket, 'connect');
    for (let at = 0; at < text.length; at += size) {
      client.write(text.slice(at, at + size));
      if (size > 3) await new Promise(setImmediate);
    }
    const answers = (await client.until('[/last ]')).match(/\[[^]*?\]/g);
    assert.deepEqual(answers, ['[/length ab\r\n\r\ncd]', '[/chunks ab\r\n\r\ncd]', '[/empty ]', '[/last ]'], `${size}`);
    client.socket.destroy();
  }
});

test('a valid request is answered before the garbage behind it is refused', async (t) => {
  const { port, hanging, refused, until } = await start(t);
  const client = rawClient(t, port, `${get('/hang')}garbage\r\n\r\n`);
  await until(() => hanging.length === 1);
  hanging[0]?.end('[one]');
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 200 [^]*\[one\]HTTP\/1\.1 400 /);
  assert.deepEqual(refused, ['400 HPE_INVALID_METHOD']);
});

test('what stands behind a request with Connection: close is dropped', async (t) => {
  const { port, refused } = await start(t);
  const closing = 'POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi';
  const client = rawClient(t, port, `${closing}\n${get('/never')}`);
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 200 [^]*\[\/a hi\]$/);
  assert.deepEqual(refused, []);
});

for (const [name, chunk] of [
  ['a chunk without CRLF', '2\nhi\n0\n\n'],
  ['a chunk of no length', 'xyz\r\n'],
  ['a length beyond all', 'fffffffffffffffff\r\n'],
] as const) {
  test(`${name} is refused with 400`, async (t) => {
    const { port, refused } = await start(t);
    const head = 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
    const client = rawClient(t, port, head + chunk);
    assert.match(await client.untilEnd(), /^HTTP\/1\.1 400 /);
    assert.equal(refused.length, 1);
  });
}

test('a client that leaves while its requests wait is noticed', async (t) => {
  const { port, hanging, left, until } = await start(t);
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const client = rawClient(t, port, get('/hang') + get('/a') + WEBSOCKET);
    await until(() => hanging.length === 1);
    client.socket[leave]();
    await until(() => left.length === 1);
    client.socket.destroy();
    hanging.length = left.length = 0;
  }
});

test('a client that sends on and on while its request waits is not read beyond a limit', async (t) => {
  const { server, port, hanging, until } = await start(t);
  const connected = once(server, 'connection');
  const client = rawClient(t, port, get('/hang'));
  const [socket] = (await connected) as [import('node:net').Socket];
  await until(() => hanging.length === 1);
  const more = get('/a').repeat(1000);
  while (!socket.isPaused()) {
    client.write(more);
    await new Promise(setImmediate);
  }
  // The limit, and what the last read has brought.
  assert.ok(socket.bytesRead < 3 * 64 * 1024, `${socket.bytesRead}`);
  hanging[0]?.end();
  await until(() => !socket.isPaused());
  client.socket.destroy();
});

test('CONNECT is answered, and the connection ends', async (t) => {
  const { port, refused } = await start(t);
  const client = rawClient(t, port, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nmore');
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 405 Method Not Allowed\r\n[^]*\r\nDate: /);
  assert.deepEqual(refused, ['405 CONNECT']);
});

test('without the listener that Node puts on a socket there is no gate', () => {
  const socket = new PassThrough();
  guard(socket, assert.ifError);
  assert.equal(socket.listenerCount('data'), 0);
});
