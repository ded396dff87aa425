import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { compileTrust } from '../../src/io/forwarded.ts';
import { deadPort, front, listen, plainServer, rawClient, rawServer, tcpTarget, unixTarget } from '../support/http.ts';

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

test('a target without a path on this server and a doubled Host get 400', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  for (const head of ['GET * HTTP/1.1\r\nHost: a', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b']) {
    const client = rawClient(t, port, `${head}\r\n\r\n`);
    assert.match(await client.until('understood'), /^HTTP\/1\.1 400 Bad Request\r\n/);
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

test('connections to the upstream are kept and used again', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  for (let i = 0; i < 3; i += 1) {
    await server.until('\r\n\r\n');
    server.take();
    server.write(OK);
    await client.until('ok');
    client.take();
    if (i < 2) client.write(GET);
  }
  assert.equal(upstream.count(), 1);
});

test('a kept connection that dies under a request without a body is replaced once', async (t) => {
  const upstream = await rawServer(t);
  const { port, log } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, GET);
  const first = await upstream.next();
  await first.until('\r\n\r\n');
  first.write(OK);
  await client.until('ok');
  first.take();
  client.take();
  client.write(GET);
  await first.until('\r\n\r\n');
  first.socket.destroy();
  const second = await upstream.next();
  await second.until('\r\n\r\n');
  second.write(OK);
  assert.match(await client.until('ok'), /^HTTP\/1\.1 200/);
  assert.deepEqual(log.lines, []);
});

test('a kept connection that dies under a request that may have done something is not replaced', async (t) => {
  for (const request of [
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi',
    'DELETE / HTTP/1.1\r\nHost: a\r\n\r\n',
  ]) {
    const upstream = await rawServer(t);
    const { port } = await front(t, tcpTarget(upstream.port));
    const client = rawClient(t, port, GET);
    const first = await upstream.next();
    await first.until('\r\n\r\n');
    first.write(OK);
    await client.until('ok');
    client.take();
    first.take();
    client.write(request);
    await first.until(request.slice(-4));
    first.socket.destroy();
    assert.match(await client.until('reached'), /^HTTP\/1\.1 502 /);
    assert.equal(upstream.count(), 1);
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

test('an upstream that is slow to secure the connection gives 504', async (t) => {
  const upstream = await rawServer(t);
  const { port, log } = await front(t, tcpTarget(upstream.port, true), { connectTimeoutMs: 50 });
  assert.match(await rawClient(t, port, GET).until('in time'), /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  assert.match(JSON.stringify(log.lines), /"status":504,"code":"ETIMEDOUT"/);
});

test('an upstream that is slow to accept gives 504', async (t) => {
  const { port } = await front(t, tcpTarget(await fullPort(t)), { connectTimeoutMs: 50 });
  assert.match(await rawClient(t, port, GET).until('in time'), /^HTTP\/1\.1 504 /);
});

/** A port whose queue is full: nothing accepts there, and the kernel lets further connections wait for ever. */
async function fullPort(t: TestContext): Promise<number> {
  const script = `
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  // Linux queues one more than it is told.
  for (let queued = 0; queued < 2; queued += 1) {
    const filler = net.connect(Number(port), '127.0.0.1');
    filler.on('error', () => {});
    t.after(() => filler.destroy());
    await once(filler, 'connect');
  }
  return Number(port);
}

test('the connect limit ends with the connection: an answer may take longer', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port), { connectTimeoutMs: 20 });
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  await server.until('\r\n\r\n');
  // Of two timers of the same length the earlier fires first, so the limit has had its chance.
  await new Promise((resolve) => setTimeout(resolve, 20));
  server.write(OK);
  assert.match(await client.until('ok'), /^HTTP\/1\.1 200/);
});

test('a unix socket serves as an upstream', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'http-forward-'));
  t.after(() => rm(folder, { recursive: true }));
  const upstream = await rawServer(t, join(folder, 's'));
  const { port } = await front(t, unixTarget(join(folder, 's')));
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  assert.match(await server.until('\r\n\r\n'), /^GET \/ HTTP\/1\.1\r\nHost: a\r\n/);
  server.write(OK);
  await client.until('ok');
});

/** An https server for `localhost` that answers with the server name it was asked for. */
async function secureUpstream(t: TestContext): Promise<{ port: number; ca: string }> {
  const file = (name: string): Promise<string> =>
    readFile(new URL(`../fixtures/localhost.${name}.pem`, import.meta.url), 'utf8');
  const [cert, key] = await Promise.all([file('cert'), file('key')]);
  const server = https.createServer({ cert, key }, (req, res) => {
    res.end(`sni=${String('servername' in req.socket && req.socket.servername)}, host=${String(req.headers.host)}.`);
  });
  return { port: await listen(t, server), ca: cert };
}

test('TLS is spoken to the name in the configuration, not to the one in Host', async (t) => {
  const { port: secure, ca } = await secureUpstream(t);
  const { port } = await front(t, tcpTarget(secure, true, 'localhost'), { upstreamTls: { ca, verify: true } });
  assert.match(await rawClient(t, port, GET).until('sni'), /^HTTP\/1\.1 200 [^]*sni=localhost, host=a\./);
});

test('a certificate that cannot be verified is 502, unless verification is off', async (t) => {
  const { port: secure } = await secureUpstream(t);
  const strict = await front(t, tcpTarget(secure, true, 'localhost'));
  assert.match(await rawClient(t, strict.port, GET).until('reached'), /^HTTP\/1\.1 502 /);
  assert.match(JSON.stringify(strict.log.lines), /DEPTH_ZERO_SELF_SIGNED_CERT/);
  const lax = await front(t, tcpTarget(secure, true), { upstreamTls: { ca: 'system', verify: false } });
  assert.match(await rawClient(t, lax.port, GET).until('sni'), /^HTTP\/1\.1 200 /);
});

test('forwarded headers are written anew', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port), { trusted: compileTrust(['loopback']) });
  rawClient(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nX_Real_IP: 9.9.9.9\r\n\r\n');
  const head = await (await upstream.next()).until('\r\n\r\n');
  assert.match(head, /\r\nX-Real-IP: 1\.2\.3\.4\r\nX-Forwarded-For: 1\.2\.3\.4, 127\.0\.0\.1\r\n/);
  assert.doesNotMatch(head, /[69]\.[69]/);
});

test('a handshake whose Upgrade was stripped gets 426 and a log line with the missing lines', async (t) => {
  const upstream = await rawServer(t);
  const { port, log, requests, over } = await front(t, tcpTarget(upstream.port));
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
  const lines = JSON.stringify(log.lines);
  assert.match(lines, /proxy_http_version 1\.1; proxy_set_header Upgrade \$http_upgrade; proxy_set_header Connection/);
  assert.doesNotMatch(lines, /secret/);
  assert.equal(upstream.count(), 0);
});

test('closing ends the connections to upstreams', async (t) => {
  const upstream = await rawServer(t);
  const { createHttpForwarder } = await import('../../src/io/http-forward.ts');
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const forwarder = createHttpForwarder({
    trusted: () => false,
    connectTimeoutMs: 1000,
    upstreamTls: { ca: 'system', verify: true },
    observer: { httpRequest() {} },
    log,
  });
  const port = await listen(
    t,
    plainServer((req, res) => forwarder.handle(req, res, tcpTarget(upstream.port), 'default')),
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
