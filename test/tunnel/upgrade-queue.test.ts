import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DialQueues } from '../../src/runtime/dial-queue.ts';
import { connectRaw, startRawUpstream, switchingProtocols, upgradeRequest } from '../support/raw-http.ts';
import { startHarness } from '../support/upgrade-harness.ts';

/** One handshake at a time. */
const oneByOne = () => ({ dials: new DialQueues(() => 1) });

test('a handshake that waits goes on when the one before it is a tunnel', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target, deps: oneByOne() });
  const first = await connectRaw(t, proxy.port, upgradeRequest());
  const firstServer = await upstream.peer();
  const firstRequest = await firstServer.head();
  const second = await connectRaw(t, proxy.port, upgradeRequest());
  firstServer.send(switchingProtocols(firstRequest));
  assert.match(await first.head(), /^HTTP\/1\.1 101 /);
  const secondServer = await upstream.peer(1);
  secondServer.send(switchingProtocols(await secondServer.head()));
  assert.match(await second.head(), /^HTTP\/1\.1 101 /);
  assert.equal(proxy.tunnels.length, 2);
});

test('a refused handshake makes room', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target, deps: oneByOne() });
  await connectRaw(t, proxy.port, upgradeRequest());
  const firstServer = await upstream.peer();
  await firstServer.head();
  const second = await connectRaw(t, proxy.port, upgradeRequest());
  firstServer.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  const secondServer = await upstream.peer(1);
  secondServer.send(switchingProtocols(await secondServer.head()));
  assert.match(await second.head(), /^HTTP\/1\.1 101 /);
});

test('a client that leaves while it waits costs no dial', async (t) => {
  const upstream = await startRawUpstream(t);
  const proxy = await startHarness(t, { upstream: upstream.target, deps: oneByOne() });
  const first = await connectRaw(t, proxy.port, upgradeRequest());
  const firstServer = await upstream.peer();
  const firstRequest = await firstServer.head();
  const second = await connectRaw(t, proxy.port, upgradeRequest({ line: 'GET /gone HTTP/1.1' }));
  second.socket.destroy();
  assert.equal((await proxy.failure()).reason, 'client_gone');
  const third = await connectRaw(t, proxy.port, upgradeRequest({ line: 'GET /third HTTP/1.1' }));
  firstServer.send(switchingProtocols(firstRequest));
  assert.match(await first.head(), /^HTTP\/1\.1 101 /);
  const thirdServer = await upstream.peer(1);
  const thirdRequest = await thirdServer.head();
  assert.match(thirdRequest, /^GET \/third /);
  thirdServer.send(switchingProtocols(thirdRequest));
  assert.match(await third.head(), /^HTTP\/1\.1 101 /);
});

test('who waits for the whole of timeouts.handshake gets 503', async (t) => {
  const upstream = await startRawUpstream(t);
  const dials = new DialQueues(() => 1);
  const proxy = await startHarness(t, { upstream: upstream.target, deps: { dials }, timeouts: { handshake: 50 } });
  // Somebody else has the only place, for good.
  const leave = dials.enter(upstream.target, 'somebody', () => undefined);
  t.after(leave);
  const client = await connectRaw(t, proxy.port, upgradeRequest());
  const answer = await client.head();
  assert.match(answer, /^HTTP\/1\.1 503 /);
  assert.match(answer, /\r\nRetry-After: 5\r\n/);
  const { reason, detail } = await proxy.failure();
  assert.equal(reason, 'limit');
  assert.match(detail, /limits\.handshakes/);
});
