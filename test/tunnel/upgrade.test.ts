import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  ACCEPT,
  KEY,
  connectRaw,
  fieldOf,
  startRawUpstream,
  switchingProtocols,
  upgradeRequest,
} from '../support/raw-http.ts';
import type { TunnelParts } from '../../src/tunnel/connection.ts';
import { startHarness } from '../support/upgrade-harness.ts';

test('a WebSocket request becomes a tunnel, and the client gets its own accept', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const server = await upstream.peer();
  const request = await server.head();
  server.send(switchingProtocols(request, ['Set-Cookie: a=1', 'set-cookie: b=2', 'X-Thing: Caf\xe9']));
  assert.equal(
    await client.head(),
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${ACCEPT}\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Thing: Caf\xe9\r\n\r\n`,
  );
  const { client: socket, info, route, isExtended } = await proxy.tunnel();
  assert.equal(socket.isPaused(), true);
  assert.match(info.id, /^[0-9a-f]{10}$/);
  assert.deepEqual(info, {
    id: info.id,
    route: 'default',
    client: '127.0.0.1',
    front: '127.0.0.1',
    frontIsKnown: false,
    path: '/ws?password=[redacted]',
    upstream: undefined,
    request: { host: '', userAgent: '', requestId: 'r1' },
  });
  assert.equal(route.name, 'default');
  assert.equal(isExtended, false);
  assert.deepEqual(proxy.failures, []);
});

test("the upstream is asked with a key of the proxy's own and the client's fields in order and casing", async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target });
  const lines = [
    'COOKIE: a=1',
    'x-twice: 1',
    'X-Twice: 2',
    'Sec-WebSocket-Protocol: b, A',
    'sec-websocket-protocol: c',
  ];
  const offers = ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits', 'Authorization: Basic eDp5'];
  await connectRaw(t, proxy.port, upgradeRequest({ add: [...lines, ...offers] }));
  const request = await (await upstream.peer()).head();
  const key = fieldOf(request, 'sec-websocket-key');
  assert.deepEqual(
    request,
    [
      'GET /ws?password=secret HTTP/1.1',
      'Host: rooms.example.com',
      ...lines,
      ...offers,
      'X-Request-ID: r1',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${key[0]}`,
      '',
      '',
    ].join('\r\n'),
  );
  assert.notEqual(key[0], KEY);
  assert.equal(Buffer.from(key[0] ?? '', 'base64').length, 16);
});

test('a subprotocol and an extension that the upstream chose reach the client', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target });
  const add = ['Sec-WebSocket-Protocol: a, b', 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'];
  const client = await connectRaw(t, proxy.port, upgradeRequest({ add }));
  const server = await upstream.peer();
  const chosen = [
    'Sec-WebSocket-Protocol: b',
    'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9',
  ];
  server.send(switchingProtocols(await server.head(), chosen));
  assert.ok((await client.head()).endsWith(`${chosen.join('\r\n')}\r\n\r\n`));
  assert.equal((await proxy.tunnel()).isExtended, true);
});

/** What the client sent before the tunnel: the part that was held, and what waits in its socket. */
async function earlyBytes({ client, clientHead }: TunnelParts, length: number): Promise<string> {
  let text = clientHead.toString('latin1');
  if (text.length >= length) return text;
  for await (const chunk of client.iterator({ destroyOnReturn: false })) {
    text += (chunk as Buffer).toString('latin1');
    if (text.length >= length) break;
  }
  return text;
}

test('early bytes of the client wait for the tunnel, in order', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target });
  const client = await connectRaw(t, proxy.port, `${upgradeRequest()}one`);
  const server = await upstream.peer();
  const request = await server.head();
  client.send('two');
  server.send(switchingProtocols(request));
  const parts = await proxy.tunnel();
  assert.match(parts.clientHead.toString(), /^one/);
  assert.equal(await earlyBytes(parts, 6), 'onetwo');
  assert.ok(server.text.endsWith('\r\n\r\n'));
});

