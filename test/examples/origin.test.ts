/** Servers that compare a page's Origin with Host want the port that people typed, and the fronts of the examples keep it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { atEnd } from '../support/cleanup.ts';
import { adapt, exampleFiles, readExample } from '../support/examples.ts';
import { startNginxWith } from '../support/nginx.ts';
import { startProxy } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

/** Where the files send to, which becomes the proxy's port here. */
const PLACES = /127\.0\.0\.1:808\d|keepalive:8080|neko:8080|unix:[^;]+\.sock/g;

/** As Tornado's `check_origin` does it. @returns its port */
async function startStrictServer(t: TestContext): Promise<number> {
  const verifyClient = ({ origin, req }: { origin: string; req: IncomingMessage }): boolean =>
    new URL(origin).host === req.headers.host;
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, verifyClient });
  atEnd(t, () => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function open(t: TestContext, port: number, origin: string): Promise<string> {
  const socket = new WebSocket(`ws://localhost:${port}/`, { origin, family: 4 });
  atEnd(t, () => socket.terminate());
  const refused = once(socket, 'error').then(([error]) => String(error));
  return Promise.race([once(socket, 'open').then(() => 'open'), refused]);
}

const FILES = exampleFiles('.conf').filter((file) => readExample(file).includes('proxy_pass'));

test('a page on another port than 80 is of the same origin through every nginx file', {
  skip: skipWithout('nginx'),
}, async (t) => {
  assert.ok(FILES.length >= 6, FILES.join());
  const { port } = await startProxy(t, await startStrictServer(t));
  for (const file of FILES) {
    const text = readExample(file).replaceAll(PLACES, `127.0.0.1:${port}`);
    const nginx = await startNginxWith(t, text);
    assert.equal(await open(t, nginx.port, `http://localhost:${nginx.port}`), 'open', file);
    assert.match(await open(t, nginx.port, 'http://localhost'), /\b401\b/, file);
  }
});

test('with $host in place of $http_host it is not, which is why', { skip: skipWithout('nginx') }, async (t) => {
  const { port } = await startProxy(t, await startStrictServer(t));
  const text = adapt(readExample('nginx/neko.conf'), { '127.0.0.1:8081': `127.0.0.1:${port}`, $http_host: '$host' });
  const nginx = await startNginxWith(t, text);
  assert.match(await open(t, nginx.port, `http://localhost:${nginx.port}`), /\b401\b/);
});
