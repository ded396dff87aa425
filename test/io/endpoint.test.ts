import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Flush, type Leg } from '../../src/core/leg.ts';
import { Pieces } from '../../src/core/pieces.ts';
import { Endpoint, type EndpointOwner, flushedBytes } from '../../src/io/endpoint.ts';
import type { Cleanup } from '../support/cleanup.ts';
import { temporaryFolder } from '../support/process.ts';
import { Watch } from '../support/watch.ts';

/** An endpoint on one end of a connection; what it tells is written down. */
async function startEndpoint(t: Cleanup, path?: string) {
  const server = createServer({ allowHalfOpen: true });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const peer = path === undefined ? connect(port, '127.0.0.1') : connect(path);
  const [socket] = (await once(server, 'connection')) as [Socket];
  t.after(() => {
    peer.destroy();
    socket.destroy();
    server.close();
  });
  const watch = new Watch();
  const told: string[] = [];
  const tell = (what: string): void => {
    told.push(what);
    watch.changed();
  };
  const owner: EndpointOwner = {
    onChunk: (_from, chunk) => tell(`chunk ${Buffer.from(chunk).toString()}`),
    onWritten: () => tell('written'),
    onFlushed: (_endpoint, marks) => tell(`flushed ${marks}`),
    onDrain: () => tell('drain'),
    onEnd: () => tell('end'),
    onFinish: () => tell('finish'),
    onClose: () => tell('close'),
  };
  const leg = {
    out: new Pieces(),
    flush: Flush.nothing as number,
    wish: 'none',
    keepalive: { paused: () => tell('paused'), resumed: (now: number) => tell(`resumed ${now}`) },
  };
  const endpoint = new Endpoint(owner, leg as unknown as Leg, socket);
  const until = (what: string): Promise<true> =>
    watch.until(
      () => told.includes(what),
      () => `${what} in ${told.join()}`,
    );
  return { endpoint, leg, peer, socket, told, until };
}

