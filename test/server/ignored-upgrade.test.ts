import assert from 'node:assert/strict';
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { serveAsPlainHttp } from '../../src/server/ignored-upgrade.ts';
import { guard, noteRequest, unguard } from '../../src/server/request-gate.ts';
import { listen, plainServer, rawClient } from '../support/http.ts';

/** Answers every request with what it saw of it, one line each: method, target, selected headers, body. */
async function echo(t: TestContext): Promise<{ port: number; server: Server; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = plainServer((req, res) => {
    let body = '';
    req.setEncoding('latin1');
    req.on('data', (chunk: string) => {
      body += chunk;
    });
    req.on('end', () => res.end(JSON.stringify(seen(req, body)), 'latin1'));
  });
  ignoreUpgrades(server, (socket) => sockets.add(socket as Socket));
  return { port: await listen(t, server), server, sockets };
}

/** As the program's server does it. */
function ignoreUpgrades(server: Server, onSocket: (socket: Duplex) => void = () => {}): void {
  server.on('connection', (socket) => guard(socket, assert.ifError));
  server.on('request', noteRequest);
  server.on('upgrade', (req, socket, bytes) => {
    onSocket(socket);
    serveAsPlainHttp(server, req, socket, unguard(socket, bytes));
  });
}

function seen(req: IncomingMessage, body: string): object {
  const { upgrade = null, connection = null } = req.headers;
  return {
    method: req.method,
    url: req.url,
    version: req.httpVersion,
    upgrade,
    connection,
    x: req.headers['x'] ?? null,
    body,
  };
}

const OFFER = 'Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';

test('a GET with another upgrade is served without it, and the connection stays', async (t) => {
  const { port } = await echo(t);
  const client = rawClient(t, port, `GET /%2e?x HTTP/1.1\r\n${OFFER}X: \xe4\r\n\r\n`);
  const text = await client.until('}');
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(text, /Connection: keep-alive\r\n/);
  assert.deepEqual(JSON.parse(text.slice(text.indexOf('{'))), {
    method: 'GET',
    url: '/%2e?x',
    version: '1.1',
    upgrade: null,
    connection: 'HTTP2-Settings',
    x: '\xe4',
    body: '',
  });
});

test('a body with a length, a chunked body and one sent later arrive', async (t) => {
  const { port } = await echo(t);
  const client = rawClient(t, port, `POST /a HTTP/1.1\r\n${OFFER}Content-Length: 5\r\n\r\nhello`);
  assert.match(await client.until('}'), /"body":"hello"/);
  client.take();
  client.write(`POST /b HTTP/1.1\r\n${OFFER}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`);
  assert.match(await client.until('}'), /"url":"\/b".*"body":"abc"/);
  client.take();
  client.write(`POST /c HTTP/1.1\r\n${OFFER}Content-Length: 5\r\n\r\n`);
  client.write('he');
  client.write('llo');
  assert.match(await client.until('}'), /"url":"\/c".*"body":"hello"/);
});

test('requests pipelined behind it are answered in order', async (t) => {
  const { port } = await echo(t);
  const plain = 'GET /2 HTTP/1.1\r\nHost: a\r\n\r\n';
  const client = rawClient(
    t,
    port,
    `POST /1 HTTP/1.1\r\n${OFFER}Content-Length: 2\r\n\r\nhi${plain}GET /3 HTTP/1.1\r\n${OFFER}\r\n`,
  );
  const text = await client.until('"url":"/3"');
  assert.ok(text.indexOf('"url":"/1"') < text.indexOf('"url":"/2"'));
  assert.ok(text.indexOf('"url":"/2"') < text.indexOf('"url":"/3"'));
});

test('close still means close, and HTTP/1.0 stays HTTP/1.0', async (t) => {
  const { port } = await echo(t);
  const closing = rawClient(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: h2c\r\n\r\n');
  assert.match(await closing.untilEnd(), /"version":"1\.1","upgrade":null,"connection":"close"/);
  const old = rawClient(t, port, 'GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n');
  assert.match(await old.untilEnd(), /"version":"1\.0","upgrade":null/);
});

test('a server that may drop headers is refused, for a dropped length makes requests out of a body', () => {
  const server = plainServer();
  server.maxHeadersCount = 2000;
  const call = (): void => serveAsPlainHttp(server, {} as IncomingMessage, {} as Socket, Buffer.alloc(0));
  assert.throws(call, /maxHeadersCount must be 0/);
});

test('many such requests on one connection leave no listener behind', async (t) => {
  const { port, server, sockets } = await echo(t);
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const client = rawClient(t, port);
  async function ask(): Promise<string[]> {
    client.take();
    client.write(`GET / HTTP/1.1\r\n${OFFER}\r\n`);
    await client.until('}');
    const [socket] = sockets;
    return socket?.eventNames().map((name) => `${String(name)} ${socket.listenerCount(name)}`) ?? [];
  }
  const first = await ask();
  for (let i = 0; i < 50; i += 1) await ask();
  assert.deepEqual(await ask(), first);
  assert.equal(sockets.size, 1);
  assert.deepEqual(warnings, []);
  assert.equal(server.listenerCount('upgrade'), 1);
});
