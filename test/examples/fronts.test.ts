/** The examples' fronts as they stand in their files: what passes through them, and through the proxy behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { type Room, startRoom } from '../../src/demo/room.ts';
import { atEnd } from '../support/cleanup.ts';
import { adapt, FRONTS, PROXY_ADDRESS, readExample } from '../support/examples.ts';
import { connectIdle } from '../support/idle-client.ts';
import { startNginxWith } from '../support/nginx.ts';
import { type Program, spawnProgram, startProxy, temporaryFolder } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

/** So short that a Ping is seen at once. */
const SETTINGS = { KEEPALIVE_PING_INTERVAL: '100ms' };

async function quietRoom(t: TestContext): Promise<Room> {
  const room = await startRoom({ port: 0, host: '127.0.0.1' });
  atEnd(t, () => room.close());
  return room;
}

/** A guest hears the Pings of the proxy, and the room what the guest says. */
async function assertConnected(t: TestContext, port: number, proxy: Pick<Program, 'child'>): Promise<void> {
  const client = await connectIdle(t, port, 'guest');
  await client.outlives(300);
  client.say('through the front');
  await client.hears('through the front');
  const health = await fetch(`http://127.0.0.1:${port}/health`);
  assert.equal(await health.text(), 'true');
  await assertSeen(t, port, proxy);
}

/** The front says where clients come from. */
async function assertSeen(t: TestContext, port: number, { child }: Pick<Program, 'child'>): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?password=x&username=far`, { localAddress: '127.0.0.2' });
  atEnd(t, () => socket.terminate());
  await once(socket, 'open');
  await child.log('websocket opened', (line) => line['client'] === '127.0.0.2');
}

describe('fronts of the examples', { concurrency: true }, () => {
  for (const front of FRONTS) {
    test(`${front.file} connects clients, and sets no timeout of its own`, {
      skip: skipWithout(front.program),
    }, async (t) => {
      const room = await quietRoom(t);
      const proxy = await startProxy(t, room.port, SETTINGS);
      const { port } = await front.start(t, proxy.port);
      await assertConnected(t, port, proxy);
      assert.doesNotMatch(readExample(front.file), /read_timeout|send_timeout|timeout tunnel|ProxyTimeout|Timeout \d/);
    });
  }

  test('nginx/neko-unix.conf reaches the proxy over a unix socket', { skip: skipWithout('nginx') }, async (t) => {
    const room = await quietRoom(t);
    const socket = `${await temporaryFolder(t)}/proxy.sock`;
    const args = ['--upstream', `http://127.0.0.1:${room.port}`, '--listen', `unix:${socket}`];
    const child = spawnProgram(t, { args, settings: SETTINGS });
    await child.log('listening');
    const blocks = adapt(readExample('nginx/neko-unix.conf'), { '/run/ws-keepalive-proxy/proxy.sock': socket });
    const { port } = await startNginxWith(t, blocks);
    await assertConnected(t, port, { child });
  });

  for (const [file, place] of [
    ['docker-compose/nginx/default.conf', 'keepalive:8080'],
    ['docker-compose/nginx.sidecar/default.conf', 'neko:8080'],
    ['balanced/nginx/default.conf', 'keepalive:8080'],
  ] as const) {
    test(`${file} connects clients`, { skip: skipWithout('nginx') }, async (t) => {
      const room = await quietRoom(t);
      const proxy = await startProxy(t, room.port, SETTINGS);
      const { port } = await startNginxWith(t, adapt(readExample(file), { [place]: `127.0.0.1:${proxy.port}` }));
      await assertConnected(t, port, proxy);
    });
  }

  test('the Connection field of nginx-proxy-manager works as well', { skip: skipWithout('nginx') }, async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port, SETTINGS);
    const changes = {
      [PROXY_ADDRESS]: `127.0.0.1:${proxy.port}`,
      'Connection "upgrade"': 'Connection $http_connection',
    };
    const { port } = await startNginxWith(t, adapt(readExample('nginx/neko.conf'), changes));
    await assertConnected(t, port, proxy);
  });
});
