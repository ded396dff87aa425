import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Flush, type TunnelSide } from '../../src/core/side.ts';
import { ChunkList } from '../../src/core/direction.ts';
import { TunnelSocket, type TunnelSocketOwner, flushedBytes } from '../../src/tunnel/tunnel-socket.ts';
import type { Cleanup } from '../support/cleanup.ts';
import { temporaryFolder } from '../support/process.ts';
import { Watch } from '../support/watch.ts';

/** An tunnelSocket on one end of a connection; what it tells is written down. */
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
  const owner: TunnelSocketOwner = {
    onChunk: (_from, chunk) => tell(`chunk ${Buffer.from(chunk).toString()}`),
    onWritten: () => tell('written'),
    onFlushed: (_endpoint, marks) => tell(`flushed ${marks}`),
    onDrain: () => tell('drain'),
    onEnd: () => tell('end'),
    onFinish: () => tell('finish'),
    onClose: () => tell('close'),
  };
  const side = {
    out: new ChunkList(),
    flush: Flush.nothing as number,
    action: 'none',
    keepalive: { paused: () => tell('paused'), resumed: (now: number) => tell(`resumed ${now}`) },
  };
  const tunnelSocket = new TunnelSocket(owner, side as unknown as TunnelSide, socket);
  const until = (what: string): Promise<true> =>
    watch.until(
      () => told.includes(what),
      () => `${what} in ${told.join()}`,
    );
  return { tunnelSocket, side, peer, socket, told, until };
}

