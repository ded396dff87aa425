/** Real sockets on loopback, but for addresses that never answer: those are sockets that nobody connects. Time is a fake clock's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, connect as netConnect, type ListenOptions, Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect as tlsConnect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { ATTEMPT_DELAY_MS, connect, type ConnectOptions, type Network } from '../../src/runtime/connect.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Cleanup, Watch } from '../support/watch.ts';

const fixtures = new URL('../fixtures/', import.meta.url);
const cert = readFileSync(new URL('localhost.cert.pem', fixtures), 'utf8');
const key = readFileSync(new URL('localhost.key.pem', fixtures), 'utf8');

const LIMIT_MS = 5000;
/** No test listens below 1024. */
const NOBODY = 1;

type Outcome = { readonly socket: Socket } | { readonly error: NodeJS.ErrnoException };

/** A name with `addresses`, of which those in `silent` never answer. */
class Rig {
  readonly clock = new FakeClock();
  readonly tried: string[] = [];
  readonly sockets: Socket[] = [];
  readonly outcomes: Outcome[] = [];
  readonly #watch = new Watch();
  readonly #silent: ReadonlySet<string>;
  readonly #network: Network;

  constructor(t: Cleanup, addresses: readonly string[], silent: readonly string[] = []) {
    this.#silent = new Set(silent);
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    this.#network = {
      clock: this.clock,
      lookup: (_, callback) => callback(null, found),
      connect: (place) => this.#connect(place),
    };
    t.after(() => this.sockets.forEach((socket) => socket.destroy()));
  }

  start(port: number, options: Partial<ConnectOptions> = {}): () => void {
    return connect(
      { kind: 'tcp', host: 'server.test', port },
      {
        timeoutMs: LIMIT_MS,
        onConnect: (socket) => this.#settle({ socket }),
        onError: (error) => this.#settle({ error }),
        network: this.#network,
        ...options,
      },
    );
  }

  async connected(): Promise<Socket> {
    const outcome = await this.#outcome();
    return 'socket' in outcome ? outcome.socket : assert.fail(outcome.error);
  }

  async failed(): Promise<NodeJS.ErrnoException> {
    const outcome = await this.#outcome();
    return 'error' in outcome ? outcome.error : assert.fail('it connected');
  }

  /** Sockets that are neither destroyed nor given away. */
  left(): number {
    const given = this.outcomes.map((outcome) => 'socket' in outcome && outcome.socket);
    return this.sockets.filter((socket) => !socket.destroyed && !given.includes(socket)).length;
  }

  #outcome(): Promise<Outcome> {
    return this.#watch.until(() => this.outcomes[0], 'an outcome');
  }

  #settle(outcome: Outcome): void {
    if ('socket' in outcome) outcome.socket.on('error', () => {});
    this.outcomes.push(outcome);
    this.#watch.changed();
  }

  #connect(place: { host: string; port: number } | { path: string }): Socket {
    const where = 'host' in place ? place.host : place.path;
    const socket = this.#silent.has(where) ? new Socket() : netConnect(place);
    this.tried.push(where);
    this.sockets.push(socket);
    this.#watch.changed();
    return socket;
  }
}

/** @returns its port */
async function listen(t: Cleanup, at: ListenOptions = { host: '127.0.0.1', port: 0 }): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  t.after(() => server.close());
  server.listen(at);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'string' ? 0 : (address as AddressInfo).port;
}

test('an address that is slow is not given up: it wins after the next one was tried and refused', async (t) => {
  const rig = new Rig(t, ['127.0.0.2', '127.0.0.3'], ['127.0.0.2']);
  rig.start(NOBODY);
  rig.clock.advance(ATTEMPT_DELAY_MS);
  await new Promise((resolve) => rig.sockets[1]?.on('close', resolve));
  assert.deepEqual([rig.tried, rig.outcomes.length], [['127.0.0.2', '127.0.0.3'], 0]);
  rig.sockets[0]?.connect(await listen(t), '127.0.0.1');
  assert.equal(await rig.connected(), rig.sockets[0]);
  assert.deepEqual([rig.left(), rig.clock.armed], [0, 0]);
});

test('the next address is tried after 250 ms, not before, and the first to connect ends the others', async (t) => {
  const port = await listen(t);
  const rig = new Rig(t, ['127.0.0.2', '127.0.0.1', '127.0.0.3'], ['127.0.0.2']);
  rig.start(port);
  rig.clock.advance(249);
  assert.deepEqual(rig.tried, ['127.0.0.2']);
  rig.clock.advance(1);
  const socket = await rig.connected();
  assert.equal(socket.remoteAddress, '127.0.0.1');
  assert.deepEqual([rig.tried, rig.left(), rig.clock.armed], [['127.0.0.2', '127.0.0.1'], 0, 0]);
});

