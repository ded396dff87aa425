/** The probe endpoint behind a bare http server, asked by `ws` clients and by raw ones. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type TestContext, test as nodeTest } from 'node:test';
import { WebSocket } from 'ws';
import {
  isProbeTarget,
  MAX_PROBES_PER_CLIENT,
  PROBE_PATH,
  PROBE_PROTOCOL,
  ProbeEndpoint,
} from '../../src/tunnel/probe.ts';
import { atEnd } from '../support/cleanup.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { listen, rawClient } from '../support/http.ts';

/** A socket that is not ended, or not answered, would be waited for. */
function test(name: string, body: (t: TestContext) => unknown): void {
  void nodeTest(name, { timeout: 10_000 }, async (t) => {
    await body(t);
  });
}

interface Harness {
  readonly port: number;
  readonly clock: FakeClock;
  readonly endpoint: ProbeEndpoint;
  /** Whom the next clients pass for. */
  client: string;
}

async function startProbe(t: TestContext): Promise<Harness> {
  const clock = new FakeClock();
  const endpoint = new ProbeEndpoint({ clock, resolveClient: () => harness.client });
  const server = createServer().on('upgrade', endpoint.handle);
  const harness = { port: await listen(t, server), clock, endpoint, client: '192.0.2.1' };
  return harness;
}

