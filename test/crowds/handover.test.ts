/** One instance takes over from another on a socket that neither of them opened. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { holdSocket } from '../support/held-socket.ts';
import { spawnProgram } from '../support/process.ts';
import { Watch } from '../support/watch.ts';

const CLIENTS = 500;

async function startUpstream(t: Cleanup): Promise<string> {
  const server = createServer((_, res) => res.end('ok')).listen(0, '127.0.0.1');
  const sockets = new WebSocketServer({ server });
  atEnd(t, () => {
    for (const client of sockets.clients) client.terminate();
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Null when it was served. */
function askOnce(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const asked = get({ host: '127.0.0.1', port, agent: false }, (res) => {
      res.resume().on('error', (error) => resolve(error.message));
      res.on('end', () => resolve(res.statusCode === 200 ? null : `status ${res.statusCode}`));
    });
    asked.on('error', (error) => resolve(error.message));
  });
}

/** Null when it was let in. */
function openOnce(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    socket.on('error', (error) => resolve(error.message));
    socket.on('open', () => socket.close());
    socket.on('close', () => resolve(null));
  });
}

test('500 clients that connect without pause see nothing of a change of instances', async (t) => {
  const upstream = await startUpstream(t);
  const held = holdSocket(t);
  const first = held.start(['--upstream', upstream]);
  await first.log('listening', ({ address }) => address === `127.0.0.1:${held.port}`);
  const watch = new Watch();
  const failures: string[] = [];
  let served = 0;
  const over = new AbortController();
  async function comeAgain(visit: typeof askOnce): Promise<void> {
    while (!over.signal.aborted) {
      const failure = await visit(held.port);
      if (failure === null) served += 1;
      else failures.push(`${visit.name}: ${failure}`);
      watch.changed();
    }
  }
  const crowd = Array.from({ length: CLIENTS }, (_, at) => comeAgain(at % 2 === 0 ? askOnce : openOnce));
  const more = (): Promise<unknown> => {
    const enough = served + 2 * CLIENTS;
    return watch.until(() => served + failures.length >= enough, 'more to be served', 60_000);
  };
  await more();
  const second = held.start(['--upstream', upstream]);
  await second.log('listening');
  await more();
  first.process.kill('SIGTERM');
  assert.equal((await first.exited).code, 0);
  await more();
  over.abort();
  await Promise.all(crowd);
  assert.deepEqual(failures, []);
});

test('a descriptor that is no socket ends the program with a sentence', async (t) => {
  const child = spawnProgram(t, { args: ['--listen', 'fd:3', '--upstream', 'http://127.0.0.1:9'] });
  assert.notEqual((await child.exited).code, 0);
  assert.match(
    child.stderr + child.stdout,
    /cannot listen on fd:3: it is no socket; start it from a socket unit of systemd, or write host:port/,
  );
});
