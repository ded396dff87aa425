import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { NO_HEALTH } from '../../src/core/failover.ts';
import { compileTrust } from '../../src/http/client-address.ts';
import { ReloadableForwarder } from '../../src/forward/reloadable-forwarder.ts';
import type { HttpForwarderOptions } from '../../src/forward/forwarder.ts';
import { listen } from '../support/http.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { connectRaw, startRawUpstream } from '../support/raw-http.ts';
import { routeTo } from '../support/routes.ts';

const options: HttpForwarderOptions = {
  trusted: compileTrust([]),
  routes: [],
  upstreamTls: { ca: 'system', verify: true },
  health: NO_HEALTH,
  observer: { httpRequest: () => undefined },
  log: createSinkLogger().log,
};
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function startSlot(t: Parameters<typeof listen>[0]) {
  const upstream = await startRawUpstream(t);
  const slot = new ReloadableForwarder(options);
  t.after(() => slot.close());
  const route = routeTo(upstream.target);
  const port = await listen(
    t,
    createServer((req, res) => slot.handle(req, res, route, '/', () => undefined)),
  );
  return { slot, upstream, port };
}

test('the same options again keep the connections to the upstream', async (t) => {
  const { slot, upstream, port } = await startSlot(t);
  const client = await connectRaw(t, port, GET);
  const peer = await upstream.peer(0);
  await peer.head();
  peer.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
  await client.until('one');
  slot.apply({ ...options, upstreamTls: { ...options.upstreamTls } });
  client.send(GET);
  await peer.until('\r\n\r\nGET / ');
  assert.equal(upstream.peers.length, 1);
});

test('other options end what is idle at once, and what is running when it is done', async (t) => {
  const { slot, upstream, port } = await startSlot(t);
  const idle = await connectRaw(t, port, GET);
  const first = await upstream.peer(0);
  await first.head();
  const running = await connectRaw(t, port, GET);
  const second = await upstream.peer(1);
  await second.head();
  first.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
  await idle.until('one');
  slot.apply({ ...options, routes: [routeTo(upstream.target)] });
  assert.equal(slot.size, 2);
  second.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
  await running.until('two');
  await first.end();
  await second.end();
  assert.equal(slot.size, 1);
  idle.send(GET);
  await (await upstream.peer(2)).head();
});

test('a thousand changes leave one forwarder', () => {
  const slot = new ReloadableForwarder(options);
  const target = { address: { kind: 'unix', path: '/nowhere' }, tls: false, url: 'unix:/nowhere' } as const;
  for (let change = 1; change <= 1000; change++)
    slot.apply({ ...options, routes: [routeTo(target, `route-${change}`)] });
  assert.equal(slot.size, 1);
  slot.close();
});
