import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Address, UpstreamTarget } from '../../src/core/settings.ts';
import { UpstreamWatch } from '../../src/admin/upstreams.ts';
import { atEnd } from '../support/cleanup.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { deadPort, listen } from '../support/http.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { temporaryFolder } from '../support/process.ts';
import { Watch } from '../support/watch.ts';

const at = (port: number): Address => ({ kind: 'tcp', host: '127.0.0.1', port });

/** @param together of one route, or each of its own */
function setUp(t: TestContext, upstreams: readonly Address[], { together = false, tls = false } = {}) {
  const clock = new FakeClock();
  const state = { draining: false, wall: 1_000 };
  const { sink, log } = createSinkLogger();
  const changes: string[] = [];
  const seen = new Watch();
  const check = new UpstreamWatch({
    clock,
    wallClock: () => state.wall,
    log,
    isDraining: () => state.draining,
    upstreams: () =>
      upstreams.map((address, index) => ({
        route: together ? 'rooms' : `route-${index}`,
        upstream: together ? index : 0,
        target: { address, tls, url: `http://up-${index}` },
      })),
    tls: () => ({ ca: 'system', verify: true }),
    connectTimeoutMs: () => 1_000,
    onChange: ({ route, isUp }) => {
      changes.push(`${route} ${String(isUp)}`);
      seen.changed();
    },
  });
  atEnd(t, () => check.close());
  const until = (count: number): Promise<unknown> => seen.until(() => changes.length >= count, `${count} changes`);
  return { clock, state, check, sink, changes, until };
}

const targetAt = (address: Address, index = 0): UpstreamTarget => ({ address, tls: false, url: `http://up-${index}` });

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
  const { check } = setUp(t, [(await upstream(t)).address]);
  assert.deepEqual(await check.check(), { ready: true, detail: 'ready' });
});

test('it is ready when an upstream on a unix socket takes a connection', async (t) => {
  const path = join(await temporaryFolder(t), 'up.sock');
  const { check } = setUp(t, [(await upstream(t, path)).address]);
  assert.equal((await check.check()).ready, true);
});

test('one of several upstreams is enough', async (t) => {
  const { check } = setUp(t, [at(await deadPort()), (await upstream(t)).address]);
  assert.equal((await check.check()).ready, true);
});

test('it is not ready when no upstream takes a connection, and names each with the reason', async (t) => {
  const { check } = setUp(t, [at(await deadPort())]);
  const { ready, detail } = await check.check();
  assert.equal(ready, false);
  assert.match(
    detail,
    /^no upstream takes connections; look at the upstream itself\nroute route-0: http:\/\/up-0 takes no connections \(.*ECONNREFUSED.*\)$/,
  );
});

test('it is ready while some are down, and names those', async (t) => {
  const { check, until } = setUp(t, [at(await deadPort()), (await upstream(t)).address]);
  check.tryAll();
  await until(1);
  const { ready, detail } = await check.check();
  assert.equal(ready, true);
  assert.match(detail, /^ready\nroute route-0: http:\/\/up-0 takes no connections/);
});

test('an upstream that is down at the start is told at once, and told again when it is back', async (t) => {
  const path = join(await temporaryFolder(t), 'up.sock');
  const { check, clock, state, sink, until } = setUp(t, [{ kind: 'unix', path }]);
  assert.deepEqual(check.statuses(), [
    { route: 'route-0', upstream: 0, url: 'http://up-0', isUp: null, since: null, error: null },
  ]);
  check.tryAll();
  await until(1);
  const [down] = check.statuses();
  assert.deepEqual([down?.isUp, down?.since], [false, 1_000]);
  assert.match(down?.error ?? '', /ENOENT/);
  await upstream(t, path);
  state.wall = 9_000;
  clock.advance(5_000);
  await until(2);
  const [back] = check.statuses();
  assert.deepEqual([back?.isUp, back?.since], [true, 9_000]);
  assert.match(back?.error ?? '', /ENOENT/);
  assert.deepEqual(
    sink.lines().map(({ level, msg, route, upstream: url }) => [level, msg, route, url]),
    [
      ['warn', 'upstream cannot be reached', 'route-0', 'http://up-0'],
      ['info', 'upstream is back', 'route-0', 'http://up-0'],
    ],
  );
});

test('an upstream that is up from the start on is no news', async (t) => {
  const { check, sink, changes } = setUp(t, [(await upstream(t)).address]);
  check.tryAll();
  await check.check();
  assert.deepEqual([sink.lines(), changes], [[], []]);
});

