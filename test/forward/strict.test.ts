/** What does not pass, though Node's parser takes it. */
import assert from 'node:assert/strict';
import { ClientRequest } from 'node:http';
import { test } from 'node:test';
import { keepFirstValue } from '../support/first-value.ts';
import { front, rawClient, rawServer, tcpTarget } from '../support/http.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const BODY = '2\r\nhi\r\n0\r\n\r\n';

for (const [lines, status] of [
  ['Transfer-Encoding: gzip, chunked', 501],
  ['Transfer-Encoding: identity, chunked', 501],
  ['Transfer-Encoding: , chunked', 501],
  ['Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked', 501],
] as const) {
  test(`a request with ${lines.replace('\r\n', ' and ')} gets ${status}, and reaches no upstream`, async (t) => {
    const upstream = await rawServer(t);
    const { port } = await front(t, tcpTarget(upstream.port));
    const client = rawClient(t, port, `POST / HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n${BODY}`);
    assert.match(await client.untilEnd(), new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nConnection: close\r\nDate: `));
    assert.equal(upstream.count(), 0);
  });
}

test('chunked passes in any casing, and over HTTP/1.0 it is 400', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  rawClient(t, port, `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n${BODY}`);
  assert.match(await (await upstream.next()).until('0\r\n\r\n'), /\r\nTransfer-Encoding: chunked\r\n/i);
  const old = rawClient(t, port, `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${BODY}`);
  assert.match(await old.untilEnd(), /^HTTP\/1\.1 400 /);
  assert.equal(upstream.count(), 1);
});

const SWITCHES = [
  '',
  'Upgrade: h2c\r\n',
  'Connection: upgrade\r\n',
  'Upgrade: websocket\r\nConnection: upgrade\r\n',
  'Content-Length: 0\r\n',
];

for (const lines of SWITCHES) {
  test(`a 101 that nobody asked for is 502, and its connection is not used again: ${lines || 'bare'}`, async (t) => {
    const upstream = await rawServer(t);
    const { port } = await front(t, tcpTarget(upstream.port));
    const client = rawClient(t, port, GET);
    const server = await upstream.next();
    await server.until('\r\n\r\n');
    server.write(`HTTP/1.1 101 Whatever\r\n${lines}\r\n`);
    assert.match(await client.until('reached'), /^HTTP\/1\.1 502 [^]*\r\nDate: /);
    await server.untilEnd();
    client.take();
    client.write(GET);
    const second = await upstream.next();
    await second.until('\r\n\r\n');
    second.write('HTTP/1.1 204 No Content\r\n\r\n');
    assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 204 /);
  });
}

for (const [node, knows, lengths] of [
  ['', true, [30_000, 30_000, 33_000]],
  [', in a Node without maxHeaderSize as long as its own limit', false, [15_000, 15_000, 17_000]],
] as const) {
  test(`the head of an answer may be as long as is configured, and no longer${node}`, async (t) => {
    if (!knows) keepFirstValue(t, ClientRequest.prototype, 'maxHeaderSize');
    const upstream = await rawServer(t);
    const { port } = await front(t, tcpTarget(upstream.port), { headerBytes: 32_768 });
    for (const [index, length] of lengths.entries()) {
      const client = rawClient(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      const server = await upstream.next();
      await server.until('\r\n\r\n');
      server.write(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nX: ${'x'.repeat(length)}\r\n\r\n`);
      server.socket.end();
      assert.match(await client.untilEnd(), new RegExp(`^HTTP/1\\.1 ${index < 2 ? 200 : 502} `));
    }
  });
}

test('no field of an answer is lost in silence: all that Node reads pass, or none', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port), { headerBytes: 32_768 });
  for (const [count, status] of [
    [1022, 200],
    [1023, 502],
  ] as const) {
    const client = rawClient(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const server = await upstream.next();
    await server.until('\r\n\r\n');
    const fields = Array.from({ length: count }, (_, at) => `X-${at}: 1\r\n`).join('');
    server.write(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${fields}\r\n`);
    const text = await client.untilEnd();
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
    if (status === 200) assert.equal(text.match(/^X-\d/gm)?.length, count);
    server.socket.destroy();
  }
});

for (const [what, hint, count] of [
  ['many', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 2000],
  ['large', `HTTP/1.1 103 Early Hints\r\nLink: </${'a'.repeat(10_000)}>\r\n\r\n`, 40],
  ['unknown', 'HTTP/1.1 199 What\r\n\r\n', 2000],
] as const) {
  test(`interim answers that are too ${what} are 502, and the upstream is let go`, async (t) => {
    const upstream = await rawServer(t);
    const { port, log } = await front(t, tcpTarget(upstream.port));
    const client = rawClient(t, port, GET);
    const server = await upstream.next();
    await server.until('\r\n\r\n');
    server.write(hint.repeat(count));
    await client.until('HTTP/1.1 502 ');
    await server.untilEnd();
    assert.match(JSON.stringify(log.lines), /interim answers/);
  });
}
