import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { front, rawClient, type RawPeer, rawServer, tcpTarget } from '../support/http.ts';

/** Sends `request` through a forwarder and returns both ends once its head has arrived. */
async function exchange(t: TestContext, request: string): Promise<{ client: RawPeer; server: RawPeer; head: string }> {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, request);
  const server = await upstream.next();
  const text = await server.until('\r\n\r\n');
  return { client, server, head: text.slice(0, text.indexOf('\r\n\r\n') + 2) };
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

test('request headers keep casing, order and repetition', async (t) => {
  const { head } = await exchange(
    t,
    'GET / HTTP/1.1\r\nhOST: a:1\r\nX-b: 1\r\nCOOKIE: c=1\r\nX-A: 2\r\nx-B: 3\r\nX-L: \xe4\r\n\r\n',
  );
  assert.equal(
    head.replace(/(X-Request-ID: )[0-9a-f]{32}/, '$1made'),
    'GET / HTTP/1.1\r\nhOST: a:1\r\nX-b: 1\r\nX-b: 3\r\nCOOKIE: c=1\r\nX-A: 2\r\nX-L: \xe4\r\n' +
      'X-Real-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Request-ID: made\r\nConnection: keep-alive\r\n',
  );
});

test('hop-by-hop headers of a request stay here', async (t) => {
  const { head } = await exchange(
    t,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nTE: gzip\r\nTrailer: X\r\n\r\n',
  );
  assert.match(head, /^GET \/ HTTP\/1\.1\r\nHost: a\r\nX-Real-IP: [^]*Connection: keep-alive\r\n$/);
  assert.doesNotMatch(head, /X-Hop|Keep-Alive:|h2c|TE:|Trailer/);
});

test('response headers keep casing, order and repetition, and none is added but the framing of this hop', async (t) => {
  const { client, server } = await exchange(t, GET);
  server.write(
    'HTTP/1.1 200 Very Fine\r\nSET-cookie: a=1\r\nX-b: 1\r\nset-Cookie: b=2\r\nX-B: 2\r\nVary: x\r\nVary: y\r\ncontent-LENGTH: 2\r\n' +
      'Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=99\r\nUpgrade: h2c\r\n\r\nok',
  );
  assert.equal(
    await client.until('\r\n\r\nok'),
    'HTTP/1.1 200 Very Fine\r\nSET-cookie: a=1\r\nX-b: 1\r\nset-Cookie: b=2\r\nX-B: 2\r\nVary: x\r\nVary: y\r\ncontent-LENGTH: 2\r\n' +
      'Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nok',
  );
});

test("the upstream's Date is kept", async (t) => {
  const { client, server } = await exchange(t, GET);
  server.write('HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 0\r\n\r\n');
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 200 OK\r\nDate: then\r\nContent-Length: 0\r\nConnection/);
});

test('answers without a body end with their head, and the connection goes on', async (t) => {
  for (const [method, status, extra] of [
    ['GET', '204 No Content', ''],
    ['GET', '304 Not Modified', 'Content-Length: 99\r\nETag: "x"\r\n'],
    ['HEAD', '200 OK', 'Content-Length: 99\r\n'],
    ['HEAD', '200 OK', 'Transfer-Encoding: chunked\r\nTrailer: X\r\n'],
  ] as const) {
    const { client, server } = await exchange(t, GET.replace('GET', method));
    server.write(`HTTP/1.1 ${status}\r\n${extra}\r\n`);
    const kept = extra.replace(/Transfer-Encoding.*\r\nTrailer.*\r\n/, '');
    const expected = `HTTP/1.1 ${status}\r\n${kept}Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n`;
    assert.equal(await client.until('\r\n\r\n'), expected);
    server.take();
    client.take();
    client.write(GET);
    await server.until('\r\n\r\n');
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    assert.match(await client.until('ok'), /^HTTP\/1\.1 200 OK\r\n/);
  }
});

test('a chunked answer stays chunked and its trailers follow, without those that must not', async (t) => {
  const { client, server } = await exchange(t, GET);
  server.write(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=1\r\n\r\n',
  );
  const text = await client.until('\r\n0\r\n');
  assert.match(text, /^HTTP\/1\.1 200 OK\r\nTrailer: X-Sum\r\n[^]*Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n/);
  assert.match(await client.until('X-Sum: 1\r\n\r\n'), /\r\n0\r\nX-Sum: 1\r\n\r\n$/);
});

