import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../src/runtime/clock.ts';
import { takeOver } from '../../src/runtime/take-over.ts';
import { SocketReader } from '../../src/tunnel/socket-reader.ts';
import { ReadBatch } from '../../src/tunnel/read-batch.ts';

/** Both ends of a connection; the accepted one is paused. */
async function pair(t: TestContext): Promise<{ server: Server; accepted: Socket; client: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  t.after(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  return { server, accepted, client };
}

/** The connection on its new socket, which is destroyed with the test. */
function taken(t: TestContext, accepted: Socket, reader: SocketReader): Socket {
  const socket = takeOver(accepted, reader.onread) ?? assert.fail('not taken over');
  t.after(() => socket.destroy());
  return socket;
}

test('what comes is read through the reader, what is written arrives, and the end too', async (t) => {
  const { accepted, client } = await pair(t);
  const reader = new SocketReader(new ReadBatch(systemClock));
  const chunk = new Promise<string>((resolve) => {
    reader.sink = {
      onChunk(bytes) {
        resolve(bytes.toString());
        return true;
      },
    };
  });
  const socket = taken(t, accepted, reader);
  socket.resume();
  client.write('hello');
  assert.equal(await chunk, 'hello');
  socket.end('bye');
  assert.equal(String(((await once(client, 'data')) as [Buffer])[0]), 'bye');
  client.end();
  await once(socket, 'end');
});

test('what came before is read once the new socket is resumed, and nothing while it is paused', async (t) => {
  const { accepted, client } = await pair(t);
  client.write('early');
  await new Promise((resolve) => client.write('!', resolve));
  const reader = new SocketReader(new ReadBatch(systemClock));
  const read: string[] = [];
  const socket = taken(t, accepted, reader);
  const done = new Promise<void>((resolve) => {
    reader.sink = {
      onChunk(bytes) {
        read.push(bytes.toString());
        if (read.join('') === 'early!') resolve();
        return true;
      },
    };
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(read, []);
  socket.resume();
  await done;
});

test('the server forgets the connection, so that closing it does not wait', async (t) => {
  const { server, accepted, client } = await pair(t);
  const socket = taken(t, accepted, new SocketReader(new ReadBatch(systemClock)));
  await once(accepted, 'close');
  server.close();
  await once(server, 'close');
  socket.resume();
  socket.write('still here');
  assert.equal(String(((await once(client, 'data')) as [Buffer])[0]), 'still here');
});

test('a socket without a handle is left alone', (t) => {
  const socket = new net.Socket();
  t.after(() => socket.destroy());
  assert.equal(takeOver(socket, new SocketReader(new ReadBatch(systemClock)).onread), null);
  assert.equal(socket.destroyed, false);
});

test('a socket with bytes on their way, or gone, is left alone', async (t) => {
  const { accepted, client } = await pair(t);
  client.write('unread');
  accepted.read(0);
  await once(accepted, 'readable');
  assert.equal(takeOver(accepted, new SocketReader(new ReadBatch(systemClock)).onread), null);
  assert.equal(String(accepted.read()), 'unread');
  accepted.destroy();
  assert.equal(takeOver(accepted, new SocketReader(new ReadBatch(systemClock)).onread), null);
});
