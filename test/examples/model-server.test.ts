/** A server that thinks before it speaks, behind a front that does not wait so long. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { atEnd } from '../support/cleanup.ts';
import { adapt, PROXY_ADDRESS, readExample } from '../support/examples.ts';
import { freePort } from '../support/free-port.ts';
import { nginxBefore, startNginx } from '../support/nginx.ts';
import { spawnProgram, temporaryFolder } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

/** What the front allows, and how long the server thinks, in ms. */
const LIMIT = 1000;
const THOUGHT = 3 * LIMIT;

/** Answers a question after a while, as a model does. @returns its port */
async function startThinker(t: TestContext): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  const thoughts = new Set<NodeJS.Timeout>();
  server.on('connection', (socket) => {
    socket.on('message', () => thoughts.add(setTimeout(() => socket.send('forty-two'), THOUGHT)));
  });
  atEnd(t, () => {
    for (const thought of thoughts) clearTimeout(thought);
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** @returns the answer, or null when the connection ended before there was one */
async function ask(t: TestContext, port: number): Promise<string | null> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  atEnd(t, () => socket.terminate());
  await once(socket, 'open');
  socket.send('the question');
  return new Promise((resolve) => {
    socket.once('message', (data: Buffer) => resolve(data.toString()));
    socket.once('close', () => resolve(null));
  });
}

test('an answer that takes longer than the front waits arrives through the proxy, and not without it', {
  skip: skipWithout('nginx'),
}, async (t) => {
  const thinker = await startThinker(t);
  const [file, port] = [`${await temporaryFolder(t)}/config.yaml`, await freePort(t)];
  const places = { [PROXY_ADDRESS]: `127.0.0.1:${port}`, '127.0.0.1:8000': `127.0.0.1:${thinker}` };
  writeFileSync(file, adapt(readExample('model-server/config.yaml'), places));
  const settings = { KEEPALIVE_PING_INTERVAL: '300ms' };
  await spawnProgram(t, { args: ['--config', file], settings }).log('listening');
  const bare = await startNginx(t, nginxBefore(thinker, `${LIMIT}ms`));
  const kept = await startNginx(t, nginxBefore(port, `${LIMIT}ms`));
  assert.deepEqual(await Promise.all([ask(t, bare.port), ask(t, kept.port)]), [null, 'forty-two']);
});
