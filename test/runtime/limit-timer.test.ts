import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect, type AddressInfo } from 'node:net';
import test from 'node:test';
import { after } from '../../src/runtime/limit-timer.ts';

function standStill(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test('what had arrived while the program stood still is read before a limit counts', async (t) => {
  const server = createServer((socket) => socket.end('in time')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const order: string[] = [];
  socket.on('data', () => order.push('read'));
  await Promise.all([once(socket, 'connect'), accepted]);
  const limit = new Promise<void>((resolve) => after(1, () => resolve(void order.push('limit'))));
  standStill(20);
  await Promise.all([limit, once(socket, 'close')]);
  assert.deepEqual(order, ['read', 'limit']);
});

test('a limit that is taken back says nothing, not even one that has run out', async () => {
  const said: string[] = [];
  after(Infinity, () => said.push('never'));
  const first = after(1, () => said.push('first'));
  first();
  const second = after(1, () => said.push('second'));
  const looked = new Promise<void>((resolve) => {
    setTimeout(() => {
      second();
      setImmediate(() => setImmediate(resolve));
    }, 1);
  });
  // Both have run out then, so that nothing comes between them.
  standStill(20);
  await looked;
  assert.deepEqual(said, []);
});