test('an address that refuses makes room for the next one at once', async (t) => {
  const port = await listen(t);
  const rig = new Rig(t, ['127.0.0.2', '127.0.0.1']);
  rig.start(port);
  assert.equal((await rig.connected()).remoteAddress, '127.0.0.1');
  assert.equal(rig.clock.time, 0);
});

test('families take turns, beginning with the one that the resolver put first', async (t) => {
  const addresses = ['2001:db8::1', '2001:db8::2', '2001:db8::3', '192.0.2.1'];
  const rig = new Rig(t, addresses, addresses);
  rig.start(NOBODY);
  rig.clock.advance(3 * ATTEMPT_DELAY_MS);
  assert.deepEqual(rig.tried, ['2001:db8::1', '192.0.2.1', '2001:db8::2', '2001:db8::3']);
  rig.clock.advance(LIMIT_MS);
  await rig.failed();
});

test('all attempts end at the time limit, with ETIMEDOUT', async (t) => {
  const rig = new Rig(t, ['127.0.0.2', '127.0.0.3'], ['127.0.0.2', '127.0.0.3']);
  rig.start(NOBODY);
  rig.clock.advance(LIMIT_MS - 1);
  assert.deepEqual([rig.outcomes.length, rig.left()], [0, 2]);
  rig.clock.advance(1);
  const { code, message } = await rig.failed();
  assert.deepEqual([code, message, rig.left(), rig.clock.armed], ['ETIMEDOUT', 'not connected within 5000 ms', 0, 0]);
});

test('the limit tells what failed before it', async (t) => {
  const rig = new Rig(t, ['127.0.0.2', '127.0.0.3'], ['127.0.0.3']);
  rig.start(NOBODY);
  await new Promise((resolve) => rig.sockets[0]?.on('close', resolve));
  rig.clock.advance(LIMIT_MS);
  assert.equal((await rig.failed()).message, 'not connected within 5000 ms; connect ECONNREFUSED 127.0.0.2:1');
});

test('the name lookup counts towards the time limit, and an answer that comes later is not used', async (t) => {
  const rig = new Rig(t, []);
  let answer: Parameters<Network['lookup']>[1] = () => assert.fail('nobody asked');
  const network: Network = {
    clock: rig.clock,
    lookup: (_, callback) => (answer = callback),
    connect: () => assert.fail('too late'),
  };
  rig.start(NOBODY, { network });
  rig.clock.advance(LIMIT_MS);
  assert.equal((await rig.failed()).code, 'ETIMEDOUT');
  answer(null, [{ address: '127.0.0.1', family: 4 }]);
  assert.equal(rig.outcomes.length, 1);
});

test('a connection that is there when the limit fires is taken', async (t) => {
  const port = await listen(t);
  const rig = new Rig(t, ['127.0.0.2', '127.0.0.3'], ['127.0.0.2', '127.0.0.3']);
  rig.start(port);
  rig.clock.advance(LIMIT_MS, () => rig.sockets[0]?.emit('connect'));
  assert.equal(await rig.connected(), rig.sockets[0]);
});

test('without a limit none is armed', async (t) => {
  const rig = new Rig(t, ['127.0.0.2'], ['127.0.0.2']);
  const cancel = rig.start(NOBODY, { timeoutMs: Infinity });
  assert.equal(rig.clock.armed, 0);
  cancel();
});

test('who cancels hears nothing any more, and nothing is left', async (t) => {
  const rig = new Rig(t, ['127.0.0.2', '127.0.0.3'], ['127.0.0.2', '127.0.0.3']);
  const cancel = rig.start(NOBODY);
  rig.clock.advance(ATTEMPT_DELAY_MS);
  assert.equal(rig.left(), 2);
  cancel();
  rig.clock.advance(LIMIT_MS);
  assert.deepEqual([rig.outcomes, rig.left(), rig.clock.armed], [[], 0, 0]);
});

test('a cancel after the outcome leaves the connection alone', async (t) => {
  const port = await listen(t);
  const rig = new Rig(t, ['127.0.0.1']);
  const cancel = rig.start(port);
  const socket = await rig.connected();
  cancel();
  assert.equal(socket.destroyed, false);
});