test('a chunked answer reaches an HTTP/1.0 client bare, ended by the connection', async (t) => {
  const { client, server } = await exchange(t, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  server.write(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n',
  );
  assert.equal(await client.untilEnd(), 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc');
});

test('an answer that ends with its connection is whole', async (t) => {
  const { client, server } = await exchange(t, GET);
  server.write('HTTP/1.0 200 OK\r\n\r\nabc');
  server.socket.end();
  assert.match(await client.until('\r\n0\r\n\r\n'), /Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
});

test('a chunked request stays chunked and its trailers follow, without those that must not', async (t) => {
  const { server } = await exchange(
    t,
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Real-IP: 6.6.6.6\r\n\r\n',
  );
  const text = await server.until('X-Sum: 1\r\n\r\n');
  assert.match(
    text,
    /^POST[^]*\r\nTrailer: X-Sum\r\n[^]*Transfer-Encoding: chunked\r\n[^]*\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n$/,
  );
});

test('every method keeps its body and its framing', async (t) => {
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY']) {
    const sized = await exchange(t, `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc`);
    assert.match(await sized.server.until('\r\n\r\nabc'), /\r\nContent-Length: 3\r\n/, method);
    assert.doesNotMatch(sized.server.received, /Transfer-Encoding/, method);
    const chunked = await exchange(
      t,
      `${method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    );
    assert.match(
      await chunked.server.until('\r\n0\r\n\r\n'),
      /\r\nTransfer-Encoding: chunked\r\n[^]*\r\n\r\n3\r\nabc\r\n/,
      method,
    );
    assert.doesNotMatch(chunked.server.received, /content-length/i, method);
  }
});

test('a request without a body gets none', async (t) => {
  for (const method of ['GET', 'DELETE', 'OPTIONS', 'HEAD']) {
    const { head } = await exchange(t, `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    assert.doesNotMatch(head, /content-length|transfer-encoding/i, method);
  }
  assert.match((await exchange(t, 'POST / HTTP/1.1\r\nHost: a\r\n\r\n')).head, /\r\nContent-Length: 0\r\n/);
});

test('Connection cannot take the length off a body', async (t) => {
  const { server } = await exchange(
    t,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length, host\r\nContent-Length: 27\r\n\r\nGET /evil HTTP/1.1\r\nHost: b',
  );
  assert.match(await server.until('Host: b'), /^GET \/ HTTP\/1\.1\r\nHost: a\r\nContent-Length: 27\r\n/);
});

const EXPECT = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n';

test('100 Continue comes from the upstream, and the forwarded headers go with Expect as well', async (t) => {
  const { client, server, head } = await exchange(t, EXPECT);
  assert.match(head, /\r\nExpect: 100-continue\r\n[^]*X-Real-IP: 127\.0\.0\.1\r\n/);
  assert.equal(client.received, '');
  server.write('HTTP/1.1 100 Continue\r\n\r\n');
  assert.equal(await client.until('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n');
  client.take();
  client.write('hi');
  await server.until('\r\n\r\nhi');
  server.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  assert.match(await client.until('\r\n\r\nok'), /^HTTP\/1\.1 200 OK\r\n/);
});

test('an upstream that refuses the body is heard instead of 100 Continue', async (t) => {
  const { client, server } = await exchange(t, EXPECT);
  server.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno');
  assert.match(await client.untilEnd(), /^HTTP\/1\.1 401 Unauthorized\r\n[^]*\r\n\r\nno$/);
});

test('an HTTP/1.0 client expects nothing, and who did not ask gets no 100', async (t) => {
  const old = await exchange(t, EXPECT.replace('1.1', '1.0'));
  assert.doesNotMatch(old.head, /Expect/);
  const { client, server } = await exchange(t, GET);
  server.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  assert.match(await client.until('\r\n\r\nok'), /^HTTP\/1\.1 200 OK\r\n/);
});

test('102 and 103 pass before the answer', async (t) => {
  const { client, server } = await exchange(t, GET);
  server.write(
    'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>; rel=preload\r\nX-Y: z\r\n\r\n',
  );
  const hints = await client.until('z\r\n\r\n');
  assert.match(
    hints,
    /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nLink: <\/a>; rel=preload, <\/b>; rel=preload\r\nx-y: z\r\n\r\n$/,
  );
  server.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  await client.until('\r\n\r\nok');
});

test('hints that Node cannot write, other 1xx, and any for HTTP/1.0, are left out', async (t) => {
  for (const version of ['1.0', '1.1']) {
    const { client, server } = await exchange(t, GET.replace('1.1', version));
    if (version === '1.0') server.write('HTTP/1.1 102 Processing\r\n\r\n');
    server.write(
      'HTTP/1.1 103 Early Hints\r\nLink: odd\r\n\r\nHTTP/1.1 150 Odd\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    );
    assert.match(await client.until('\r\n\r\nok'), /^HTTP\/1\.1 200 OK\r\n/);
  }
});