test('all pieces are written in order, and their end is told once', async (t) => {
  const { endpoint, leg, peer, told, until } = await startEndpoint(t);
  for (const text of ['one ', 'two ', 'three']) leg.out.add(Buffer.from(text));
  leg.flush = Flush.ping | Flush.close;
  assert.equal(endpoint.write(), 13);
  assert.deepEqual([leg.out.count, leg.flush], [0, Flush.nothing]);
  const [chunk] = (await once(peer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'one two three');
  await until('flushed 3');
  assert.equal(told.filter((what) => what.startsWith('flushed')).length, 1);
});

test('a write without marks tells nothing', async (t) => {
  const { endpoint, leg, peer, told } = await startEndpoint(t);
  leg.out.add(Buffer.from('x'));
  endpoint.write();
  await once(peer, 'data');
  assert.equal(endpoint.hasQueue, false);
  assert.deepEqual(told, []);
});

test('one piece can be put off, and is written when that is asked for, once', async (t) => {
  const { endpoint, leg, peer, told } = await startEndpoint(t);
  leg.out.add(Buffer.from('later'));
  assert.equal(endpoint.defer(), 5);
  assert.deepEqual([leg.out.count, endpoint.socket.bytesWritten], [0, 0]);
  endpoint.writeDeferred();
  endpoint.writeDeferred();
  const [chunk] = (await once(peer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'later');
  assert.deepEqual([told, endpoint.socket.bytesWritten], [[], 5]);
});

test('several pieces, or one that something has to be told of, cannot be put off', async (t) => {
  const { endpoint, leg } = await startEndpoint(t);
  assert.equal(endpoint.defer(), 0);
  for (const text of ['one', 'two']) leg.out.add(Buffer.from(text));
  assert.equal(endpoint.defer(), 0);
  leg.out.clear();
  leg.out.add(Buffer.from('ping'));
  leg.flush = Flush.ping;
  assert.equal(endpoint.defer(), 0);
  assert.equal(leg.out.count, 1);
});

test('what comes later is written behind what was put off', async (t) => {
  const { endpoint, leg, peer } = await startEndpoint(t);
  leg.out.add(Buffer.from('first '));
  endpoint.defer();
  leg.out.add(Buffer.from('second'));
  assert.equal(endpoint.defer(), 0);
  endpoint.write();
  endpoint.writeDeferred();
  peer.setEncoding('utf8');
  let text = '';
  for await (const part of peer) {
    text += part;
    if (text.length >= 12) break;
  }
  assert.equal(text, 'first second');
});

test('an end is granted behind what was put off', async (t) => {
  const { endpoint, leg, peer, until } = await startEndpoint(t);
  leg.out.add(Buffer.from('last'));
  endpoint.defer();
  leg.wish = 'end';
  endpoint.grant();
  const [chunk] = (await once(peer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'last');
  await until('finish');
});

test('what the kernel does not take is a queue, and its bytes are not flushed yet', async (t) => {
  const { endpoint, leg, peer, socket, until } = await startEndpoint(t);
  peer.pause();
  const bytes = Buffer.alloc(32 * 1024 * 1024);
  leg.out.add(bytes);
  assert.equal(endpoint.write(), bytes.length);
  assert.equal(endpoint.hasQueue, true);
  const flushed = flushedBytes(socket);
  assert.ok(flushed > 0 && flushed < bytes.length, `${flushed} flushed`);
  peer.resume();
  await until('drain');
  assert.equal(flushedBytes(socket), bytes.length);
});

test('what waits behind others is a copy, so that it holds nothing; what waits first is held', async (t) => {
  const { endpoint, leg, peer, told } = await startEndpoint(t);
  peer.pause();
  const first = Buffer.alloc(32 * 1024 * 1024, 1);
  leg.out.add(first);
  endpoint.write();
  assert.equal(endpoint.holdsPiece, true);
  const [small, deferred] = [Buffer.alloc(100, 2), Buffer.alloc(100, 3)];
  leg.out.add(small);
  endpoint.write();
  assert.deepEqual([endpoint.hasQueue, endpoint.holdsPiece], [true, false]);
  leg.out.add(deferred);
  endpoint.defer();
  endpoint.writeDeferred();
  assert.deepEqual([endpoint.hasQueue, endpoint.holdsPiece, told], [true, false, ['written']]);
  small.fill(9);
  deferred.fill(9);
  const large = Buffer.alloc(64 * 1024, 4);
  leg.out.add(large);
  endpoint.write();
  assert.equal(endpoint.holdsPiece, true);
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of peer) {
    parts.push(part as Buffer);
    length += (part as Buffer).length;
    if (length === first.length + 200 + large.length) break;
  }
  const behind = Buffer.concat(parts).subarray(first.length);
  assert.ok(behind.equals(Buffer.concat([Buffer.alloc(100, 2), Buffer.alloc(100, 3), large])));
});

test('what comes is told, and what a pause holds back as soon as it is over', async (t) => {
  const { endpoint, peer, told, until } = await startEndpoint(t);
  endpoint.readData();
  peer.write('first');
  await until('chunk first');
  endpoint.pause();
  endpoint.pause();
  peer.write('second');
  endpoint.resume(7);
  endpoint.resume(8);
  await until('chunk second');
  assert.deepEqual(told, ['chunk first', 'paused', 'resumed 7', 'chunk second']);
});

test('an end is granted behind what was written', async (t) => {
  const { endpoint, leg, peer, until } = await startEndpoint(t);
  endpoint.readData();
  leg.out.add(Buffer.from('last'));
  endpoint.write();
  leg.wish = 'end';
  endpoint.grant();
  assert.equal(leg.wish, 'none');
  const [chunk] = (await once(peer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'last');
  await until('finish');
  await until('end');
  await until('close');
});

test('a reset is granted as one on TCP', async (t) => {
  const { endpoint, leg, peer, until } = await startEndpoint(t);
  const failed = once(peer, 'error') as Promise<[NodeJS.ErrnoException]>;
  leg.wish = 'reset';
  endpoint.grant();
  assert.equal((await failed)[0].code, 'ECONNRESET');
  await until('close');
});

test('a unix socket, which knows no reset, is destroyed instead', async (t) => {
  const { endpoint, leg, peer, socket, until } = await startEndpoint(t, join(await temporaryFolder(t), 'sock'));
  peer.resume();
  const ended = once(peer, 'end');
  leg.wish = 'reset';
  endpoint.grant();
  await until('close');
  assert.equal(socket.destroyed, true);
  await ended;
});

test('an error of the socket is no more than its close', async (t) => {
  const { endpoint, peer, told, until } = await startEndpoint(t);
  endpoint.readData();
  peer.resetAndDestroy();
  await until('close');
  assert.deepEqual(told, ['close']);
});

test('a reset of a socket that is shutting down closes it', async (t) => {
  const { endpoint, leg, until } = await startEndpoint(t);
  leg.wish = 'end';
  endpoint.grant();
  leg.wish = 'reset';
  endpoint.grant();
  await until('close');
});
