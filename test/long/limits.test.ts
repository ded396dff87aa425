/** Limits from outside: what the peer gets, what the upstream sees, what is logged. What a frame over a limit leads to is in test/closes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { closeCode, OPCODE } from '../support/frames.ts';
import { type Child, MAIN, startChild, startProxy, temporaryFolder } from '../support/process.ts';
import {
  connectRaw as connectHttp,
  fieldOf,
  type RawHttpPeer,
  startRawUpstream,
  upgradeRequest,
} from '../support/raw-http.ts';
import { connectRaw, type RawPeer, startRawServer } from '../support/raw-websocket.ts';

/** For tests whose clients do not answer a Close. */
const QUICK_STOP = { TIMEOUTS_DRAIN: '100ms' };

/** The closing line's cause and initiator. */
async function causeOf(child: Child): Promise<unknown[]> {
  const line = await child.log('websocket closed');
  return [line['initiator'], line['cause']];
}

async function refusal(child: Child, status: number): Promise<string> {
  const line = await child.log('upgrade failed', (fields) => fields['status'] === status);
  assert.equal(line['reason'], 'limit');
  return String(line['detail']);
}

const untilClose = (peer: RawPeer): Promise<number | null> =>
  peer.until(() => peer.frames.find(({ opcode }) => opcode === OPCODE.close), 'a Close').then(closeCode);

test('one WebSocket more than limits.connections gets 503 with Retry-After, before the upstream is dialled', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { LIMITS_CONNECTIONS: '2', ...QUICK_STOP });
  const first = await connectRaw(t, { port: proxy.port });
  await connectRaw(t, { port: proxy.port });
  const third = await connectHttp(t, proxy.port, upgradeRequest());
  const head = await third.head();
  assert.match(head, /^HTTP\/1\.1 503 /);
  assert.match(fieldOf(head, 'retry-after')[0] ?? '', /^\d+$/);
  assert.match(await refusal(proxy.child, 503), /limits\.connections$/);
  await server.next();
  await server.next();
  first.reset();
  await proxy.child.log('websocket closed');
  await connectRaw(t, { port: proxy.port });
  await server.next();
});

test('handshakes under way count, and give their place back when they fail', async (t) => {
  const upstream = await startRawUpstream(t, undefined, true);
  const proxy = await startProxy(t, upstream.port, { LIMITS_CONNECTIONS: '1', ...QUICK_STOP });
  const first = await connectHttp(t, proxy.port, upgradeRequest());
  await (await upstream.peer(0)).head();
  const second = await connectHttp(t, proxy.port, upgradeRequest());
  assert.match(await second.head(), /^HTTP\/1\.1 503 /);
  assert.equal(upstream.peers.length, 1);
  first.reset();
  await proxy.child.log('upgrade failed', (line) => line['reason'] === 'client_gone');
  await connectHttp(t, proxy.port, upgradeRequest());
  await (await upstream.peer(1)).head();
});

test('one WebSocket more of a client than limits.connections_per_ip gets 429; others get in', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { LIMITS_CONNECTIONS_PER_IP: '1', ...QUICK_STOP });
  const from = (address: string): string => upgradeRequest({ add: [`X-Forwarded-For: ${address}`] });
  const answers = [];
  for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2', '2001:db8:0:1::1']) {
    const client = await connectHttp(t, proxy.port, from(address));
    const head = await client.head();
    answers.push(head.split(' ')[1]);
    if (head.includes(' 429 ')) assert.match(fieldOf(head, 'retry-after')[0] ?? '', /^\d+$/);
  }
  // IPv6 by /64.
  assert.deepEqual(answers, ['101', '429', '101', '101', '429', '101']);
  assert.match(await refusal(proxy.child, 429), /limits\.connections_per_ip$/);
});

test('more connections than the descriptors allow are warned about', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { LIMITS_CONNECTIONS: '99999999' });
  const warned = proxy.child.logs.find((line) => String(line['msg']).startsWith('limits.connections is more'));
  assert.equal(warned?.['level'], 'warn');
});

test('a frame of exactly limits.frame passes both ways', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { LIMITS_FRAME: '1KiB' });
  const client = await connectRaw(t, { port: proxy.port });
  const upstream = await server.next();
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.sendFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(1024) });
    assert.equal((await to.nextMessage()).payload.length, 1024);
  }
});

/** Sends Pings as fast as they are taken, until it is over. */
async function flood(peer: RawPeer): Promise<void> {
  const pings = Buffer.concat(Array.from({ length: 20 }, () => peer.frame({ opcode: OPCODE.ping, payload: 'x' })));
  while (peer.ended === null && !peer.frames.some(({ opcode }) => opcode === OPCODE.close)) {
    peer.send(pings);
    await setImmediate();
  }
}

test('a flood of Pings from the client ends it with 1008', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { LIMITS_CONTROL_FRAMES_PER_SECOND: '5' });
  const client = await connectRaw(t, { port: proxy.port });
  const upstream = await server.next();
  await flood(client);
  assert.equal(await untilClose(client), 1008);
  assert.equal(await upstream.untilEnded(), 'fin');
  client.end();
  assert.deepEqual(await causeOf(proxy.child), ['client', 'rate_limit']);
});

