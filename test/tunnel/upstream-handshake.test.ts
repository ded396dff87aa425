import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import {
  connectRaw,
  fieldOf,
  type RawHttpPeer,
  startRawUpstream,
  switchingProtocols,
  tcpTarget,
  upgradeRequest,
} from '../support/raw-http.ts';
import { startHarness } from '../support/upgrade-harness.ts';

/** A port that nothing listens on. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const LIES: readonly (readonly [what: string, answer: (request: string) => string, detail: RegExp])[] = [
  ['a 101 with a wrong accept', (request) => switchingProtocols(request).replace(/Accept: ./, 'Accept: !'), /Accept/],
  [
    "a 101 with the accept of somebody else's key",
    () => switchingProtocols('Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'),
    /Accept/,
  ],
  ['a 101 without Upgrade', (request) => switchingProtocols(request).replace('Upgrade: websocket\r\n', ''), /Upgrade/],
  ['a 101 to h2c', (request) => switchingProtocols(request).replace('websocket', 'h2c'), /Upgrade/],
  ['another protocol', () => 'SSH-2.0-OpenSSH_9.2\r\n', /status line/],
  ['a bare LF', () => 'HTTP/1.1 101 Switching Protocols\n\n', /CRLF/],
  ['a folded field', () => 'HTTP/1.1 200 OK\r\nx: 1\r\n 2\r\n\r\n', /proper name/],
  ['a head too large', () => `HTTP/1.1 200 OK\r\n${'x: 1\r\n'.repeat(3000)}`, /larger than 16384/],
  ['interim heads without end', () => 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000), /larger than/],
  [
    'a length and chunks',
    () => 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    /contradicts/,
  ],
  ['two lengths', () => 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /Content-Length/],
];

for (const [what, answer, detail] of LIES) {
  test(`an upstream that answers with ${what} gets its client a 502`, async (t) => {
    const upstream = await startRawUpstream(t);
    const proxy = await startHarness(t, { upstream: upstream.target });
    const client = await connectRaw(t, proxy.port, `${upgradeRequest()}early`);
    const server = await upstream.peer();
    server.send(answer(await server.head()));
    assert.match(await client.end(), /^HTTP\/1\.1 502 [^]*answered, but not with a WebSocket\.$/);
    const [failure, ...others] = proxy.failures;
    assert.deepEqual([failure?.reason, failure?.status, others.length], ['upstream_invalid', 502, 0]);
    assert.match(failure?.detail ?? '', detail);
    await server.end();
    assert.ok(!server.text.includes('early'));
  });
}

for (const [what, answer, oddity] of [
  ['over HTTP/1.0', (request: string) => switchingProtocols(request).replace('HTTP/1.1', 'HTTP/1.0'), /HTTP\/1\.0/],
  [
    'with a subprotocol not offered',
    (request: string) => switchingProtocols(request, ['Sec-WebSocket-Protocol: x']),
    /subprotocol/,
  ],
  [
    'with an extension not offered',
    (request: string) => switchingProtocols(request, ['Sec-WebSocket-Extensions: x']),
    /extension/,
  ],
] as const) {
  test(`a 101 ${what} is odd and passes, with what it says`, async (t) => {
    const upstream = await startRawUpstream(t);
    const proxy = await startHarness(t, { upstream: upstream.target });
    const client = await connectRaw(t, proxy.port, upgradeRequest());
    const server = await upstream.peer();
    const sent = answer(await server.head());
    server.send(sent);
    const head = await client.head();
    assert.match(head, /^HTTP\/1\.1 101 /);
    for (const line of sent.split('\r\n').filter((each) => each.endsWith(': x'))) assert.ok(head.includes(line), line);
    assert.equal(proxy.odd.length, 1);
    assert.match(proxy.odd[0] ?? '', oddity);
  });
}

for (const [how, end] of [
  ['reset', (peer: RawHttpPeer) => peer.reset()],
  ['ended', (peer: RawHttpPeer) => peer.socket.end()],
] as const) {
  test(`a connection ${how} at any byte of the 101 is a 502`, async (t) => {
    const lengths: number[] = [];
    const upstream = await startRawUpstream(t, async (peer) => {
      const whole = switchingProtocols(await peer.head());
      lengths[0] ??= whole.length;
      const sent = whole.slice(0, upstream.peers.indexOf(peer));
      peer.socket.write(sent, 'latin1', () => end(peer));
    });
    const proxy = await startHarness(t, { upstream: upstream.target });
    const ask = async (): Promise<void> => {
      const client = await connectRaw(t, proxy.port, upgradeRequest());
      assert.match(await client.end(), /^HTTP\/1\.1 502 /);
      client.socket.end();
      await client.gone();
    };
    await ask();
    for (let sent = 1; sent < (lengths[0] ?? 0); sent += 1) await ask();
    assert.ok(proxy.failures.length > 100);
    assert.deepEqual([...new Set(proxy.failures.map(({ reason }) => reason))], ['upstream_invalid']);
    assert.equal(proxy.tunnels.length, 0);
  });
}

test('an upstream where nothing listens is a 502 that says so to the operator alone', async (t) => {
  const target = tcpTarget(await closedPort());
  const proxy = await startHarness(t, { upstream: target });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  assert.match(await client.end(), /^HTTP\/1\.1 502 [^]*\r\n\r\n-$/);
  const failure = await proxy.failure();
  assert.deepEqual([failure.reason, failure.status, proxy.failures.length], ['upstream_unreachable', 502, 1]);
  assert.match(failure.detail, /nothing listens there.*ECONNREFUSED/);
  assert.ok(failure.detail.includes(target.url));
});

test('an upstream that is a missing socket file is a 502', async (t) => {
  const path = '/nonexistent/upstream.sock';
  const proxy = await startHarness(t, {
    upstream: { address: { kind: 'unix', path }, tls: false, url: `unix:${path}` },
  });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  assert.match(await client.end(), /^HTTP\/1\.1 502 /);
  assert.match((await proxy.failure()).detail, /socket file does not exist/);
});

test('a TLS upstream that speaks plain text is a 502', async (t) => {
  const upstream = await startRawUpstream(t, (peer) => peer.send('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const proxy = await startHarness(t, { upstream: { ...upstream.target, tls: true } });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  assert.match(await client.end(), /^HTTP\/1\.1 502 /);
  const failure = await proxy.failure();
  assert.equal(failure.reason, 'upstream_unreachable');
  assert.match(failure.detail, /does not speak TLS/);
  assert.ok(!(await upstream.peer()).text.includes('secret'));
});

test('an upstream that does not answer in time is a 504, and is let go', async (t) => {
  const upstream = await startRawUpstream(t, (peer) => peer.send('HTTP/1.1 101 Swi'));
  const proxy = await startHarness(t, { upstream: upstream.target, timeouts: { handshake: 50 } });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  assert.match(await client.end(), /^HTTP\/1\.1 504 /);
  const failure = await proxy.failure();
  assert.deepEqual([failure.reason, failure.status, proxy.failures.length], ['upstream_timeout', 504, 1]);
  assert.match(failure.detail, /did not answer within 50 ms \(timeouts\.handshake\)/);
  await (await upstream.peer()).end();
});

test('an upstream that does not finish TLS in time is a 504 of its own', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: { ...upstream.target, tls: true }, timeouts: { connect: 50 } });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  assert.match(await client.end(), /^HTTP\/1\.1 504 /);
  const failure = await proxy.failure();
  assert.equal(failure.reason, 'upstream_timeout');
  assert.match(failure.detail, /could not be connected within 50 ms \(timeouts\.connect\)/);
  await (await upstream.peer()).end();
});

test('the limit for the whole handshake also counts while connecting', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: { ...upstream.target, tls: true }, timeouts: { handshake: 50 } });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  assert.match(await client.end(), /^HTTP\/1\.1 504 /);
  assert.match((await proxy.failure()).detail, /could not be connected within 50 ms \(timeouts\.handshake\)/);
});

for (const [how, leave] of [
  ['resets', (peer: RawHttpPeer) => peer.reset()],
  ['ends', (peer: RawHttpPeer) => peer.socket.end()],
] as const) {
  test(`a client that ${how} before the answer releases the upstream at once`, async (t) => {
    const upstream = await startRawUpstream(t);
    const proxy = await startHarness(t, { upstream: upstream.target });
    const client = await connectRaw(t, proxy.port, upgradeRequest());
    const server = await upstream.peer();
    await server.head();
    leave(client);
    await server.end();
    assert.deepEqual(
      proxy.failures.map(({ reason, status }) => [reason, status]),
      [['client_gone', 0]],
    );
    assert.equal(proxy.tunnels.length, 0);
  });
}

test('a client that is gone before its upgrade is told of has left, and nobody is dialled', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target, onUpgrade: (socket) => socket.destroy() });
  await connectRaw(t, proxy.port, upgradeRequest());
  assert.equal((await proxy.failure()).reason, 'client_gone');
  assert.equal(upstream.peers.length, 0);
});

test('a client that is destroyed when the 101 comes makes no tunnel', async (t) => {
  const upstream = await startRawUpstream(t);
  const onUpgrade = (socket: Duplex): unknown => socket.on('data', () => socket.destroy());
  const proxy = await startHarness(t, { upstream: upstream.target, onUpgrade });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const server = await upstream.peer();
  const answer = switchingProtocols(await server.head());
  // Both arrive in one turn of the loop, in this order; the close event comes at its end.
  client.send('x');
  server.send(answer);
  await server.end();
  assert.deepEqual(
    proxy.failures.map(({ reason }) => reason),
    ['client_gone'],
  );
  assert.equal(proxy.tunnels.length, 0);
});

test('fields of the request are nowhere in a failure', async (t) => {
  const proxy = await startHarness(t, { upstream: tcpTarget(await closedPort()) });
  const add = ['Cookie: token=secret', 'Authorization: Bearer secret', 'Sec-WebSocket-Protocol: secret'];
  const client = await connectRaw(t, proxy.port, upgradeRequest({ add }));
  const text = await client.end();
  assert.deepEqual(fieldOf(text, 'connection'), ['close']);
  assert.ok(!JSON.stringify([proxy.failures, text]).includes('secret'));
});

test('an upstream that has a name is reached, and told of where it is not', async (t) => {
  const upstream = await startRawUpstream(t);
  const named = tcpTarget(Number(new URL(upstream.target.url).port), 'localhost');
  const proxy = await startHarness(t, { upstream: named });
  await connectRaw(t, proxy.port, upgradeRequest());
  const server = await upstream.peer();
  server.send(switchingProtocols(await server.head()));
  const { upstream: socket } = await proxy.tunnel();
  assert.equal(socket.destroyed, false);
  const nobody = await startHarness(t, { upstream: tcpTarget(await closedPort(), 'localhost') });
  const refused = await connectRaw(t, nobody.port, upgradeRequest());
  assert.match(await refused.end(), /^HTTP\/1\.1 502 /);
  assert.equal(nobody.failures[0]?.reason, 'upstream_unreachable');
  assert.match(nobody.failures[0]?.detail ?? '', /ECONNREFUSED/);
});
