/** Several upstreams, and upstreams that are no plain port: the proxy runs with each file. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer as createPlainServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { atEnd } from '../support/cleanup.ts';
import { adapt, PROXY_ADDRESS, readExample } from '../support/examples.ts';
import { freePort } from '../support/free-port.ts';
import { spawnProgram, temporaryFolder } from '../support/process.ts';

const CERTIFICATE = fileURLToPath(new URL('../fixtures/localhost.cert.pem', import.meta.url));
const KEY = fileURLToPath(new URL('../fixtures/localhost.key.pem', import.meta.url));

/** Tells everybody who comes its name and the path that was asked for. */
async function startNamed(t: TestContext, name: string, server: Server, path?: string): Promise<string> {
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) => socket.send(`${name} ${request.url}`));
  server.listen(path === undefined ? { host: '127.0.0.1', port: 0 } : { path });
  await once(server, 'listening');
  atEnd(t, () => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return path ?? `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const plain = (t: TestContext, name: string): Promise<string> => startNamed(t, name, createPlainServer());

/** Starts the proxy with an example. @returns its port */
async function startWith(t: TestContext, file: string, places: Readonly<Record<string, string>>): Promise<number> {
  const [config, port] = [`${await temporaryFolder(t)}/config.yaml`, await freePort(t)];
  writeFileSync(config, adapt(readExample(file), { [PROXY_ADDRESS]: `127.0.0.1:${port}`, ...places }));
  await spawnProgram(t, { args: ['--config', config] }).log('listening');
  return port;
}

/** What the server behind says first. */
async function greeting(t: TestContext, url: string, host = 'neko.example.com'): Promise<string> {
  const socket = new WebSocket(url, { headers: { host } });
  atEnd(t, () => socket.terminate());
  const [data] = (await once(socket, 'message')) as [Buffer];
  return data.toString();
}

test('rooms/by-path.yaml tells rooms apart by their path and rewrites none', async (t) => {
  const [alpha, beta] = [await plain(t, 'alpha'), await plain(t, 'beta')];
  const port = await startWith(t, 'rooms/by-path.yaml', { 'neko-alpha:8080': alpha, 'neko-beta:8080': beta });
  assert.equal(await greeting(t, `ws://127.0.0.1:${port}/room/alpha/ws`), 'alpha /room/alpha/ws');
  assert.equal(await greeting(t, `ws://127.0.0.1:${port}/room/beta/ws?a=1`), 'beta /room/beta/ws?a=1');
  assert.equal((await fetch(`http://127.0.0.1:${port}/room/alphabet`)).status, 404);
});

test('rooms/by-host.yaml tells rooms apart by their name, and has one for the others', async (t) => {
  const [alpha, beta, lobby] = [await plain(t, 'alpha'), await plain(t, 'beta'), await plain(t, 'lobby')];
  const places = { 'neko-alpha:8080': alpha, 'neko-beta:8080': beta, 'neko-lobby:8080': lobby };
  const port = await startWith(t, 'rooms/by-host.yaml', places);
  const url = `ws://127.0.0.1:${port}/ws`;
  assert.equal(await greeting(t, url, 'alpha.example.com'), 'alpha /ws');
  assert.equal(await greeting(t, url, 'beta.example.com:443'), 'beta /ws');
  assert.equal(await greeting(t, url, 'gamma.example.com'), 'lobby /ws');
});

test('rooms/path-prefix.yaml serves the prefix, and nothing outside of it', async (t) => {
  const port = await startWith(t, 'rooms/path-prefix.yaml', { 'neko:8080': await plain(t, 'neko') });
  assert.equal(await greeting(t, `ws://127.0.0.1:${port}/neko/ws`), 'neko /neko/ws');
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
});

test('rooms/tls.yaml reaches a server whose certificate is of an authority of its own', async (t) => {
  const server = createTlsServer({ cert: readFileSync(CERTIFICATE), key: readFileSync(KEY) });
  const [, tlsPort] = (await startNamed(t, 'tls', server)).split(':');
  const places = { 'neko.internal:8443': `localhost:${tlsPort}`, '/etc/ws-keepalive-proxy/ca.pem': CERTIFICATE };
  const port = await startWith(t, 'rooms/tls.yaml', places);
  assert.equal(await greeting(t, `ws://127.0.0.1:${port}/ws`, 'localhost'), 'tls /ws');
});

test('rooms/unix-socket.yaml needs no port at all', async (t) => {
  const folder = await temporaryFolder(t);
  const upstream = await startNamed(t, 'unix', createPlainServer(), `${folder}/neko.sock`);
  const config = `${folder}/config.yaml`;
  const places = { '/run/ws-keepalive-proxy/proxy.sock': `${folder}/proxy.sock`, '/run/neko/neko.sock': upstream };
  writeFileSync(config, adapt(readExample('rooms/unix-socket.yaml'), places));
  await spawnProgram(t, { args: ['--config', config] }).log('listening');
  assert.equal(await greeting(t, `ws+unix:${folder}/proxy.sock:/ws`), 'unix /ws');
});
