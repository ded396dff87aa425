import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { shareReads } from '../../src/server/shared-reads.ts';
import { listen, rawClient } from '../support/http.ts';
import { Watch } from '../support/watch.ts';

/** Takes what two clients send, each in the order of arrival. */
async function start(t: TestContext) {
  const watch = new Watch();
  const chunks: Buffer[] = [];
  const accepted: { socket: Socket; undo: (() => void) | null }[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    const undo = shareReads(socket, (chunk) => {
      chunks.push(chunk);
      watch.changed();
    });
    accepted.push({ socket, undo });
    watch.changed();
  });
  const port = await listen(t, server);
  const connect = async (): Promise<ReturnType<typeof rawClient>> => {
    const before = accepted.length;
    const client = rawClient(t, port);
    await watch.until(() => accepted.length > before, 'the connection');
    return client;
  };
  const until = (count: number): Promise<unknown> => watch.until(() => chunks.length === count, `${count} chunks`);
  return { accepted, chunks, connect, until };
}

test('all sockets are read into one buffer', async (t) => {
  const { accepted, chunks, connect, until } = await start(t);
  const [one, two] = [await connect(), await connect()];
  one.write('one');
  await until(1);
  assert.equal(chunks[0]?.toString(), 'one');
  two.write('two');
  await until(2);
  assert.equal(chunks[1]?.toString(), 'two');
  assert.equal(chunks[0]?.buffer, chunks[1]?.buffer);
  assert.equal(chunks[0]?.toString(), 'two', 'valid during the call only');
  assert.equal(accepted[0]?.socket.bytesRead, 3);
});

test('a socket that is paused is not read until it is resumed', async (t) => {
  const { accepted, chunks, connect, until } = await start(t);
  const [one, two] = [await connect(), await connect()];
  accepted[0]?.socket.pause();
  one.write('one');
  two.write('two');
  await until(1);
  assert.equal(chunks[0]?.toString(), 'two');
  accepted[0]?.socket.resume();
  await until(2);
});

test('once undone, the stream has chunks of its own, and says when it has enough', async (t) => {
  const { accepted, chunks, connect, until } = await start(t);
  const [one, two] = [await connect(), await connect()];
  const [first] = accepted;
  first?.undo?.();
  const own = first?.socket.take(1).toArray();
  one.write('one');
  assert.deepEqual(await own, [Buffer.from('one')]);
  two.write('two');
  await until(1);
  assert.equal(chunks[0]?.toString(), 'two');
});

test('where it cannot be done nothing changes', () => {
  assert.equal(
    shareReads(new PassThrough(), () => assert.fail()),
    null,
  );
  const socket = Object.assign(new PassThrough(), { _handle: {} });
  assert.equal(
    shareReads(socket, () => assert.fail()),
    null,
  );
});
