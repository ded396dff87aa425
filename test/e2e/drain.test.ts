/** How the program stops. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { answerClose, openCrowd } from '../support/crowd.ts';
import { closeCode, OPCODE } from '../support/frames.ts';
import { type Child, MAIN, startChild, startProxy, temporaryFolder } from '../support/process.ts';
import {
  connectRaw as connectHttp,
  startRawUpstream,
  switchingProtocols,
  upgradeRequest,
} from '../support/raw-http.ts';
import { connectRaw, startRawServer } from '../support/raw-websocket.ts';

const CONNECTIONS = 400;
const DRAIN = 3000;
const SLICE = 250;
const CODED = { DRAIN_CODE: '1012' };
/** A process namespace of its own; the first program in it is process 1. */
const NAMESPACE = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child'];

function skipWithoutNamespaces(): string | false {
  const { status } = spawnSync('unshare', [...NAMESPACE, 'true']);
  return status === 0 ? false : 'no process namespaces here';
}

/** The largest number of times that lie within `width` of each other. */
function densest(times: readonly number[], width: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return Math.max(...sorted.map((from, index) => sorted.findLastIndex((time) => time < from + width) - index + 1));
}

/** From the signal to the last line, by the program's own clock: how long a loaded machine takes to start and end processes is left out. */
function stopTook({ logs }: Child): number {
  const timeOf = (line: Record<string, unknown> | undefined): number => Date.parse(String(line?.['time']));
  return timeOf(logs.at(-1)) - timeOf(logs.find(({ msg }) => msg === 'stopping'));
}

test('a stop spreads the closes of hundreds of connections, and ends in time with 0', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { ...CODED, TIMEOUTS_DRAIN: `${DRAIN}ms` });
  const { clients, upstreams } = await openCrowd(t, CONNECTIONS, { port: proxy.port }, server);
  const times: number[] = [];
  const codes = new Map<number | null, number>();
  const note = (code: number | null): void => void codes.set(code, (codes.get(code) ?? 0) + 1);
  const ends = [
    ...clients.map((peer) =>
      answerClose(peer, (code) => {
        times.push(performance.now());
        note(code);
      }),
    ),
    ...upstreams.map((peer) => answerClose(peer, note)),
  ];
  proxy.child.process.kill('SIGTERM');
  await Promise.all(ends);
  const { code } = await proxy.child.exited;
  const took = stopTook(proxy.child);
  assert.equal(code, 0);
  // On a loaded machine the timer that ends it is late.
  assert.ok(took < 2 * DRAIN, `took ${took} ms`);
  assert.deepEqual([...codes], [[1012, 2 * CONNECTIONS]]);
  const most = densest(times, SLICE);
  // On a loaded machine what came while this process stood still comes at once.
  assert.ok(most <= CONNECTIONS / 2, `${most} closes within ${SLICE} ms`);
  const spread = Math.max(...times) - Math.min(...times);
  assert.ok(spread >= DRAIN / 2, `all closes within ${spread} ms`);
  const closings = proxy.child.logs.filter((line) => line['msg'] === 'websocket closed');
  assert.equal(closings.filter((line) => line['cause'] === 'drain').length, CONNECTIONS);
});

test('without a code a stop ends WebSockets behind the message under way, without a Close', async (t) => {
  const server = await startRawServer(t, { allowHalfOpen: true });
  const proxy = await startProxy(t, server.port, { TIMEOUTS_DRAIN: '60s' });
  const client = await connectRaw(t, { port: proxy.port });
  const upstream = await server.next();
  upstream.sendFrame({ opcode: OPCODE.text, payload: 'first ', fin: false });
  await client.until(() => client.frames.length === 1, 'the first half');
  proxy.child.process.kill('SIGTERM');
  await proxy.child.log('stopping');
  // Of the end it learns only then: it might leave the message unfinished.
  assert.equal(upstream.ended, null);
  upstream.sendFrame({ opcode: OPCODE.continuation, payload: 'second' });
  upstream.sendFrame({ opcode: OPCODE.text, payload: 'too late' });
  assert.deepEqual([await client.untilEnded(), await upstream.untilEnded()], ['fin', 'fin']);
  const opcodes = client.frames.map(({ opcode }) => opcode);
  assert.deepEqual(opcodes, [OPCODE.text, OPCODE.continuation]);
  assert.equal((await proxy.child.exited).code, 0);
});

test('a stop takes no new connections, ends idle ones, and lets a running request finish', async (t) => {
  const responses: ServerResponse[] = [];
  const upstream = createServer((_req, res) => void responses.push(res)).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => upstream.close().closeAllConnections());
  const { port } = upstream.address() as { port: number };
  const proxy = await startProxy(t, port);
  const idle = await connectHttp(t, proxy.port, 'GET /idle HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(upstream, 'request');
  responses[0]?.end('done');
  await idle.until('done');
  const running = await connectHttp(t, proxy.port, 'GET /early HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(upstream, 'request');
  const begun = await connectHttp(t, proxy.port, 'GET /begun HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(upstream, 'request');
  responses[2]?.write('first ');
  await begun.until('first ');

  proxy.child.process.kill('SIGTERM');
  await idle.end();
  const refused = connect(proxy.port, '127.0.0.1');
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  // Reset when it came just before the listener was closed.
  assert.match(error.code ?? '', /^ECONN(?:REFUSED|RESET)$/);
  responses[1]?.end('in full');
  const text = await running.end();
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(text, /\r\nConnection: close\r\n/i);
  assert.ok(text.endsWith('in full\r\n0\r\n\r\n') || text.endsWith('in full'), text);
  responses[2]?.end('last');
  assert.match(await begun.end(), /last/);
  assert.equal((await proxy.child.exited).code, 0);
});

test('clients that connected but asked nothing do not hold up a stop', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { ...CODED, TIMEOUTS_DRAIN: '60s' });
  const silent = await connectHttp(t, proxy.port);
  // Once another one has been served, this one is accepted.
  const client = await connectRaw(t, { port: proxy.port });
  void answerClose(client);
  void answerClose(await server.next());
  proxy.child.process.kill('SIGTERM');
  await silent.end();
  assert.equal((await proxy.child.exited).code, 0);
});

