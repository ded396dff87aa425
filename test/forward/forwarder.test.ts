import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { NO_HEALTH } from '../../src/core/failover.ts';
import { compileTrust } from '../../src/http/client-address.ts';
import { routeTo } from '../support/routes.ts';
import { deadPort, front, listen, plainServer, rawClient, rawServer, tcpTarget } from '../support/http.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('a request and its answer pass, and the observer hears of it', async (t) => {
  const upstream = await rawServer(t);
  const { port, requests, over } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  assert.match(await server.until('\r\n\r\n'), /^GET \/ HTTP\/1\.1\r\nHost: a\r\n/);
  server.write(OK);
  assert.match(await client.until('ok'), /^HTTP\/1\.1 200 OK\r\n/);
  await over(1);
  assert.deepEqual(requests, [['alpha', 200]]);
});

test('a path reaches the upstream byte for byte', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  for (const path of ['/%2e%2e/x', '/a\\b', '//x', '/a/../b', '/a?', '/a??b=c&&', '/a#b', '/%zz']) {
    const client = rawClient(t, port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const server = await upstream.next();
    const [line] = (await server.until('\r\n\r\n')).split('\r\n');
    assert.equal(line, `GET ${path} HTTP/1.1`);
    server.write(OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    server.socket.end();
    await client.untilEnd();
  }
});

test('an absolute form is reduced and does not choose the upstream', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  rawClient(t, port, 'GET http://127.0.0.1:1/%2e?x HTTP/1.1\r\nHost: a\r\n\r\n');
  const server = await upstream.next();
  assert.match(await server.until('\r\n\r\n'), /^GET \/%2e\?x HTTP\/1\.1\r\nHost: a\r\n/);
});

test('a target without a path on this server, a doubled Host and one that is none get 400', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  for (const head of [
    'GET * HTTP/1.1\r\nHost: a',
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b',
    'GET / HTTP/1.1\r\nHost: a/b',
  ]) {
    const client = rawClient(t, port, `${head}\r\n\r\n`);
    assert.match(await client.untilEnd(), /^HTTP\/1\.1 400 Bad Request\r\n/);
  }
  assert.equal(upstream.count(), 0);
});

test('OPTIONS *, HEAD and unusual methods pass', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  for (const line of ['OPTIONS *', 'HEAD /', 'PROPFIND /', 'M-SEARCH /', 'PURGE /']) {
    const client = rawClient(t, port, `${line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const server = await upstream.next();
    assert.ok((await server.until('\r\n\r\n')).startsWith(`${line} HTTP/1.1\r\n`));
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    server.socket.end();
    assert.match(await client.untilEnd(), /^HTTP\/1\.1 200 OK\r\n/);
  }
});

test('a new connection that dies before the answer is 502 at once', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  await server.until('\r\n\r\n');
  server.socket.destroy();
  assert.match(await client.until('reached'), /^HTTP\/1\.1 502 Bad Gateway\r\n/);
  assert.equal(upstream.count(), 1);
});

test('an upstream that is down gives 502 and a log line without the path', async (t) => {
  const target = tcpTarget(await deadPort());
  const { port, log, requests, over } = await front(t, target);
  const client = rawClient(t, port, 'GET /?password=secret HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n');
  const text = await client.until('</html>');
  assert.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n[^]*could not be reached/);
  assert.doesNotMatch(text, /127\.0\.0\.1|ECONN/);
  assert.equal(log.lines.length, 1);
  assert.match(JSON.stringify(log.lines), /"route":"alpha".*"status":502,"code":"ECONNREFUSED"/);
  assert.doesNotMatch(JSON.stringify(log.lines), /secret/);
  await over(1);
  assert.deepEqual(requests, [['alpha', 502]]);
});

test('an answer that is no HTTP, and one with a coding nobody asked for, are 502', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  for (const answer of [
    'SSH-2.0-OpenSSH\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 099 Odd\r\n\r\n',
  ]) {
    const client = rawClient(t, port, GET);
    const server = await upstream.next();
    await server.until('\r\n\r\n');
    server.write(answer);
    assert.match(await client.until('reached'), /^HTTP\/1\.1 502 /, answer);
  }
});

test('forwarded headers are written anew', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port), { trusted: compileTrust(['loopback']) });
  rawClient(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX_Real_IP: 9.9.9.9\r\n\r\n');
  const head = await (await upstream.next()).until('\r\n\r\n');
  assert.match(head, /\r\nX-Real-IP: 1\.2\.3\.4\r\nX-Forwarded-For: 1\.2\.3\.4, 127\.0\.0\.1\r\n/);
  assert.doesNotMatch(head, /[69]\.[69]/);
});

test('a handshake whose Upgrade was stripped gets 426, and is an upgrade that failed, with the lines that are missing', async (t) => {
  const upstream = await rawServer(t);
  const { port, failures, requests, over } = await front(t, tcpTarget(upstream.port));
  for (const version of ['1.0', '1.1']) {
    const client = rawClient(
      t,
      port,
      `GET /ws?password=secret HTTP/${version}\r\nHost: a\r\nSec-WebSocket-Key: AAAA\r\n\r\n`,
    );
    assert.match(
      await client.until('what to change'),
      /^HTTP\/1\.1 426 Upgrade Required\r\n[^]*\r\nUpgrade: websocket\r\n/,
    );
  }
  await over(2);
  assert.deepEqual(requests, [
    ['alpha', 426],
    ['alpha', 426],
  ]);
  assert.deepEqual(
    failures.map(({ reason, route, client, path, status }) => [reason, route, client, path, status]),
    requests.map(() => ['bad_request', 'alpha', '192.0.2.1', '/ws?password=[redacted]', 426]),
  );
  const lines = String(failures[0]?.detail);
  assert.match(lines, /proxy_http_version 1\.1; proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection/);
  assert.equal(upstream.count(), 0);
});

test('closing ends the connections to upstreams', async (t) => {
  const upstream = await rawServer(t);
  const { createHttpForwarder } = await import('../../src/forward/forwarder.ts');
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const forwarder = createHttpForwarder({
    trusted: () => false,
    routes: [],
    upstreamTls: { ca: 'system', verify: true },
    health: NO_HEALTH,
    observer: { httpRequest() {} },
    log,
  });
  const route = routeTo(tcpTarget(upstream.port));
  const port = await listen(
    t,
    plainServer((req, res) => forwarder.handle(req, res, route, '/')),
  );
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  await server.until('\r\n\r\n');
  server.write(OK);
  await client.until('ok');
  forwarder.close();
  await server.untilEnd();
  await once(server.socket.end(), 'close');
});