test('all pieces are written in order, and their end is told once', async (t) => {
  const { tunnelSocket, side, peer, told, until } = await startEndpoint(t);
  for (const text of ['one ', 'two ', 'three']) side.out.add(Buffer.from(text));
  side.flush = Flush.ping | Flush.close;
  assert.equal(tunnelSocket.write(), 13);
  assert.deepEqual([side.out.count, side.flush], [0, Flush.nothing]);
  const [chunk] = (await once(peer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'one two three');
  await until('flushed 3');
  assert.equal(told.filter((what) => what.startsWith('flushed')).length, 1);
});

test('a write without marks tells nothing', async (t) => {
  const { tunnelSocket, side, peer, told } = await startEndpoint(t);
  side.out.add(Buffer.from('x'));
  tunnelSocket.write();
  await once(peer, 'data');
  assert.equal(tunnelSocket.hasQueue, false);
  assert.deepEqual(told, []);
});

test('one piece can be put off, and is written when that is asked for, once', async (t) => {
  const { tunnelSocket, side, peer, told } = await startEndpoint(t);
  side.out.add(Buffer.from('later'));
  assert.equal(tunnelSocket.defer(), 5);
  assert.deepEqual([side.out.count, tunnelSocket.socket.bytesWritten], [0, 0]);
  tunnelSocket.writeDeferred();
  tunnelSocket.writeDeferred();
  const [chunk] = (await once(peer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'later');
  assert.deepEqual([told, tunnelSocket.socket.bytesWritten], [[], 5]);
});

test('several pieces, or one that something has to be told of, cannot be put off', async (t) => {
  const { tunnelSocket, side } = await startEndpoint(t);
  assert.equal(tunnelSocket.defer(), 0);
  for (const text of ['one', 'two']) side.out.add(Buffer.from(text));
  assert.equal(tunnelSocket.defer(), 0);
  side.out.clear();
  side.out.add(Buffer.from('ping'));
  side.flush = Flush.ping;
  assert.equal(tunnelSocket.defer(), 0);
  assert.equal(side.out.count, 1);
});

test('what comes later is written behind what was put off', async (t) => {
  const { tunnelSocket, side, peer } = await startEndpoint(t);
  side.out.add(Buffer.from('first '));
  tunnelSocket.defer();
  side.out.add(Buffer.from('second'));
  assert.equal(tunnelSocket.defer(), 0);
  tunnelSocket.write();
  tunnelSocket.writeDeferred();
  peer.setEncoding('utf8');
  let text = '';
  for await (const part of peer) {
    text += part;
    if (text.length >= 12) break;
  }
  assert.equal(text, 'first second');
});

test('an end is granted behind what was put off', async (t) => {
  const { tunnelSocket, side, peer, until } = await startEndpoint(t);
  side.out.add(Buffer.from('last'));
  tunnelSocket.defer();
  side.action = 'end';
  tunnelSocket.applyAction();
  const [chunk] = (await once(peer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'last');
  await until('finish');
});

test('what the kernel does not take is a queue, and its bytes are not flushed yet', async (t) => {
  const { tunnelSocket, side, peer, socket, until } = await startEndpoint(t);
  peer.pause();
  const bytes = Buffer.alloc(32 * 1024 * 1024);
  side.out.add(bytes);
  assert.equal(tunnelSocket.write(), bytes.length);
  assert.equal(tunnelSocket.hasQueue, true);
  const flushed = flushedBytes(socket);
  assert.ok(flushed > 0 && flushed < bytes.length, `${flushed} flushed`);
  peer.resume();
  await until('drain');
  assert.equal(flushedBytes(socket), bytes.length);
});

test('without what the handle knows, a write counts once it is with the kernel as a whole', () => {
  const known = { bytesWritten: 10, writableLength: 4 };
  for (const _handle of [undefined, null, {}, { bytesWritten: 10 }])
    assert.equal(flushedBytes({ ...known, _handle } as unknown as Socket), 6);
});

test('what waits behind others is a copy, so that it holds nothing; what waits first is held', async (t) => {
  const { tunnelSocket, side, peer, told } = await startEndpoint(t);
  peer.pause();
  const first = Buffer.alloc(32 * 1024 * 1024, 1);
  side.out.add(first);
  tunnelSocket.write();
  assert.equal(tunnelSocket.holdsChunk, true);
  const [small, deferred] = [Buffer.alloc(100, 2), Buffer.alloc(100, 3)];
  side.out.add(small);
  tunnelSocket.write();
  assert.deepEqual([tunnelSocket.hasQueue, tunnelSocket.holdsChunk], [true, false]);
  side.out.add(deferred);
  tunnelSocket.defer();
  tunnelSocket.writeDeferred();
  assert.deepEqual([tunnelSocket.hasQueue, tunnelSocket.holdsChunk, told], [true, false, ['written']]);
  small.fill(9);
  deferred.fill(9);
  const large = Buffer.alloc(64 * 1024, 4);
  side.out.add(large);
  tunnelSocket.write();
  assert.equal(tunnelSocket.holdsChunk, true);
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
  const { tunnelSocket, peer, told, until } = await startEndpoint(t);
  tunnelSocket.readData();
  peer.write('first');
  await until('chunk first');
  tunnelSocket.pause(0);
  tunnelSocket.pause(0);
  peer.write('second');
  tunnelSocket.resume(7);
  tunnelSocket.resume(8);
  await until('chunk second');
  assert.deepEqual(told, ['chunk first', 'paused', 'resumed 7', 'chunk second']);
});

test('an end is granted behind what was written', async (t) => {
  const { tunnelSocket, side, peer, until } = await startEndpoint(t);
  tunnelSocket.readData();
  side.out.add(Buffer.from('last'));
  tunnelSocket.write();
  side.action = 'end';
  tunnelSocket.applyAction();
  assert.equal(side.action, 'none');
  const [chunk] = (await once(peer, 'data')) as [Buffer];
  assert.equal(chunk.toString(), 'last');
  await until('finish');
  await until('end');
  await until('close');
});

test('a reset is granted as one on TCP', async (t) => {
  const { tunnelSocket, side, peer, until } = await startEndpoint(t);
  const failed = once(peer, 'error') as Promise<[NodeJS.ErrnoException]>;
  side.action = 'reset';
  tunnelSocket.applyAction();
  assert.equal((await failed)[0].code, 'ECONNRESET');
  await until('close');
});

test('a unix socket, which knows no reset, is destroyed instead', async (t) => {
  const { tunnelSocket, side, peer, socket, until } = await startEndpoint(t, join(await temporaryFolder(t), 'sock'));
  peer.resume();
  const ended = once(peer, 'end');
  side.action = 'reset';
  tunnelSocket.applyAction();
  await until('close');
  assert.equal(socket.destroyed, true);
  await ended;
});

test('an error of the socket is no more than its close', async (t) => {
  const { tunnelSocket, peer, told, until } = await startEndpoint(t);
  tunnelSocket.readData();
  peer.resetAndDestroy();
  await until('close');
  assert.deepEqual(told, ['close']);
});

test('a reset of a socket that is shutting down closes it', async (t) => {
  const { tunnelSocket, side, until } = await startEndpoint(t);
  side.action = 'end';
  tunnelSocket.applyAction();
  side.action = 'reset';
  tunnelSocket.applyAction();
  await until('close');
});