test('more early bytes than fit wait in the socket, and none is lost', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const early = Buffer.alloc(2 ** 24, 'early bytes, ').toString('latin1');
  client.send(early);
  const server = await upstream.peer();
  server.send(switchingProtocols(await server.head()));
  const parts = await proxy.tunnel();
  assert.ok(parts.clientHead.length < 256 * 1024, `${parts.clientHead.length} bytes held`);
  assert.equal(parts.client.isPaused(), true);
  assert.ok((await earlyBytes(parts, early.length)) === early);
});

test('frames right behind the 101, in the same packet, are handed over', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target });
  await connectRaw(t, proxy.port, upgradeRequest());
  const server = await upstream.peer();
  server.send(`${switchingProtocols(await server.head())}\x81\x02hi`);
  const { upstreamRest } = await proxy.tunnel();
  assert.deepEqual([...upstreamRest], [0x81, 0x02, 0x68, 0x69]);
});

test('what comes after the 101 goes to the reader', async (t) => {
  const upstream = await startRawUpstream(t);
  let arrived: (text: string) => void = () => {};
  const text = new Promise<string>((resolve) => (arrived = resolve));
  const proxy = await startHarness(t, {
    upstream: upstream.target,
    deps: {
      openTunnel: ({ client, upstream: opened, upstreamReader }) => {
        t.after(() => [client.destroy(), opened.destroy()]);
        upstreamReader.sink = {
          onChunk(chunk) {
            arrived(chunk.toString('latin1'));
            return true;
          },
        };
      },
    },
  });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const server = await upstream.peer();
  server.send(switchingProtocols(await server.head()));
  await client.head();
  server.send('\x81\x02hi');
  assert.equal(await text, '\x81\x02hi');
});

test('interim answers before the 101 are skipped', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const server = await upstream.peer();
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
  server.send(`HTTP/1.1 100 Continue\r\n\r\n${hints}${switchingProtocols(await server.head())}`);
  assert.match(await client.head(), /^HTTP\/1\.1 101 /);
});

test('a 101 that comes byte by byte makes a tunnel', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const server = await upstream.peer();
  for (const byte of switchingProtocols(await server.head())) {
    await new Promise((resolve) => server.socket.write(byte, 'latin1', resolve));
    await nextTurn();
  }
  assert.match(await client.head(), /^HTTP\/1\.1 101 /);
});

test('after the hand-over nothing of the handshake is left on either socket', async (t) => {
  const upstream = await startRawUpstream(t);
  const counts: Record<string, number>[] = [];
  const proxy = await startHarness(t, {
    upstream: upstream.target,
    deps: {
      openTunnel: (parts) => {
        t.after(() => [parts.client.destroy(), parts.upstream.destroy()]);
        for (const socket of [parts.client, parts.upstream]) {
          const events = ['data', 'error', 'close', 'drain', 'finish', 'timeout', 'connect', 'readable'];
          counts.push(Object.fromEntries(events.map((event) => [event, socket.listenerCount(event)])));
          // Node's own one, which every socket has.
          counts.push({ end: socket.listenerCount('end') });
        }
      },
    },
  });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const server = await upstream.peer();
  server.send(switchingProtocols(await server.head()));
  await client.head();
  const none = { data: 0, error: 0, close: 0, drain: 0, finish: 0, timeout: 0, connect: 0, readable: 0 };
  assert.deepEqual(counts, [none, { end: 1 }, none, { end: 1 }]);
});

test('of open tunnels only the newest keeps its request alive, so that V8 keeps what it has learned', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const upstream = await startRawUpstream(t);
  const requests: WeakRef<object>[] = [];
  const proxy = await startHarness(t, {
    upstream: upstream.target,
    deps: {
      resolveClient: (peer, headers) => {
        if (headers.length > 0) requests.push(new WeakRef(headers));
        return peer;
      },
    },
  });
  for (const index of [0, 1]) {
    const client = await connectRaw(t, proxy.port, upgradeRequest());
    const server = await upstream.peer(index);
    server.send(switchingProtocols(await server.head()));
    await client.head();
  }
  for (let turn = 0; turn < 50 && requests[0]?.deref() !== undefined; turn += 1) {
    await nextTurn();
    collect();
  }
  assert.deepEqual(
    requests.map((request) => request.deref() !== undefined),
    [false, true],
  );
});
