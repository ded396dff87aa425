/** Several proxies behind one nginx: they share the clients, and one of them may go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRoom } from '../../src/demo/room.ts';
import { atEnd } from '../support/cleanup.ts';
import { adapt, readExample } from '../support/examples.ts';
import { connectIdle, type IdleClient } from '../support/idle-client.ts';
import { startNginxWith } from '../support/nginx.ts';
import { type Program, startProxy } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

/** Long: the first client is told at once, the second not before the test has killed its proxy. */
const SETTINGS = { TIMEOUTS_DRAIN: '120s', KEEPALIVE_PING_INTERVAL: '100ms' };

const clientsOf = ({ child }: Program): number =>
  child.logs.filter((line) => line['msg'] === 'websocket opened').length;

/** The first of them to be closed, and with which code. */
function nextClosed(clients: readonly IdleClient[]): Promise<{ client: IdleClient; code: number }> {
  return new Promise((resolve) => {
    for (const client of clients) client.socket.once('close', (code) => resolve({ client, code }));
  });
}

async function assertTalks(client: IdleClient, to: IdleClient, words: string): Promise<void> {
  client.say(words);
  await to.hears(words);
}

test('one of two proxies is drained and killed: the clients of the other stay, new ones find their way', {
  skip: skipWithout('nginx'),
}, async (t) => {
  const room = await startRoom({ port: 0, host: '127.0.0.1' });
  atEnd(t, () => room.close());
  const [going, staying] = [await startProxy(t, room.port, SETTINGS), await startProxy(t, room.port, SETTINGS)];
  const places = { '127.0.0.1:8081': `127.0.0.1:${going.port}`, '127.0.0.1:8082': `127.0.0.1:${staying.port}` };
  const nginx = await startNginxWith(t, adapt(readExample('balanced/nginx.conf'), places));

  const clients: IdleClient[] = [];
  for (const name of ['a', 'b', 'c', 'd']) clients.push(await connectIdle(t, nginx.port, name));
  for (const proxy of [going, staying]) await proxy.child.until(() => clientsOf(proxy) === 2, 'half of the clients');

  const told = nextClosed(clients);
  going.child.process.kill('SIGTERM');
  const first = await told;
  assert.equal(first.code, 1006, 'it ends without a Close, so that every client comes back');
  const early = await connectIdle(t, nginx.port, 'early');
  await staying.child.until(() => clientsOf(staying) === 3, 'the client that came while the other drained');

  const left = clients.filter((client) => client !== first.client);
  const cut = nextClosed(left);
  going.child.process.kill('SIGKILL');
  const second = await cut;
  assert.equal(second.code, 1006);
  const late = await connectIdle(t, nginx.port, 'late');
  await staying.child.until(() => clientsOf(staying) === 4, 'the client that came last');
  for (const client of [early, ...left.filter((each) => each !== second.client)]) {
    assert.equal(client.closedAfter, null);
    await assertTalks(client, late, `${clients.indexOf(client)} is still here`);
  }
  assert.equal(clientsOf(going), 2);
});
