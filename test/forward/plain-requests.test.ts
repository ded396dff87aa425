import assert from 'node:assert/strict';
import { test } from 'node:test';
import { front, rawClient, rawServer, tcpTarget } from '../support/http.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

for (const [limits, status, reason] of [
  [{ requests: 1, requestsPerIp: Infinity }, 503, 'limit'],
  [{ requests: Infinity, requestsPerIp: 1 }, 429, 'limit_per_ip'],
] as const) {
  test(`one request too many is ${status} with Retry-After, and the next finds the place that was given back`, async (t) => {
    const upstream = await rawServer(t);
    const { port, log, requests, refusals, over } = await front(t, tcpTarget(upstream.port), {}, limits);
    const first = rawClient(t, port, GET);
    const server = await upstream.next();
    await server.until('\r\n\r\n');
    const second = rawClient(t, port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n`);
    assert.match(await second.until('\r\n\r\n'), new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nRetry-After: 5\r\n`));
    server.write('HTTP/1.1 204 No Content\r\n\r\n');
    await first.until('204');
    await over(2);
    second.take();
    second.write(`hello${GET}`);
    await server.until('\r\n\r\nGET');
    server.write('HTTP/1.1 204 No Content\r\n\r\n');
    await second.until('204');
    assert.deepEqual(requests[0], ['alpha', status]);
    assert.deepEqual(refusals, [reason]);
    assert.equal(log.lines.filter(({ level }) => level === 'warn').length, 1);
  });
}

for (const [what, request, reason] of [
  ['a second Host', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'bad_host'],
  ['a coding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 'transfer_coding'],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 'method'],
  ['HTTP/0.9', 'GET / HTTP/0.9\r\nHost: a\r\n\r\n', 'version'],
  ['a target without a path', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['too many fields', `GET / HTTP/1.1\r\nHost: a\r\n${'a: b\r\n'.repeat(257)}\r\n`, 'header_limit'],
] as const) {
  test(`${what} is counted as ${reason}`, async (t) => {
    const { port, refusals, over } = await front(t, tcpTarget(1));
    await rawClient(t, port, request).until('\r\n\r\n');
    await over(1);
    assert.deepEqual(refusals, [reason]);
  });
}

test('a handshake without its Upgrade is a failed upgrade and no refused request', async (t) => {
  const { port, failures, refusals, over } = await front(t, tcpTarget(1));
  await rawClient(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: x\r\n\r\n').until('\r\n\r\n');
  await over(1);
  assert.equal(failures.length, 1);
  assert.deepEqual(refusals, []);
});
