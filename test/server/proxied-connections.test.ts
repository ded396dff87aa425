import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { type RunningApp, startApp } from '../support/app.ts';
import { startNginxStream, startTcpHaproxy } from '../support/proxy-heads.ts';
import {
  connectRaw,
  fieldOf,
  type RawUpstream,
  startRawUpstream,
  switchingProtocols,
  upgradeRequest,
} from '../support/raw-http.ts';
import { skipWithout } from '../support/requirements.ts';

const HEAD = 'PROXY TCP4 203.0.113.7 10.0.0.5 54321 443\r\n';
const PLAIN = 'GET /page HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n';

/** It upgrades what asks for that, and answers all else with 204. */
async function start(
  t: TestContext,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ running: RunningApp; upstream: RawUpstream }> {
  const upstream = await startRawUpstream(t, async (peer) => {
    const head = await peer.head();
    peer.send(
      /^Upgrade: websocket/im.test(head)
        ? switchingProtocols(head)
        : 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n',
    );
  });
  const all = { UPSTREAM: upstream.target.url, PROXY_PROTOCOL: 'on', TRUSTED_PROXIES: '127.0.0.1', ...settings };
  return { running: await startApp(t, all), upstream };
}

async function told(upstream: RawUpstream, index = 0): Promise<string[]> {
  const head = await (await upstream.peer(index)).head();
  return [...fieldOf(head, 'X-Real-IP'), ...fieldOf(head, 'X-Forwarded-For')];
}

test('plain HTTP behind a head is served, and the address in the head is the client', async (t) => {
  const { running, upstream } = await start(t);
  const client = await connectRaw(t, running.port, HEAD + PLAIN);
  assert.match(await client.head(), /^HTTP\/1\.1 204 /);
  assert.deepEqual(await told(upstream), ['203.0.113.7', '203.0.113.7']);
});

test('forwarding fields are believed if the address in the head is trusted', async (t) => {
  const { running, upstream } = await start(t, { TRUSTED_PROXIES: '127.0.0.1, 203.0.113.7' });
  const client = await connectRaw(t, running.port, HEAD + PLAIN);
  await client.head();
  assert.deepEqual(await told(upstream), ['192.0.2.1', '192.0.2.1, 203.0.113.7']);
});

test('a WebSocket behind a head becomes a tunnel; the client is from the head, the front is the peer', async (t) => {
  const { running } = await start(t);
  const client = await connectRaw(t, running.port, HEAD + upgradeRequest());
  assert.match(await client.head(), /^HTTP\/1\.1 101 /);
  const [info] = running.opened;
  assert.deepEqual([info?.client, info?.front, info?.frontIsKnown], ['203.0.113.7', '127.0.0.1', true]);
  client.reset();
  await running.until(() => running.closed.length === 1, 'its end');
});

test('a head that tells nothing leaves the peer its own address', async (t) => {
  const { running, upstream } = await start(t);
  const client = await connectRaw(t, running.port, `PROXY UNKNOWN\r\n${PLAIN}`);
  await client.head();
  assert.deepEqual(await told(upstream), ['192.0.2.1', '192.0.2.1, 127.0.0.1']);
});

test('a head byte by byte, and two requests on its connection', async (t) => {
  const { running, upstream } = await start(t);
  const client = await connectRaw(t, running.port);
  for (const char of HEAD) client.send(char);
  client.send(PLAIN);
  await client.until('204');
  client.send(PLAIN.replace('/page', '/second'));
  assert.deepEqual(await told(upstream, 1), ['203.0.113.7', '203.0.113.7']);
});

test('an Upgrade that is ignored keeps its address and needs no second head', async (t) => {
  const { running, upstream } = await start(t);
  const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n';
  const client = await connectRaw(t, running.port, HEAD + request);
  assert.match(await client.head(), /^HTTP\/1\.1 204 /);
  assert.deepEqual(await told(upstream), ['203.0.113.7', '203.0.113.7']);
});

describe('a connection is ended and counted as a bad request', () => {
  const cases: readonly (readonly [string, string, Readonly<Record<string, string>>, RegExp])[] = [
    ['without a head', PLAIN, {}, /does not begin with a PROXY head/],
    ['with a bad head', 'PROXY TCP4 x y 1 2\r\n', {}, /two addresses/],
    ['from a peer that is not trusted', HEAD + PLAIN, { TRUSTED_PROXIES: '192.0.2.0/24' }, /not in trusted_proxies/],
    ['when its head does not come', 'PROXY TCP4', { TIMEOUTS_HANDSHAKE: '50ms' }, /did not come in time/],
  ];
  for (const [name, bytes, settings, detail] of cases) {
    test(name, async (t) => {
      const { running, upstream } = await start(t, settings);
      const client = await connectRaw(t, running.port, bytes);
      assert.equal(await client.end(), '');
      await running.until(() => running.failures.length === 1, 'the failure');
      const [failure] = running.failures;
      assert.deepEqual([failure?.reason, failure?.client, failure?.route], ['bad_request', '127.0.0.1', 'none']);
      assert.match(failure?.detail ?? '', detail);
      assert.equal(upstream.peers.length, 0);
    });
  }

  test('when it ends inside its head', async (t) => {
    const { running } = await start(t);
    const client = await connectRaw(t, running.port, 'PROXY');
    client.socket.end();
    await running.until(() => running.failures.length === 1, 'the failure');
  });
});

test('a connection that ends without a byte is a check of the port, and nobody is told', async (t) => {
  const { running } = await start(t);
  const check = await connectRaw(t, running.port);
  check.socket.end();
  await check.end();
  const client = await connectRaw(t, running.port, HEAD + PLAIN);
  await client.head();
  assert.deepEqual(running.failures, []);
});

test('a connection that still waits for its head does not keep the proxy from stopping', async (t) => {
  const { running } = await start(t, { TIMEOUTS_HANDSHAKE: '1h' });
  const client = await connectRaw(t, running.port, 'PROXY');
  const served = await connectRaw(t, running.port, HEAD + PLAIN);
  await served.head();
  await running.app.close();
  await client.end();
});

for (const send of ['send-proxy', 'send-proxy-v2']) {
  test(`HAProxy with ${send}: its health checks pass, and clients have their address`, {
    skip: skipWithout('haproxy'),
  }, async (t) => {
    const { running } = await start(t);
    const { port } = await startTcpHaproxy(t, running.port, send);
    const client = await connectRaw(t, port, upgradeRequest());
    assert.match(await client.head(), /^HTTP\/1\.1 101 /);
    assert.equal(running.opened[0]?.client, '127.0.0.1');
    assert.deepEqual(running.failures, []);
    client.reset();
    await running.until(() => running.closed.length === 1, 'its end');
  });
}

test('nginx stream with proxy_protocol on', { skip: skipWithout('nginx', 'libnginx-mod-stream') }, async (t) => {
  const { running } = await start(t);
  const { port } = await startNginxStream(t, running.port);
  const client = await connectRaw(t, port, upgradeRequest());
  assert.match(await client.head(), /^HTTP\/1\.1 101 /);
  client.reset();
  await running.until(() => running.closed.length === 1, 'its end');
});