test('a flood of Pings from the upstream ends it, and the client’s TCP ends without a Close', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { LIMITS_CONTROL_FRAMES_PER_SECOND: '5' });
  const client = await connectRaw(t, { port: proxy.port });
  const upstream = await server.next();
  await flood(upstream);
  assert.equal(await client.untilEnded(), 'fin');
  assert.ok(client.frames.every(({ opcode }) => opcode === OPCODE.ping));
  client.end();
  assert.deepEqual(await causeOf(proxy.child), ['upstream', 'rate_limit']);
});

for (const [what, lines] of [
  ['more than limits.header_bytes', [`X-Long: ${'x'.repeat(5000)}`]],
  ['2,500 lines', Array.from({ length: 2500 }, () => 'a:b')],
] as const) {
  test(`a head of ${what} gets 431, as a WebSocket and as plain HTTP, and the next request is served`, async (t) => {
    const upstream = await startRawUpstream(t, (peer) => peer.send('HTTP/1.1 204 No Content\r\n\r\n'), true);
    const bytes = what.startsWith('more') ? '4KiB' : '64KiB';
    const proxy = await startProxy(t, upstream.port, { LIMITS_HEADER_BYTES: bytes, LOG_LEVEL: 'debug' });
    const plain = ['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n');
    for (const request of [upgradeRequest({ add: lines }), plain]) {
      const client = await connectHttp(t, proxy.port, request);
      assert.match(await client.head(), /^HTTP\/1\.1 431 /);
      client.socket.destroy();
    }
    await proxy.child.log('request refused', (line) => line['status'] === 431);
    assert.equal(upstream.peers.length, 0);
    const next = await connectHttp(t, proxy.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.match(await next.head(), /^HTTP\/1\.1 204 /);
  });
}

for (const [what, text] of [
  ['nothing at all', ''],
  ['half a head', 'GET / HTTP/1.1\r\nHost: a\r\n'],
] as const) {
  test(`a client that sends ${what} within timeouts.handshake is sent away with 408`, async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, { TIMEOUTS_HANDSHAKE: '300ms', LOG_LEVEL: 'debug' });
    const client = await connectHttp(t, proxy.port, text);
    assert.match(await client.end(), /^HTTP\/1\.1 408 /);
    const line = await proxy.child.log('request refused');
    assert.equal(line['status'], 408);
  });
}

test('an upstream that accepts and never answers is given up after timeouts.handshake, with 504', async (t) => {
  const upstream = await startRawUpstream(t, undefined, true);
  const proxy = await startProxy(t, upstream.port, { TIMEOUTS_HANDSHAKE: '300ms' });
  const client = await connectHttp(t, proxy.port, upgradeRequest());
  assert.match(await client.head(), /^HTTP\/1\.1 504 /);
  await (await upstream.peer(0)).end();
  const line = await proxy.child.log('upgrade failed');
  assert.equal(line['reason'], 'upstream_timeout');
});

/** What came first: the head of an answer, or nothing before the end. */
function answer(peer: RawHttpPeer): Promise<string> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (peer.text.includes('\r\n\r\n') || peer.ended !== null) resolve(peer.text);
    };
    peer.socket.on('data', look).on('end', look).on('error', look);
    look();
  });
}

test('when descriptors run out, what is open stays, newcomers are refused, and room is used again', async (t) => {
  const server = await startRawServer(t);
  const args = ['--upstream', `http://127.0.0.1:${server.port}`, '--listen', '127.0.0.1:0'];
  // Without a limit on connections nothing but the descriptors stops them.
  const child = startChild(t, 'bash', ['-c', 'ulimit -n 160; exec "$@"', 'bash', process.execPath, MAIN, ...args], {
    env: { ...process.env, WSKP_ADMIN_LISTEN: 'off', WSKP_LIMITS_CONNECTIONS: 'off' },
    cwd: await temporaryFolder(t),
  });
  const line = await child.log('listening');
  const port = Number(String(line['address']).split(':').at(-1));
  const kept = await connectRaw(t, { port });
  const keptUpstream = await server.next();
  const crowd = await Promise.all(Array.from({ length: 300 }, () => connectHttp(t, port, upgradeRequest())));
  const answers = await Promise.all(crowd.map(answer));
  const opened = answers.filter((text) => text.startsWith('HTTP/1.1 101 '));
  assert.ok(opened.length > 0 && opened.length < crowd.length, `${opened.length} opened`);
  // A 503, or the end where there was no descriptor for as much as that.
  const others = answers.filter((text) => !/^(?:HTTP\/1\.1 (?:101|503) |$)/.test(text));
  assert.deepEqual(others, []);
  kept.sendFrame({ opcode: OPCODE.text, payload: 'still here' });
  assert.equal((await keptUpstream.nextMessage()).payload.toString(), 'still here');
  for (const peer of crowd) peer.reset();
  await child.until(
    () => child.logs.filter(({ msg }) => msg === 'websocket closed').length >= opened.length,
    'the end of all',
  );
  const again = await connectRaw(t, { port });
  assert.equal(again.ended, null);
});
