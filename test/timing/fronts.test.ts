/** Real fronts with short idle limits: they cut what is quiet, and with the proxy nothing is quiet. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Room, startRoom } from '../../src/demo/room.ts';
import { atEnd } from '../support/cleanup.ts';
import { launchChromium, openPageSocket } from '../support/chromium.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { connectIdle } from '../support/idle-client.ts';
import { nginxBefore, startNginx } from '../support/nginx.ts';
import { startProxy } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

/** A tenth of the limit: a busy machine may stand still for seconds. */
const SETTINGS = { KEEPALIVE_PING_INTERVAL: '300ms' };
const LIMIT = 3000;

async function quietRoom(t: TestContext): Promise<Room> {
  const room = await startRoom({ port: 0, host: '127.0.0.1' });
  atEnd(t, () => room.close());
  return room;
}

const nginx = { skip: skipWithout('nginx') };
const nginxAndChromium = { skip: skipWithout('nginx', 'chromium') };
const haproxy = { skip: skipWithout('haproxy') };

// At the same time: most of what they do is to be idle.
describe('fronts that cut what is idle', { concurrency: true }, () => {
  test('nginx cuts an idle client of a quiet room without the proxy', nginx, async (t) => {
    const room = await quietRoom(t);
    const front = await startNginx(t, nginxBefore(room.port, '3s'));
    const client = await connectIdle(t, front.port, 'idle');
    const age = await client.untilClosed();
    assert.ok(age >= LIMIT - 50 && age < 3 * LIMIT, `cut after ${age} ms`);
    assert.equal(client.pings, 0);
  });

  test('nginx lets it stay for ten times the limit with the proxy, and it can still talk', nginx, async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port, SETTINGS);
    const front = await startNginx(t, nginxBefore(proxy.port, '3s'));
    const client = await connectIdle(t, front.port, 'idle');
    await client.outlives(10 * LIMIT);
    client.say('still here');
    await client.hears('still here');
  });

  test('nginx cuts an idle page of a quiet room without the proxy', nginxAndChromium, async (t) => {
    const room = await quietRoom(t);
    const front = await startNginx(t, nginxBefore(room.port, '3s'));
    const socket = await openPageSocket(await launchChromium(t), front.port, 'page');
    const end = await socket.event((event) => event.type === 'close', 'the cut');
    assert.deepEqual(end, { type: 'close', code: 1006, reason: '', wasClean: false });
  });

  test(
    'nginx lets the page stay for ten times the limit with the proxy, and it can still talk',
    nginxAndChromium,
    async (t) => {
      const room = await quietRoom(t);
      const proxy = await startProxy(t, room.port, SETTINGS);
      const front = await startNginx(t, nginxBefore(proxy.port, '3s'));
      const socket = await openPageSocket(await launchChromium(t), front.port, 'page');
      await socket.event((event) => event.type === 'open', 'the handshake');
      // Its Pings are the clock: a page cannot see its own.
      const other = await connectIdle(t, front.port, 'clock');
      await other.outlives(10 * LIMIT);
      assert.ok(!socket.events.some((event) => event.type === 'close'), JSON.stringify(socket.events));
      await socket.send('{"event":"chat/message","content":"from the page"}');
      await other.hears('from the page');
      other.say('to the page');
      await socket.event((event) => event.type === 'message' && event.data.includes('to the page'), 'a message');
    },
  );

  test('HAProxy cuts an idle client of a quiet room without the proxy', haproxy, async (t) => {
    const room = await quietRoom(t);
    const front = await startHaproxy(t, room.port, '3s');
    const client = await connectIdle(t, front.port, 'idle');
    const age = await client.untilClosed();
    assert.ok(age >= LIMIT - 50 && age < 3 * LIMIT, `cut after ${age} ms`);
  });

  test('HAProxy lets it stay for ten times the limit with the proxy, and it can still talk', haproxy, async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port, SETTINGS);
    const front = await startHaproxy(t, proxy.port, '3s');
    const client = await connectIdle(t, front.port, 'idle');
    await client.outlives(10 * LIMIT);
    client.say('still here');
    await client.hears('still here');
  });
});
