import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { upstreamMemory } from '../support/upstream-memory.ts';
import { fullPort } from '../support/full-port.ts';
import { answerKept, deadPort, front, OK, rawClient, rawServer, tcpTarget, unixTarget } from '../support/http.ts';

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';
const POST = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody';

test('the next upstream gets the request, body and all, when the first takes no connection', async (t) => {
  const second = await rawServer(t);
  const health = upstreamMemory();
  const { port, log } = await front(t, [tcpTarget(await deadPort()), tcpTarget(second.port)], { health });
  const client = rawClient(t, port, POST);
  const server = await second.next();
  assert.match(await server.until('body'), /^POST \/a HTTP\/1\.1\r\n/);
  server.write(OK);
  await client.until('ok');
  assert.equal(health.told.length, 1);
  assert.match(health.told[0] ?? '', /ECONNREFUSED/);
  assert.deepEqual(log.lines, []);
  // The next request does not begin with it.
  client.write(GET);
  await server.until('GET /a');
  assert.equal(health.told.length, 1);
});

test('an upstream that swallows the dial, or speaks no TLS, is left for the next one', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'failover-'));
  t.after(() => rm(folder, { recursive: true }));
  const plain = await rawServer(t);
  const last = await rawServer(t, join(folder, 's'));
  const upstreams = [tcpTarget(await fullPort(t)), tcpTarget(plain.port, true), unixTarget(join(folder, 's'))];
  const { port } = await front(t, upstreams, { connect: 100 });
  const client = rawClient(t, port, GET);
  const server = await last.next();
  await server.until('\r\n\r\n');
  server.write(OK);
  assert.match(await client.until('ok'), /^HTTP\/1\.1 200/);
});

test('what was sent once is not sent to another upstream', async (t) => {
  const [first, second] = [await rawServer(t), await rawServer(t)];
  const { port, log } = await front(t, [tcpTarget(first.port), tcpTarget(second.port)]);
  const client = rawClient(t, port, GET);
  const server = await first.next();
  await server.until('\r\n\r\n');
  server.socket.resetAndDestroy();
  assert.match(await client.until('reached'), /^HTTP\/1\.1 502 /);
  assert.match(JSON.stringify(log.lines), new RegExp(`"upstream":"${tcpTarget(first.port).url}"`));
});

test('a kept connection that ends under a request is no reason to leave an upstream that takes another', async (t) => {
  const [first, second] = [await rawServer(t), await rawServer(t)];
  const { port } = await front(t, [tcpTarget(first.port), tcpTarget(second.port)]);
  const client = rawClient(t, port, GET);
  const kept = await first.next();
  await answerKept(kept, client);
  client.write(GET);
  await kept.until('\r\n\r\n');
  kept.socket.resetAndDestroy();
  await answerKept(await first.next(), client);
});

test('when none can be reached the log names all that were tried', async (t) => {
  const upstreams = [tcpTarget(await deadPort()), tcpTarget(await deadPort())];
  const { port, log } = await front(t, upstreams);
  assert.match(await rawClient(t, port, GET).until('reached'), /^HTTP\/1\.1 502 /);
  const [line] = log.lines;
  assert.deepEqual(line?.fields, {
    ...line?.fields,
    upstream: upstreams.map(({ url }) => url).join(', '),
    code: 'ECONNREFUSED',
  });
});

test('an upstream that was down and has answered is up again', async (t) => {
  const only = await rawServer(t);
  const health = upstreamMemory();
  const target = tcpTarget(only.port);
  const other = tcpTarget(await deadPort());
  health.unreachable(target, 'before');
  const { port } = await front(t, [target, other], { health });
  const client = rawClient(t, port, GET);
  const server = await only.next();
  await server.until('\r\n\r\n');
  server.write(OK);
  await client.until('ok');
  assert.deepEqual(health.told.slice(-1), ['reached']);
});
