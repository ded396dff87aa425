/** What goes wrong a thousand times costs no more than what goes wrong once. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { App } from '../../src/app.ts';
import { settingsOf } from '../support/app.ts';
import { tcpTarget } from '../support/http.ts';
import { switchingProtocols, upgradeRequest } from '../support/raw-http.ts';
import { SILENT } from '../support/reports.ts';
import { descriptors, heapInUse, timers, untilAtMost } from '../support/resources.ts';
import { Scope } from '../support/scope.ts';

const TIMES = 1000;
/** Before anything is measured: code is compiled, pools are filled. */
const WARM_UP = 300;
const AT_ONCE = 25;
/** Bytes for each time; a socket that is kept costs thousands. */
const NOISE = 1500;

const nothing = (): void => undefined;
const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const warnings: string[] = [];
process.on('warning', (warning) => warnings.push(warning.message));

const scope = new Scope();
let app: App;
let port: number;

/** Peers are not kept: what is measured is the proxy. */
before(async () => {
  const upstream = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', nothing);
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => answer(socket, chunk.toString('latin1')));
  }).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const nobody = createServer().listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const closedPort = (nobody.address() as AddressInfo).port;
  nobody.close();
  const settings = settingsOf({
    UPSTREAM: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
    // What is kept too long is not let go by a deadline.
    TIMEOUTS_HANDSHAKE: '1h',
    TIMEOUTS_STALL: '1h',
    KEEPALIVE_PING_INTERVAL: '1h',
    KEEPALIVE_UPSTREAM_PING_INTERVAL: '1h',
  });
  const [fallback] = settings.routes;
  assert.ok(fallback);
  const unreachable = {
    ...fallback,
    name: 'unreachable',
    path: '/unreachable',
    upstreams: [tcpTarget(closedPort)],
  };
  app = new App({ settings: { ...settings, routes: [unreachable, fallback] }, log, observer: SILENT });
  const [address] = await app.listen();
  port = address?.kind === 'tcp' ? address.port : 0;
  scope.after(async () => {
    await app.close();
    upstream.close();
  });
});

after(() => scope.undo());

function answer(socket: Socket, head: string): void {
  if (head.startsWith('GET /refused')) socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
  else if (head.startsWith('GET /open')) socket.write(switchingProtocols(head));
  else if (head.startsWith('GET /lies')) socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
}

/** One client: sends this, and resets when `leave` is through. */
async function visit(text: string, leave: (socket: Socket) => Promise<unknown>): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', nothing);
  await once(socket, 'connect');
  socket.write(text, 'latin1');
  await leave(socket);
  socket.resetAndDestroy();
  if (!socket.closed) await once(socket, 'close');
}

const answered = (socket: Socket): Promise<unknown> => once(socket, 'data');
const sent = (socket: Socket): Promise<void> => new Promise((resolve) => socket.write('', () => resolve()));
const get = (path: string): string => upgradeRequest({ line: `GET ${path} HTTP/1.1` });

async function repeat(times: number, once_: () => Promise<void>): Promise<void> {
  for (let done = 0; done < times; done += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, once_));
  await app.connections.empty();
  await untilAtMost(() => app.admission.size, 0, 'places');
  assert.equal(app.admission.size, 0);
}

const CASES: Readonly<Record<string, () => Promise<void>>> = {
  'upgrades without a key': () => visit(upgradeRequest({ set: { 'Sec-WebSocket-Key': null } }), answered),
  'upgrades that an upstream refuses': () => visit(get('/refused'), answered),
  'upgrades that an upstream answers with a lie': () => visit(get('/lies'), answered),
  'upgrades to an upstream that is not there': () => visit(get('/unreachable'), answered),
  'upgrades by clients that leave at once': () => visit(get('/silent'), sent),
  'WebSockets that are reset': () => visit(get('/open'), answered),
  'WebSockets that are reset inside a frame': () =>
    visit(get('/open'), async (socket) => {
      await answered(socket);
      socket.write(Buffer.of(0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3));
      await sent(socket);
    }),
  'requests that are none': () => visit('no request\r\n\r\n', answered),
  'uploads that are aborted': () =>
    visit(`POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(10_000)}`, sent),
};

for (const [what, run] of Object.entries(CASES)) {
  test(`a thousand ${what} leave descriptors, timers and heap as they were`, async () => {
    await repeat(WARM_UP, run);
    const held = { descriptors: descriptors(), timers: timers(), heap: heapInUse() };
    await repeat(TIMES, run);
    await untilAtMost(descriptors, held.descriptors, 'descriptors');
    await untilAtMost(timers, held.timers, 'timers');
    await untilAtMost(heapInUse, held.heap + TIMES * NOISE, 'bytes of heap');
  });
}

test('nothing has warned of listeners that pile up', () => {
  assert.deepEqual(warnings, []);
});
