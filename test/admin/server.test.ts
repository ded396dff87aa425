import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type AdminPage, answersTo, createAdminServer, textAnswer } from '../../src/admin/server.ts';
import { listen, memoryLog, rawClient } from '../support/http.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const UPGRADE = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`;

async function start(t: TestContext) {
  const log = memoryLog();
  const live: string[] = [];
  const pages = new Map<string, AdminPage>([
    ['/', { anyHost: false, answer: (accept) => textAnswer(200, `page ${accept ?? 'none'}`) }],
    ['/healthz', { anyHost: true, answer: () => textAnswer(200, 'alive') }],
    ['/broken', { anyHost: false, answer: () => Promise.reject(new Error('defect')) }],
    [
      '/own',
      { anyHost: false, answer: () => ({ ...textAnswer(200, ''), headers: { 'X-Frame-Options': 'SAMEORIGIN' } }) },
    ],
  ]);
  const server = createAdminServer({
    hosts: () => ['status.example.com'],
    pages,
    livePath: '/live',
    onLive: (req, socket) => {
      live.push(req.url ?? '');
      socket.end('taken');
    },
    log,
  });
  const port = await listen(t, server);
  const ask = async (head: string): Promise<string> => {
    const client = rawClient(t, port, `${head}Connection: close\r\n\r\n`);
    return client.untilEnd();
  };
  const upgrade = (path: string, host: string): Promise<string> =>
    rawClient(t, port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${UPGRADE}\r\n`).untilEnd();
  return { port, log, live, ask, upgrade };
}

for (const host of [
  '127.0.0.1:9090',
  '10.1.2.3',
  '[::1]:9090',
  '[fd00::7]',
  'localhost',
  'LOCALHOST:9090',
  'a.localhost',
  'localhost.',
]) {
  test(`it answers to ${host}`, () => assert.equal(answersTo(host, []), true));
}

for (const host of [
  'evil.example',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  'evil.example:9090',
  '',
  undefined,
  '2130706433',
  '[evil]',
  'a:b:c',
  '127.0.0.1@evil',
]) {
  test(`it does not answer to ${String(host)}`, () => assert.equal(answersTo(host, []), false));
}

test('it answers to the names it was given, in any case, and to no part of them', () => {
  const hosts = ['proxy', 'status.example.com'];
  assert.equal(answersTo('proxy:9090', hosts), true);
  assert.equal(answersTo('Status.Example.com', hosts), true);
  assert.equal(answersTo('example.com', hosts), false);
});

test('a page is answered with headers that keep it private and harmless', async (t) => {
  const { ask } = await start(t);
  const answer = await ask('GET /?x=1 HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n');
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /\r\n\r\npage text\/html\n$/);
  for (const line of [
    'Cache-Control: no-store',
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
    'X-Content-Type-Options: nosniff',
    'X-Frame-Options: DENY',
    'Referrer-Policy: no-referrer',
  ])
    assert.ok(answer.includes(`\r\n${line}\r\n`), line);
});

test('a page may have fields of its own in place of those', async (t) => {
  const { ask } = await start(t);
  const answer = await ask('GET /own HTTP/1.1\r\nHost: localhost\r\n');
  assert.deepEqual(answer.match(/X-Frame-Options: \w+/g), ['X-Frame-Options: SAMEORIGIN']);
});

test('HEAD gets the head alone', async (t) => {
  const { ask } = await start(t);
  const answer = await ask('HEAD / HTTP/1.1\r\nHost: localhost\r\n');
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(answer, /Content-Length: 10\r\n/);
  assert.match(answer, /\r\n\r\n$/);
});

for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
  test(`${method} is refused: there is no write operation`, async (t) => {
    const { ask } = await start(t);
    const answer = await ask(`${method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n`);
    assert.match(answer, /^HTTP\/1\.1 405 Method Not Allowed\r\n/);
    assert.match(answer, /\r\nAllow: GET, HEAD\r\n/);
  });

test('an unknown path gets 404 and the paths there are', async (t) => {
  const { ask } = await start(t);
  assert.match(await ask('GET /nothing HTTP/1.1\r\nHost: localhost\r\n'), /^HTTP\/1\.1 404 .*Try \/, \/healthz/s);
});

test('a foreign host name gets 403 and is told what to configure, on unknown paths too', async (t) => {
  const { ask } = await start(t);
  for (const path of ['/', '/nothing']) {
    const answer = await ask(`GET ${path} HTTP/1.1\r\nHost: evil.example\r\n`);
    assert.match(answer, /^HTTP\/1\.1 403 .*admin\.hosts/s);
    assert.ok(!answer.includes('page'));
  }
});

test('health answers under any name', async (t) => {
  const { ask } = await start(t);
  assert.match(await ask('GET /healthz HTTP/1.1\r\nHost: evil.example\r\n'), /^HTTP\/1\.1 200 .*alive\n$/s);
});

test('a page that fails gives 500 and a line in the log, and the next one works', async (t) => {
  const { ask, log } = await start(t);
  assert.match(await ask('GET /broken HTTP/1.1\r\nHost: localhost\r\n'), /^HTTP\/1\.1 500 /);
  assert.deepEqual(
    log.lines.map(({ level, message }) => [level, message]),
    [['error', 'admin page failed']],
  );
  assert.match(await ask('GET / HTTP/1.1\r\nHost: localhost\r\n'), /^HTTP\/1\.1 200 /);
});

test('the live path takes WebSockets, whatever the query', async (t) => {
  const { upgrade, live } = await start(t);
  assert.equal(await upgrade('/live?x', 'localhost'), 'taken');
  assert.deepEqual(live, ['/live?x']);
});

test('a WebSocket under a foreign name, or elsewhere, is refused', async (t) => {
  const { upgrade, live } = await start(t);
  assert.match(await upgrade('/live', 'evil.example'), /^HTTP\/1\.1 403 /);
  assert.match(await upgrade('/', 'localhost'), /^HTTP\/1\.1 404 /);
  assert.deepEqual(live, []);
});

test('an upgrade to something else is served as plain HTTP', async (t) => {
  const { port } = await start(t);
  const request =
    'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n';
  const answer = await rawClient(t, port, request).until('alive');
  assert.match(answer, /^HTTP\/1\.1 200 /);
});

test('a client that resets during an upgrade harms nobody', async (t) => {
  const { port, ask } = await start(t);
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`GET /x HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}\r\n`);
  socket.resetAndDestroy();
  assert.match(await ask('GET / HTTP/1.1\r\nHost: localhost\r\n'), /^HTTP\/1\.1 200 /);
});