test('the winner carries no listener of ours', async (t) => {
  const rig = new Rig(t, ['127.0.0.1']);
  const before = new Socket();
  rig.start(await listen(t));
  const socket = await rig.connected();
  const counts = (of: Socket): number[] => ['connect', 'close', 'end', 'data'].map((event) => of.listenerCount(event));
  assert.deepEqual(counts(socket), counts(before));
});

test('one address that fails is told as the kernel says it', async (t) => {
  const rig = new Rig(t, ['127.0.0.1']);
  rig.start(NOBODY);
  assert.equal((await rig.failed()).message, 'connect ECONNREFUSED 127.0.0.1:1');
});

test('several that fail are told together, under the code that says most', async (t) => {
  const rig = new Rig(t, ['127.0.0.1', '127.0.0.2'], ['127.0.0.1']);
  rig.start(NOBODY);
  rig.sockets[0]?.destroy(Object.assign(new Error('connect ENETUNREACH ::1'), { code: 'ENETUNREACH' }));
  const { code, message } = await rig.failed();
  assert.deepEqual([code, message], ['ECONNREFUSED', 'connect ENETUNREACH ::1; connect ECONNREFUSED 127.0.0.2:1']);
});

test('a name without an address fails as the resolver says, or with ENOTFOUND', async (t) => {
  const rig = new Rig(t, []);
  rig.start(NOBODY);
  assert.equal((await rig.failed()).code, 'ENOTFOUND');
  const other = new Rig(t, []);
  const refused = Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' });
  const network: Network = { clock: other.clock, lookup: (_, callback) => callback(refused, []), connect: netConnect };
  other.start(NOBODY, { network });
  assert.equal(await other.failed(), refused);
});

test('addresses are not looked up, and unix sockets are reached', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'connect-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'server.sock');
  await listen(t, { path });
  for (const address of [
    { kind: 'unix', path } as const,
    { kind: 'tcp', host: '127.0.0.1', port: await listen(t) } as const,
  ]) {
    const socket = await new Promise<Socket>((resolve, reject) => {
      connect(address, { timeoutMs: Infinity, onConnect: resolve, onError: reject });
    });
    socket.destroy();
  }
});

test('the real resolver is asked for names', async (t) => {
  const port = await listen(t);
  const socket = await new Promise<Socket>((resolve, reject) => {
    connect({ kind: 'tcp', host: 'localhost', port }, { timeoutMs: 10_000, onConnect: resolve, onError: reject });
  });
  assert.equal(socket.remotePort, port);
  socket.destroy();
});

test('the winner reads through onread, from its first byte on', async (t) => {
  const server = createServer((socket) => socket.end('hello'));
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const rig = new Rig(t, []);
  const network: Network = {
    clock: rig.clock,
    lookup: (_, callback) =>
      callback(null, [
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]),
    connect: netConnect,
  };
  const text = await new Promise<string>((resolve, reject) => {
    const buffer = Buffer.alloc(64);
    const callback = (length: number): boolean => {
      resolve(buffer.toString('latin1', 0, length));
      return true;
    };
    rig.start(port, { network, socket: { onread: { buffer, callback } }, onError: reject });
  });
  assert.equal(text, 'hello');
});

test('with TLS the outcome is a secured socket, or the fault of its certificate', async (t) => {
  const server = createTlsServer({ key, cert }, (socket) => socket.on('error', () => {}).resume());
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const secureWith = (ca: string) => (socket: Socket) => tlsConnect({ socket, servername: 'localhost', ca });
  const good = new Rig(t, ['127.0.0.1']);
  good.start(port, { secure: secureWith(cert) });
  const secured = (await good.connected()) as TLSSocket;
  assert.equal(secured.authorized, true);
  secured.destroy();
  const bad = new Rig(t, ['127.0.0.1', '127.0.0.1']);
  bad.start(port, { secure: (socket) => tlsConnect({ socket, servername: 'localhost' }) });
  assert.equal((await bad.failed()).code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
  assert.deepEqual([bad.tried.length, bad.left()], [1, 0]);
});

test('a connection that is not secured in time is ended by the limit', async (t) => {
  const port = await listen(t);
  const rig = new Rig(t, ['127.0.0.1']);
  const watch = new Watch();
  let isSecuring = false;
  rig.start(port, {
    secure: (socket) => {
      isSecuring = true;
      watch.changed();
      return tlsConnect({ socket, servername: 'localhost' });
    },
  });
  await watch.until(() => isSecuring, 'a TCP connection');
  rig.clock.advance(LIMIT_MS);
  assert.equal((await rig.failed()).code, 'ETIMEDOUT');
  assert.equal(rig.left(), 0);
});