function dial(t: TestContext, port: number, target = PROBE_PATH, protocols = [PROBE_PROTOCOL]): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${target}`, protocols);
  atEnd(t, () => socket.terminate());
  socket.on('error', () => undefined);
  return socket;
}

async function open(t: TestContext, port: number, target?: string): Promise<WebSocket> {
  const socket = dial(t, port, target);
  await once(socket, 'open');
  return socket;
}

/** Status of the refusal. */
async function refusal(t: TestContext, port: number, target?: string): Promise<number | undefined> {
  const socket = dial(t, port, target);
  const [request, response] = (await once(socket, 'unexpected-response')) as [
    { destroy(): void },
    { statusCode?: number },
  ];
  request.destroy();
  return response.statusCode;
}

async function echo(socket: WebSocket, text: string): Promise<string> {
  socket.send(text);
  const [data] = (await once(socket, 'message')) as [Buffer];
  return data.toString();
}

async function closeOf(socket: WebSocket): Promise<[number, string]> {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return [code, reason.toString()];
}

test('its path is found under every prefix, and nowhere else', () => {
  for (const target of [PROBE_PATH, `/room/alpha${PROBE_PATH}`, `${PROBE_PATH}?silent=1s`])
    assert.equal(isProbeTarget(target), true, target);
  for (const target of ['/', '/ws', `${PROBE_PATH}/`, `${PROBE_PATH}s`, `/ws?next=${PROBE_PATH}`])
    assert.equal(isProbeTarget(target), false, target);
});

test('a socket says nothing until it is spoken to, and then the same', async (t) => {
  const { port } = await startProbe(t);
  const socket = await open(t, port);
  const seen: string[] = [];
  socket.on('message', (data: Buffer) => seen.push(data.toString()));
  socket.on('ping', () => seen.push('ping'));
  assert.equal(socket.protocol, PROBE_PROTOCOL);
  assert.equal(socket.extensions, '');
  assert.equal(await echo(socket, 'still here?'), 'still here?');
  assert.deepEqual(seen, ['still here?']);
});

test('its end comes with its time, a while after the silence that was asked for', async (t) => {
  const { port, clock } = await startProbe(t);
  const socket = await open(t, port, `${PROBE_PATH}?silent=31s`);
  clock.advance(45_999);
  assert.equal(await echo(socket, 'a'), 'a');
  clock.advance(1);
  assert.deepEqual(await closeOf(socket), [1013, 'the time of this probe is over']);
  assert.equal(clock.armed, 0);
});

test('without a action it is there for a minute, and milliseconds can be asked for', async (t) => {
  const { port, clock } = await startProbe(t);
  const short = await open(t, port, `/room/alpha${PROBE_PATH}?silent=500ms`);
  const long = await open(t, port);
  clock.advance(15_500);
  assert.equal((await closeOf(short))[0], 1013);
  assert.equal(await echo(long, 'a'), 'a');
  clock.advance(59_500);
  assert.equal((await closeOf(long))[0], 1013);
});

test('a action that is no time, or too long a one, is refused', async (t) => {
  const { port } = await startProbe(t);
  for (const action of ['', '31', '-1s', '901s', '1h', '1e3s', 'NaN'])
    assert.equal(await refusal(t, port, `${PROBE_PATH}?silent=${action}`), 400, action);
  await open(t, port, `${PROBE_PATH}?silent=900s`);
});

test('a client that left takes its timer along', async (t) => {
  const { port, clock } = await startProbe(t);
  const socket = await open(t, port);
  assert.equal(clock.armed, 1);
  socket.close();
  await once(socket, 'close');
  assert.equal(clock.armed, 0);
});

test('a ninth question, Pings included, is one too many', async (t) => {
  const { port } = await startProbe(t);
  const socket = await open(t, port);
  for (let count = 0; count < 4; count += 1) {
    assert.equal(await echo(socket, 'a'), 'a');
    socket.ping();
  }
  socket.send('a');
  assert.equal((await closeOf(socket))[0], 1008);
});

test('a message beyond 125 bytes ends the socket', async (t) => {
  const { port } = await startProbe(t);
  const socket = await open(t, port);
  assert.equal((await echo(socket, 'x'.repeat(125))).length, 125);
  socket.send('x'.repeat(126));
  assert.equal((await closeOf(socket))[0], 1009);
});

test('one client may have so many sockets, and others are still let in', async (t) => {
  const harness = await startProbe(t);
  const sockets = [];
  for (let count = 0; count < MAX_PROBES_PER_CLIENT; count += 1) sockets.push(await open(t, harness.port));
  assert.equal(await refusal(t, harness.port), 429);
  harness.client = '192.0.2.2';
  await open(t, harness.port);
  harness.client = '192.0.2.1';
  sockets[0]?.close();
  await once(sockets[0] as WebSocket, 'close');
  await open(t, harness.port);
});

test('one client may come so often in a minute', async (t) => {
  const harness = await startProbe(t);
  for (let count = 0; count < 32; count += 1) {
    const socket = await open(t, harness.port);
    socket.close();
    await once(socket, 'close');
  }
  assert.equal(await refusal(t, harness.port), 429);
  harness.clock.advance(60_000);
  await open(t, harness.port);
});

test('all clients together may have so many sockets', async (t) => {
  const harness = await startProbe(t);
  for (let count = 0; count < 64; count += 1) {
    harness.client = `192.0.2.${count}`;
    await open(t, harness.port);
  }
  harness.client = '192.0.2.200';
  assert.equal(await refusal(t, harness.port), 429);
});

test('a handshake over HTTP/1.0 is told what nginx lacks', async (t) => {
  const { port } = await startProbe(t);
  const client = rawClient(
    t,
    port,
    `GET ${PROBE_PATH} HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  const answer = await client.untilEnd();
  assert.match(answer, /^HTTP\/1\.1 426 .*proxy_http_version 1\.1;/s);
});

test('a proxy that stops says so, and does not wait for those who do not answer', async (t) => {
  const { port, endpoint } = await startProbe(t);
  const socket = await open(t, port);
  const deaf = rawClient(
    t,
    port,
    `GET ${PROBE_PATH} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  await deaf.until('\r\n\r\n');
  endpoint.close();
  assert.deepEqual(await closeOf(socket), [1012, 'proxy is stopping']);
  endpoint.destroy();
  assert.match(await deaf.untilEnd(), /proxy is stopping$/);
});
