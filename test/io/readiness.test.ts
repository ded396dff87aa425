import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Address } from '../../src/core/settings.ts';
import { ReadinessCheck } from '../../src/io/readiness.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { deadPort, listen } from '../support/http.ts';
import { temporaryFolder } from '../support/process.ts';

const at = (port: number): Address => ({ kind: 'tcp', host: '127.0.0.1', port });

function setUp(upstreams: readonly Address[]) {
  const clock = new FakeClock();
  const state = { draining: false };
  const check = new ReadinessCheck({
    clock,
    isDraining: () => state.draining,
    upstreams: () => upstreams,
    connectTimeoutMs: () => 1_000,
  });
  return { clock, state, check };
}

/** An upstream that takes connections, and how many it took. */
async function upstream(t: TestContext, path?: string): Promise<{ address: Address; count: () => number }> {
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    socket.on('error', () => undefined).resume();
  });
  const port = await listen(t, server, path);
  return { address: path === undefined ? at(port) : { kind: 'unix', path }, count: () => count };
}

test('it is ready when an upstream takes a connection', async (t) => {
  const { check } = setUp([(await upstream(t)).address]);
  assert.deepEqual(await check.check(), { ready: true, detail: 'ready' });
});

test('it is ready when an upstream on a unix socket takes a connection', async (t) => {
  const path = join(await temporaryFolder(t), 'up.sock');
  const { check } = setUp([(await upstream(t, path)).address]);
  assert.equal((await check.check()).ready, true);
});

test('one of several upstreams is enough', async (t) => {
  const { check } = setUp([at(await deadPort()), (await upstream(t)).address]);
  assert.equal((await check.check()).ready, true);
});

test('it is not ready when no upstream takes a connection, and names none', async () => {
  const port = await deadPort();
  const { check } = setUp([at(port)]);
  const { ready, detail } = await check.check();
  assert.equal(ready, false);
  assert.match(detail, /no upstream takes connections/);
  assert.ok(!detail.includes(String(port)));
});

test('it is not ready without any upstream', async () => {
  assert.equal((await setUp([]).check.check()).ready, false);
});

test('it does not probe for 10 s after traffic has told', async (t) => {
  const { address, count } = await upstream(t);
  const { check, clock } = setUp([address]);
  check.reached();
  clock.advance(9_999);
  assert.equal((await check.check()).ready, true);
  assert.equal(count(), 0);
  clock.advance(1);
  assert.equal((await check.check()).ready, true);
  assert.equal(count(), 1);
});

test('a success is believed for 10 s and no longer', async () => {
  const { check, clock } = setUp([at(await deadPort())]);
  check.reached();
  clock.advance(9_999);
  assert.equal((await check.check()).ready, true);
  clock.advance(1);
  assert.equal((await check.check()).ready, false);
});

test('those who ask at the same time share one probe', async (t) => {
  const { address, count } = await upstream(t);
  const { check } = setUp([address]);
  await Promise.all([check.check(), check.check(), check.check()]);
  assert.equal(count(), 1);
});

test('a probe that takes too long has failed', async (t) => {
  const { check, clock } = setUp([(await upstream(t)).address]);
  const asked = check.check();
  // Before the connection can be there.
  clock.advance(1_000);
  assert.equal((await asked).ready, false);
});

test('it is not ready while stopping, whatever the upstream does', async (t) => {
  const { address, count } = await upstream(t);
  const { check, state } = setUp([address]);
  check.reached();
  state.draining = true;
  assert.deepEqual(await check.check(), { ready: false, detail: 'stopping' });
  assert.equal(count(), 0);
});