test('what does not end by itself is cut before the time is over', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { ...CODED, TIMEOUTS_DRAIN: '5s' });
  const silent = await connectRaw(t, { port: proxy.port, allowHalfOpen: true });
  const midFrame = await connectRaw(t, { port: proxy.port });
  const [, upstream] = [await server.next(), await server.next()];
  upstream.send(upstream.frame({ opcode: OPCODE.text, payload: 'never whole' }).subarray(0, 5));
  await midFrame.until(() => midFrame.bytes.length === 5, 'a part of a frame');
  proxy.child.process.kill('SIGTERM');
  assert.deepEqual(await silent.nextFrame().then(closeCode), 1012);
  assert.equal((await proxy.child.exited).code, 0);
  const took = stopTook(proxy.child);
  assert.ok(took < 5000, `took ${took} ms`);
  await midFrame.untilEnded();
  assert.deepEqual(midFrame.frames, []);
  await proxy.child.log('time is over, the rest is cut');
});

test('a handshake that is under way when the time is over is ended', async (t) => {
  const upstream = await startRawUpstream(t, undefined, true);
  const proxy = await startProxy(t, upstream.port, { TIMEOUTS_DRAIN: '300ms' });
  const client = await connectHttp(t, proxy.port, upgradeRequest());
  await (await upstream.peer(0)).head();
  proxy.child.process.kill('SIGTERM');
  await client.end();
  assert.equal((await proxy.child.exited).code, 0);
});

test('a handshake that succeeds during a stop gets its Close at once', async (t) => {
  const upstream = await startRawUpstream(t, undefined, true);
  const proxy = await startProxy(t, upstream.port, { ...CODED, TIMEOUTS_DRAIN: '60s' });
  const client = await connectHttp(t, proxy.port, upgradeRequest());
  const server = await upstream.peer(0);
  const head = await server.head();
  proxy.child.process.kill('SIGTERM');
  await proxy.child.log('stopping');
  server.send(switchingProtocols(head));
  // 0x88: Close, 0x13: of 19 bytes, 0x03f4: 1012.
  await client.until('\x88\x13\x03\xf4proxy is stopping');
  server.socket.end();
  client.socket.end();
  assert.equal((await proxy.child.exited).code, 0);
});

test('a WebSocket that is asked for during a stop is refused with 503', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { ...CODED, TIMEOUTS_DRAIN: '60s' });
  const open = await connectRaw(t, { port: proxy.port });
  const late = await connectHttp(t, proxy.port, upgradeRequest().slice(0, -2));
  void answerClose(await server.next());
  // Answered after `late` was accepted.
  await connectRaw(t, { port: proxy.port }).then((peer) => peer.reset());
  proxy.child.process.kill('SIGTERM');
  await proxy.child.log('stopping');
  late.send('\r\n');
  const text = await late.end();
  late.socket.end();
  assert.match(text, /^HTTP\/1\.1 503 /);
  assert.match(text, /\r\nRetry-After: \d/);
  await answerClose(open);
  assert.equal((await proxy.child.exited).code, 0);
});

test('a second signal ends at once', async (t) => {
  const server = await startRawServer(t);
  const proxy = await startProxy(t, server.port, { ...CODED, TIMEOUTS_DRAIN: '60s' });
  const client = await connectRaw(t, { port: proxy.port });
  proxy.child.process.kill('SIGTERM');
  assert.equal(closeCode(await client.nextFrame()), 1012);
  proxy.child.process.kill('SIGTERM');
  assert.deepEqual(await proxy.child.exited, { code: 1, signal: null });
});

test('as process 1 of a container it stops on a signal', { skip: skipWithoutNamespaces() }, async (t) => {
  const server = await startRawServer(t);
  const args = ['--upstream', `http://127.0.0.1:${server.port}`, '--listen', '127.0.0.1:0'];
  const child = startChild(t, 'unshare', [...NAMESPACE, process.execPath, MAIN, ...args], {
    env: { ...process.env, WSKP_ADMIN_LISTEN: 'off', WSKP_DRAIN_CODE: '1012', WSKP_TIMEOUTS_DRAIN: '2s' },
    cwd: await temporaryFolder(t),
  });
  const line = await child.log('listening');
  const client = await connectRaw(t, { port: Number(String(line['address']).split(':').at(-1)) });
  const [inner = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
  assert.match(readFileSync(`/proc/${inner}/status`, 'utf8'), /^NSpid:.*\t1$/m);
  process.kill(Number(inner), 'SIGTERM');
  await answerClose(client, (code) => assert.equal(code, 1012));
  assert.equal((await child.exited).code, 0);
});