test('what a request could not reach is down at once, until a connection of our own has got through', async (t) => {
  const { address } = await upstream(t);
  const { check, clock, sink, until } = setUp(t, [address, at(await deadPort())], { together: true });
  const first = targetAt(address);
  assert.equal(check.isDown(first), false);
  check.unreachable(first, 'refused');
  assert.equal(check.isDown(first), true);
  assert.deepEqual([sink.lines()[0]?.['msg'], sink.lines()[0]?.['error']], ['upstream cannot be reached', 'refused']);
  clock.advance(4_999);
  assert.equal(check.isDown(first), true);
  clock.advance(1);
  await until(2);
  assert.equal(check.isDown(first), false);
});

test('a request that was answered after all brings its upstream back', async (t) => {
  const { check } = setUp(t, [at(await deadPort())]);
  const first = targetAt(at(1));
  check.unreachable(first, 'refused');
  check.reached(first);
  assert.equal(check.isDown(first), false);
});

test('an upstream with TLS is up when it could be secured', async (t) => {
  const server = createServer((socket) => void socket.on('error', () => undefined).end('no TLS'));
  const { check } = setUp(t, [at(await listen(t, server))], { tls: true });
  assert.equal((await check.check()).ready, false);
  assert.match(check.statuses()[0]?.error ?? '', /SSL|wrong version/i);
});

test('doubts are settled by one try, half a second later', async (t) => {
  const address = at(await deadPort());
  const { check, clock, until } = setUp(t, [address]);
  check.reached(targetAt(address));
  for (let doubts = 0; doubts < 1_000; doubts += 1) check.doubt('route-0');
  clock.advance(499);
  assert.equal(check.statuses()[0]?.isUp, true);
  clock.advance(1);
  await until(1);
  assert.equal(check.statuses()[0]?.isUp, false);
});

test('a doubt about another route, or after the end, does nothing', async (t) => {
  const { address, count } = await upstream(t);
  const { check, clock } = setUp(t, [address]);
  check.doubt('nobody');
  check.close();
  check.doubt('route-0');
  clock.advance(1_000);
  assert.equal((await check.check()).ready, false);
  assert.equal(count(), 0);
});

test('what is no longer configured is forgotten', async (t) => {
  const upstreams = [at(await deadPort())];
  const { check, until } = setUp(t, upstreams);
  check.tryAll();
  await until(1);
  upstreams.pop();
  check.tryAll();
  assert.deepEqual(check.statuses(), []);
  upstreams.push((await upstream(t)).address);
  assert.equal(check.statuses()[0]?.isUp, null);
});

test('it is not ready without any upstream', async (t) => {
  assert.equal((await setUp(t, []).check.check()).ready, false);
});

test('it does not probe for 10 s after traffic has told', async (t) => {
  const { address, count } = await upstream(t);
  const { check, clock } = setUp(t, [address]);
  check.reached(targetAt(address));
  clock.advance(9_999);
  assert.equal((await check.check()).ready, true);
  assert.equal(count(), 0);
  clock.advance(1);
  assert.equal((await check.check()).ready, true);
  assert.equal(count(), 1);
});

test('a success is believed for 10 s and no longer', async (t) => {
  const address = at(await deadPort());
  const { check, clock } = setUp(t, [address]);
  check.reached(targetAt(address));
  clock.advance(9_999);
  assert.equal((await check.check()).ready, true);
  clock.advance(1);
  assert.equal((await check.check()).ready, false);
});

test('those who ask at the same time share one probe', async (t) => {
  const { address, count } = await upstream(t);
  const { check } = setUp(t, [address]);
  await Promise.all([check.check(), check.check(), check.check()]);
  assert.equal(count(), 1);
});

test('a probe that takes too long has failed', async (t) => {
  const { check, clock } = setUp(t, [(await upstream(t)).address]);
  const asked = check.check();
  // Before the connection can be there.
  clock.advance(1_000);
  assert.equal((await asked).ready, false);
});

test('it is not ready while stopping, whatever the upstream does', async (t) => {
  const { address, count } = await upstream(t);
  const { check, state } = setUp(t, [address]);
  check.reached(targetAt(address));
  state.draining = true;
  assert.deepEqual(await check.check(), { ready: false, detail: 'stopping' });
  assert.equal(count(), 0);
});
