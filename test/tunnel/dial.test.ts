import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as netConnect, createServer as createNetServer, Socket } from 'node:net';
import type { AddressInfo, ListenOptions, Server, SocketConstructorOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { UpstreamTarget } from '../../src/core/settings.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Network } from '../../src/runtime/connect.ts';
import { type DialOptions, dialUpstream, raceUpstream, readyEvent } from '../../src/tunnel/dial.ts';
import { SocketReader } from '../../src/tunnel/socket-reader.ts';
import { ReadBatch } from '../../src/tunnel/read-batch.ts';
import { tcpTarget } from '../support/raw-http.ts';
import { type Cleanup, Watch } from '../support/watch.ts';

const fixtures = new URL('../fixtures/', import.meta.url);
const cert = readFileSync(new URL('localhost.cert.pem', fixtures), 'utf8');
const key = readFileSync(new URL('localhost.key.pem', fixtures), 'utf8');

const LOCAL: ListenOptions = { port: 0, host: '127.0.0.1' };

interface Listening {
  readonly port: number;
  /** The first connection. */
  accepted(): Promise<Socket>;
}

async function listen(
  t: Cleanup,
  server: Server,
  event: 'connection' | 'secureConnection',
  at = LOCAL,
): Promise<Listening> {
  const sockets: Socket[] = [];
  const watch = new Watch();
  server.on(event, (socket: Socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
    watch.changed();
  });
  server.listen(at);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'string' ? 0 : (address as AddressInfo).port;
  return { port, accepted: () => watch.until(() => sockets[0], 'a connection') };
}

function startTls(t: Cleanup): Promise<Listening> {
  return listen(
    t,
    createTlsServer({ key, cert, noDelay: true, ALPNProtocols: ['h2', 'http/1.1'] }),
    'secureConnection',
  );
}

function dial(t: Cleanup, target: UpstreamTarget, options: Partial<DialOptions> = {}): Socket {
  const defaults = {
    connectTimeoutMs: 5000,
    tls: { ca: 'system', verify: true },
    reader: new SocketReader(new ReadBatch(systemClock)),
  };
  const socket = dialUpstream(target, { ...defaults, ...options });
  t.after(() => socket.destroy());
  return socket;
}

function tlsTarget(port: number, host: string): UpstreamTarget {
  return { ...tcpTarget(port, host), tls: true };
}

/** A reader and the text it has got. */
function textReader(): { reader: DialOptions['reader']; until: (part: string) => Promise<string> } {
  const reader = new SocketReader(new ReadBatch(systemClock));
  const watch = new Watch();
  let text = '';
  reader.sink = {
    onChunk(chunk) {
      text += chunk.toString('latin1');
      watch.changed();
      return true;
    },
  };
  return { reader, until: (part) => watch.until(() => text.includes(part) && text, part) };
}

async function dialError(socket: Socket): Promise<string | undefined> {
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  return error.code;
}

test('a TCP upstream is read through the reader, its end arrives, and the other half stays open', async (t) => {
  const server = await listen(t, createNetServer({ allowHalfOpen: true }), 'connection');
  const { reader, until } = textReader();
  const socket = dial(t, tcpTarget(server.port), { reader });
  const accepted = await server.accepted();
  accepted.end('hello');
  await Promise.all([until('hello'), once(socket, 'end')]);
  socket.end('bye');
  const [chunk] = (await once(accepted, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'bye');
});

for (const [what, start, targetOf] of [
  ['TCP', (t: Cleanup) => listen(t, createNetServer({ noDelay: true }), 'connection'), tcpTarget],
  ['TLS', startTls, (port: number) => tlsTarget(port, 'localhost')],
] as const) {
  test(`a reader of ${what} that says stop gets no more until the socket is resumed`, async (t) => {
    const server = await start(t);
    const { reader, until } = textReader();
    const { sink } = reader;
    const socket = dial(t, targetOf(server.port), { reader, tls: { ca: cert, verify: true } });
    const accepted = await server.accepted();
    const stopped = new Promise<void>((resolve) => {
      reader.sink = {
        onChunk(chunk) {
          sink.onChunk(chunk);
          reader.sink = { onChunk: () => assert.fail('read while stopped') };
          resolve();
          return false;
        },
      };
    });
    accepted.write('one');
    await stopped;
    accepted.write('two');
    // Whatever the socket would read arrives within these turns.
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    reader.sink = sink;
    socket.resume();
    assert.equal(await until('two'), 'onetwo');
  });
}

test('a unix upstream is reached', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'dial-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'upstream.sock');
  const server = await listen(t, createNetServer(), 'connection', { path });
  const { reader, until } = textReader();
  dial(t, { address: { kind: 'unix', path }, tls: false, url: `unix:${path}` }, { reader });
  (await server.accepted()).write('hello');
  assert.equal(await until('hello'), 'hello');
});

test('a TLS upstream with the right name and a known certificate is read through the reader', async (t) => {
  const server = await startTls(t);
  const { reader, until } = textReader();
  const socket = dial(t, tlsTarget(server.port, 'localhost'), { reader, tls: { ca: cert, verify: true } });
  await once(socket, readyEvent(tlsTarget(1, 'localhost')));
  const accepted = (await server.accepted()) as TLSSocket & { servername: string };
  assert.deepEqual([accepted.servername, accepted.alpnProtocol], ['localhost', 'http/1.1']);
  accepted.end('hello');
  await Promise.all([until('hello'), once(socket, 'end')]);
  assert.equal(socket.writable, true);
});

test('a certificate that nobody known has signed is refused', async (t) => {
  const server = await startTls(t);
  assert.equal(await dialError(dial(t, tlsTarget(server.port, 'localhost'))), 'DEPTH_ZERO_SELF_SIGNED_CERT');
});

test('a certificate for another name is refused', async (t) => {
  const server = await startTls(t);
  const socket = dial(t, tlsTarget(server.port, '127.0.0.1'), { tls: { ca: cert, verify: true } });
  assert.equal(await dialError(socket), 'ERR_TLS_CERT_ALTNAME_INVALID');
});

test('without verification any certificate will do, and an address is no server name', async (t) => {
  const server = await startTls(t);
  const socket = dial(t, tlsTarget(server.port, '127.0.0.1'), { tls: { ca: 'system', verify: false } });
  await once(socket, 'secureConnect');
  const accepted = (await server.accepted()) as TLSSocket & { servername: string | false };
  assert.equal(accepted.servername, false);
});

test('a connection that is not secured in time is destroyed', async (t) => {
  const server = await listen(t, createNetServer(), 'connection');
  const socket = dial(t, tlsTarget(server.port, 'localhost'), { connectTimeoutMs: 20 });
  assert.equal(await dialError(socket), 'ERR_CONNECT_TIMEOUT');
  assert.equal(socket.destroyed, true);
});

test('the limit is over once connected, and leaves nothing on the socket', async (t) => {
  const server = await listen(t, createNetServer(), 'connection');
  const socket = dial(t, tcpTarget(server.port), { connectTimeoutMs: 20 });
  await once(socket, 'connect');
  assert.deepEqual([socket.listenerCount('connect'), socket.listenerCount('close')], [0, 0]);
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(socket.destroyed, false);
});

test('without a limit nothing is armed', async (t) => {
  const server = await listen(t, createNetServer(), 'connection');
  const socket = dial(t, tcpTarget(server.port), { connectTimeoutMs: Infinity });
  await once(socket, 'connect');
  assert.equal(socket.destroyed, false);
});

test('an upstream where nothing listens is an error event', async (t) => {
  const server = createNetServer();
  const { port } = await listen({ after: () => {} }, server, 'connection');
  server.close();
  await once(server, 'close');
  assert.equal(await dialError(dial(t, tcpTarget(port))), 'ECONNREFUSED');
});

test('of the addresses of a name a distant one is waited for although the next one refuses', async (t) => {
  const server = await listen(t, createNetServer(), 'connection');
  const nobody = createNetServer().listen(LOCAL);
  await once(nobody, 'listening');
  const { port: closed } = nobody.address() as AddressInfo;
  nobody.close();
  await once(nobody, 'close');
  let distant: Socket | null = null;
  const network: Network = {
    clock: systemClock,
    lookup: (_, callback) =>
      callback(
        null,
        ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 })),
      ),
    connect: (options) => {
      // Its answer comes behind the refusal of the other.
      if (distant === null) return (distant = new Socket(options as SocketConstructorOpts));
      return netConnect(closed, '127.0.0.1').on('error', () => distant?.connect(server.port, '127.0.0.1'));
    },
  };
  const { reader, until } = textReader();
  const socket = await new Promise<Socket>((onReady, onError) => {
    const tls: DialOptions['tls'] = { ca: 'system', verify: true };
    raceUpstream(tcpTarget(server.port, 'rooms.test'), {
      connectTimeoutMs: 5000,
      tls,
      reader,
      network,
      onReady,
      onError,
    });
  });
  t.after(() => socket.destroy());
  (await server.accepted()).write('hello');
  assert.equal(await until('hello'), 'hello');
});

test('a name is raced over TLS too, with the name checked', async (t) => {
  const server = await startTls(t);
  const { reader, until } = textReader();
  const tls = { ca: cert, verify: true };
  const socket = await new Promise<Socket>((onReady, onError) => {
    raceUpstream(tlsTarget(server.port, 'localhost'), { connectTimeoutMs: 5000, tls, reader, onReady, onError });
  });
  t.after(() => socket.destroy());
  (await server.accepted()).write('hello');
  assert.equal(await until('hello'), 'hello');
});
