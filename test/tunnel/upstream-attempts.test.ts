import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { UpstreamTarget } from '../../src/core/settings.ts';
import { DialQueues } from '../../src/runtime/dial-queue.ts';
import { upstreamMemory } from '../support/upstream-memory.ts';
import { fullPort } from '../support/full-port.ts';
import { deadPort } from '../support/http.ts';
import {
  connectRaw,
  type RawUpstream,
  startRawUpstream,
  switchingProtocols,
  tcpTarget,
  upgradeRequest,
} from '../support/raw-http.ts';
import { startHarness } from '../support/upgrade-harness.ts';

async function accept(upstream: RawUpstream, index = 0): Promise<void> {
  const peer = await upstream.peer(index);
  peer.send(switchingProtocols(await peer.head()));
}

const dead = async (): Promise<UpstreamTarget> => tcpTarget(await deadPort());

test('the next upstream is asked when the first takes no connection', async (t) => {
  const second = await startRawUpstream(t);
  const health = upstreamMemory();
  const proxy = await startHarness(t, { upstream: [await dead(), second.target], deps: { health } });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  await accept(second);
  assert.match(await client.head(), /^HTTP\/1\.1 101 /);
  assert.equal((await proxy.tunnel()).info.upstream, second.target.url);
  assert.deepEqual(health.told.length, 2);
  assert.match(health.told[0] ?? '', /^it cannot be reached: nothing listens there; .* \(ECONNREFUSED\)$/);
  assert.deepEqual(proxy.failures, []);
});

test('an upstream that swallows the dial is left after its share of the time', async (t) => {
  const second = await startRawUpstream(t);
  const first = tcpTarget(await fullPort(t));
  const health = upstreamMemory();
  const proxy = await startHarness(t, {
    upstream: [first, second.target],
    timeouts: { connect: 50 },
    deps: { health },
  });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  await accept(second);
  assert.match(await client.head(), /^HTTP\/1\.1 101 /);
  assert.deepEqual(health.told, ['it could not be connected within 50 ms (timeouts.connect)', 'reached']);
});

test('an upstream that cannot be secured was sent nothing, so the next one is asked', async (t) => {
  const first = await startRawUpstream(t, (peer) => peer.send('no TLS'));
  const second = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: [{ ...first.target, tls: true }, second.target] });
  await connectRaw(t, proxy.port, upgradeRequest());
  await accept(second);
  assert.equal((await proxy.tunnel()).info.upstream, second.target.url);
});

test('what is known to be down is asked last', async (t) => {
  const [first, second] = [await startRawUpstream(t), await startRawUpstream(t)];
  const health = upstreamMemory();
  health.unreachable(first.target, 'before');
  const proxy = await startHarness(t, { upstream: [first.target, second.target], deps: { health } });
  await connectRaw(t, proxy.port, upgradeRequest());
  await accept(second);
  await proxy.tunnel();
  assert.equal(first.peers.length, 0);
});

test('what was sent once is not sent again', async (t) => {
  const [first, second] = [await startRawUpstream(t), await startRawUpstream(t)];
  const proxy = await startHarness(t, { upstream: [first.target, second.target] });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const peer = await first.peer();
  await peer.head();
  peer.reset();
  assert.match(await client.end(), /^HTTP\/1\.1 502 /);
  assert.equal((await proxy.failure()).reason, 'upstream_invalid');
  assert.equal(second.peers.length, 0);
});

test('an answer is an answer, whatever its status', async (t) => {
  const [first, second] = [await startRawUpstream(t), await startRawUpstream(t)];
  const proxy = await startHarness(t, { upstream: [first.target, second.target] });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const peer = await first.peer();
  await peer.head();
  peer.send('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n');
  assert.match(await client.end(), /^HTTP\/1\.1 503 Busy/);
  assert.match((await proxy.failure()).detail, new RegExp(`^upstream ${first.target.url}: it answered 503`));
  assert.equal(second.peers.length, 0);
});

test('who took the connection counts as reached, whatever became of it', async (t) => {
  const answers: readonly [answer: string, ends: boolean, told: readonly string[]][] = [
    ['HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n', false, ['reached']],
    ['SSH-2.0-OpenSSH_9.2\r\n', false, ['reached']],
    ['', true, ['reached']],
    // It may have hung before it was asked.
    ['HTTP/1.1 101 Swi', false, []],
  ];
  for (const [answer, ends, told] of answers) {
    const health = upstreamMemory();
    const upstream = await startRawUpstream(t, async (peer) => {
      await peer.head();
      peer.send(answer);
      if (ends) peer.reset();
    });
    const options = { upstream: upstream.target, timeouts: { handshake: 500 }, deps: { health } };
    const proxy = await startHarness(t, options);
    const client = await connectRaw(t, proxy.port, upgradeRequest());
    await client.end();
    assert.deepEqual(health.told, told, answer);
  }
});

test('when none can be reached the failure names each, with what is wrong with it', async (t) => {
  const [first, second] = [await dead(), await dead()];
  const proxy = await startHarness(t, { upstream: [first, second] });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  assert.match(await client.end(), /^HTTP\/1\.1 502 /);
  const { reason, detail } = await proxy.failure();
  assert.equal(reason, 'upstream_unreachable');
  const parts = detail.split('; upstream ').map((part) => part.replace(/^upstream /, '').split(': ')[0]);
  assert.deepEqual(parts, [first.url, second.url]);
});

test('nobody waits longer than timeouts.handshake, however many upstreams there are', async (t) => {
  const second = await startRawUpstream(t);
  const first = tcpTarget(await fullPort(t));
  const timeouts = { connect: 50, handshake: 1000 };
  const proxy = await startHarness(t, { upstream: [first, second.target], timeouts });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  // It never answers.
  assert.match(await client.end(), /^HTTP\/1\.1 504 /);
  const { reason, detail } = await proxy.failure();
  assert.equal(reason, 'upstream_timeout');
  assert.match(detail, /50 ms \(timeouts\.connect\); upstream .* within 1000 ms \(timeouts\.handshake\)$/);
});

test('those who wait behind a dial that fails go to the next upstream at once, each in its queue', async (t) => {
  const second = await startRawUpstream(t);
  const first = tcpTarget(await fullPort(t));
  const options = { timeouts: { connect: 200 }, deps: { health: upstreamMemory(), dials: new DialQueues(() => 1) } };
  const proxy = await startHarness(t, { upstream: [first, second.target], ...options });
  const clients = await inTurn(t, proxy.port, 20);
  for (let index = 0; index < clients.length; index += 1) {
    await second.peer(index);
    // One at a time here as well.
    assert.equal(second.peers.length, index + 1);
    await accept(second, index);
  }
  for (const client of clients) assert.match(await client.head(), /^HTTP\/1\.1 101 /);
});

async function inTurn(t: TestContext, port: number, count: number) {
  const clients: Awaited<ReturnType<typeof connectRaw>>[] = [];
  while (clients.length < count) clients.push(await connectRaw(t, port, upgradeRequest()));
  return clients;
}

test('a client that leaves between two upstreams leaves nothing behind', async (t) => {
  const second = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: [await dead(), second.target] });
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const peer = await second.peer();
  client.reset();
  await peer.end();
  assert.equal((await proxy.failure()).reason, 'client_gone');
});
