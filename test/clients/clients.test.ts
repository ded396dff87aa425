/**
 * Whatever ends a connection, each client library sees the same through the proxy as directly, and comes back as it does directly.
 * Waits for `limits.age`, in real time.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cleanup } from '../support/cleanup.ts';
import { freePort } from '../support/free-port.ts';
import { type Child, spawnProgram } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';
import { Scope } from '../support/scope.ts';
import { CLIENTS, Diary, type StartClient } from './clients.ts';
import { type Server, SERVERS, startEcho, startGraphqlServer, type StartServer } from './servers.ts';

const SETTINGS = {
  KEEPALIVE_MODE: 'always',
  KEEPALIVE_PING_INTERVAL: '50ms',
  KEEPALIVE_UPSTREAM_PING_INTERVAL: '50ms',
  TIMEOUTS_DRAIN: '200ms',
};
/** Long enough for a slow client to become ready on a loaded machine. */
const AGE = { ...SETTINGS, LIMITS_AGE: '6s' };

/** The built program, and how to stop it in order and start it again. */
async function startProxy(
  cleanup: Cleanup,
  upstream: number,
  settings: Record<string, string>,
): Promise<Server & { readonly child: Child }> {
  const port = await freePort(cleanup);
  const args = ['--listen', `127.0.0.1:${port}`, '--upstream', `http://127.0.0.1:${upstream}`];
  const start = async (): Promise<Child> => {
    const child = spawnProgram(cleanup, { args, settings, cwd: '/' });
    await child.log('listening');
    return child;
  };
  const first = await start();
  const restart = async (): Promise<void> => {
    assert.equal((await first.stop('SIGTERM')).code, 0);
    await start();
  };
  return { port, restart, child: first };
}

type Way = 'direct' | 'the server is killed' | 'the proxy is stopped' | 'limits.age is reached';

/** What the client has seen when it is back. */
async function run(way: Way, startClient: StartClient, startServer: StartServer): Promise<string[]> {
  const scope = new Scope();
  try {
    const server = await startServer(scope);
    const isOld = way === 'limits.age is reached';
    const proxy = way === 'direct' ? null : await startProxy(scope, server.port, isOld ? AGE : SETTINGS);
    const diary = new Diary();
    startClient(scope, proxy?.port ?? server.port, diary);
    await diary.untilReady(1);
    if (isOld) await checkPings(proxy?.child);
    else await (way === 'the proxy is stopped' ? proxy : server)?.restart();
    return await diary.untilReady(2);
  } finally {
    await scope.undo();
  }
}

async function checkPings(proxy: Child | undefined): Promise<void> {
  const line = await proxy?.log('websocket closed');
  assert.deepEqual([line?.['cause'], line?.['answers_pings']], ['max_age', true]);
}

describe('clients', { concurrency: 2 }, () => {
  for (const { name, start, needs } of CLIENTS)
    test(`${name} comes back as it does directly`, { skip: skipWithout(...needs) }, async () => {
      const server = name === 'graphql-ws' ? startGraphqlServer : startEcho;
      const direct = await run('direct', start, server);
      for (const way of ['the server is killed', 'the proxy is stopped', 'limits.age is reached'] as const)
        assert.deepEqual(await run(way, start, server), direct, way);
    });
});

describe('servers', { concurrency: 2 }, () => {
  for (const { name, start, needs } of SERVERS)
    test(`a client of ${name} sees the same`, { skip: skipWithout(...needs) }, async () => {
      const [{ start: client }] = CLIENTS;
      const direct = await run('direct', client, start);
      for (const way of ['the server is killed', 'limits.age is reached'] as const)
        assert.deepEqual(await run(way, client, start), direct, way);
    });
});
