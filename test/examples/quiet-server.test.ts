import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { startEchoServer } from '../support/echo-server.ts';
import { adapt, PROXY_ADDRESS, readExample } from '../support/examples.ts';
import { freePort } from '../support/free-port.ts';
import { connectIdle } from '../support/idle-client.ts';
import { nginxBefore, startNginx } from '../support/nginx.ts';
import { spawnProgram, temporaryFolder } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

const LIMIT = 1000;

test('a server that never pings keeps its clients behind nginx, and loses them without the proxy', {
  skip: skipWithout('nginx'),
}, async (t) => {
  const server = await startEchoServer(t, false);
  const [file, port] = [`${await temporaryFolder(t)}/config.yaml`, await freePort(t)];
  const places = { [PROXY_ADDRESS]: `127.0.0.1:${port}`, '127.0.0.1:9000': `127.0.0.1:${server}` };
  writeFileSync(file, adapt(readExample('quiet-server/config.yaml'), places));
  const settings = { KEEPALIVE_PING_INTERVAL: '300ms' };
  await spawnProgram(t, { args: ['--config', file], settings }).log('listening');

  const bare = await startNginx(t, nginxBefore(server, `${LIMIT}ms`));
  const kept = await startNginx(t, nginxBefore(port, `${LIMIT}ms`));
  const [lost, client] = [await connectIdle(t, bare.port, 'lost'), await connectIdle(t, kept.port, 'kept')];
  assert.ok((await lost.untilClosed()) >= LIMIT - 50);
  await client.outlives(3 * LIMIT);
  client.say('still here');
  await client.hears('still here');
});
