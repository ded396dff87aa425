import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRaw, fieldOf, KEY, type RequestParts, startRawUpstream, upgradeRequest } from '../support/raw-http.ts';
import { routeTo } from '../support/routes.ts';
import { startHarness } from '../support/upgrade-harness.ts';

const REFUSED: readonly (readonly [what: string, request: RequestParts, status: number, reason: string])[] = [
  ['a POST', { line: 'POST /ws HTTP/1.1' }, 400, 'bad_request'],
  ['a body', { set: { 'Content-Length': '5' } }, 400, 'bad_request'],
  ['a chunked body', { set: { 'Transfer-Encoding': 'chunked' } }, 400, 'bad_request'],
  ['HTTP/1.0', { line: 'GET /ws HTTP/1.0' }, 426, 'bad_request'],
  ['no Host over HTTP/1.0', { line: 'GET /ws HTTP/1.0', set: { Host: null } }, 426, 'bad_request'],
  ['two Hosts', { add: ['Host: other'] }, 400, 'bad_request'],
  ['no key', { set: { 'Sec-WebSocket-Key': null } }, 400, 'bad_request'],
  ['a short key', { set: { 'Sec-WebSocket-Key': 'AAAA' } }, 400, 'bad_request'],
  ['two keys', { add: [`sec-websocket-key: ${KEY}`] }, 400, 'bad_request'],
  ['version 12', { set: { 'Sec-WebSocket-Version': '12' } }, 426, 'bad_request'],
  ['no version', { set: { 'Sec-WebSocket-Version': null } }, 426, 'bad_request'],
  ['the target *', { line: 'GET * HTTP/1.1' }, 400, 'bad_request'],
  ['a path that no route has', { line: 'GET /roomy HTTP/1.1' }, 404, 'no_route'],
  ['no origin', { line: 'GET /room HTTP/1.1' }, 403, 'origin'],
  ['the origin null', { line: 'GET /room HTTP/1.1', set: { Origin: 'null' } }, 403, 'origin'],
  ['another origin', { line: 'GET /room HTTP/1.1', set: { Origin: 'https://ok.example.evil' } }, 403, 'origin'],
  [
    'two origins',
    { line: 'GET /room HTTP/1.1', add: ['Origin: https://ok.example', 'Origin: https://x'] },
    403,
    'origin',
  ],
];

for (const [what, request, status, reason] of REFUSED) {
  test(`a request with ${what} is refused with ${status} before the upstream is dialled`, async (t) => {
    const upstream = await startRawUpstream(t);
    const settings = {
      routes: [routeTo(upstream.target, 'room', { path: '/room' })],
      allowedOrigins: ['https://ok.example'],
    };
    const proxy = await startHarness(t, { upstream: upstream.target, settings });
    const client = await connectRaw(t, proxy.port, upgradeRequest(request));
    const head = await client.head();
    await client.end();
    assert.equal(head.split(' ')[1], String(status));
    if (status === 426) assert.deepEqual(fieldOf(head, 'sec-websocket-version'), ['13']);
    assert.deepEqual(
      proxy.failures.map((failure) => [failure.reason, failure.status, failure.route, failure.client]),
      [[reason, status, reason === 'origin' ? 'room' : 'none', '127.0.0.1']],
    );
    assert.equal(upstream.peers.length, 0);
  });
}

test('the listed origin is let in', async (t) => {
  const upstream = await startRawUpstream(t);
  const settings = { allowedOrigins: ['https://ok.example'] };
  const proxy = await startHarness(t, { upstream: upstream.target, settings });
  await connectRaw(t, proxy.port, upgradeRequest({ set: { Origin: 'https://ok.example' } }));
  assert.deepEqual(fieldOf(await (await upstream.peer()).head(), 'origin'), ['https://ok.example']);
});

for (const [target, sent] of [
  ['http://evil.net/ws?a', '/ws?a'],
  ['//evil.net/ws', '//evil.net/ws'],
  ['/@evil.net/a\\b', '/@evil.net/a\\b'],
  ['/%0d%0aX:%20y/../ws', '/%0d%0aX:%20y/../ws'],
] as const) {
  test(`the target ${target} goes to the configured upstream as ${sent}`, async (t) => {
    const upstream = await startRawUpstream(t);
    const proxy = await startHarness(t, { upstream: upstream.target });
    await connectRaw(t, proxy.port, upgradeRequest({ line: `GET ${target} HTTP/1.1` }));
    const request = await (await upstream.peer()).head();
    assert.equal(request.split('\r\n')[0], `GET ${sent} HTTP/1.1`);
  });
}

test('a client over a limit is told when to come back, and the upstream is not dialled', async (t) => {
  const upstream = await startRawUpstream(t);
  const asked: string[] = [];
  const proxy = await startHarness(t, {
    upstream: upstream.target,
    deps: {
      admit: (client) => {
        asked.push(client);
        return { status: 503, detail: 'full', retryAfter: 7 };
      },
    },
  });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const text = await client.end();
  assert.match(text, /^HTTP\/1\.1 503 /);
  assert.deepEqual(fieldOf(text, 'retry-after'), ['7']);
  assert.deepEqual([asked, upstream.peers.length], [['127.0.0.1'], 0]);
  assert.deepEqual([proxy.failures[0]?.reason, proxy.failures[0]?.detail], ['limit', 'full']);
});
