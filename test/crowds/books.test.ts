/** The log, the metrics and `/status` keep the same books: a thousand connections that end in every way that can be provoked. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CLOSE_CAUSES, type CloseCause, UPGRADE_FAILURES } from '../../src/core/events.ts';
import { type Reported, readMetrics, readStatus } from '../support/admin.ts';
import type { Exposition } from '../support/exposition.ts';
import { atEnd } from '../support/cleanup.ts';
import { closePayload, OPCODE } from '../support/frames.ts';
import { deadPort, listen, plainServer, rawServer } from '../support/http.ts';
import { type Program, startProgram, temporaryFolder } from '../support/process.ts';
import {
  connectRaw,
  type PeerOptions,
  type RawPeer,
  type RawServer,
  startRawServer,
} from '../support/raw-websocket.ts';

/** So many connections at a time. */
const BATCH = 40;
/** Nobody can make the proxy fail inside. */
/** Idle limits under ten seconds are not believed, lifetimes need time as well: test/verdicts waits for both, test/tunnel for the age. */
const TAKE_TIME: readonly CloseCause[] = ['front_idle_cut', 'front_lifetime_cut', 'max_age'];
const PROVOKED = CLOSE_CAUSES.filter((cause) => cause !== 'internal_error' && !TAKE_TIME.includes(cause));
const ORIGIN = 'Origin: http://good.example';
const CHUNK = Buffer.alloc(65_000, 'x');

/** Who has never answered is not judged: the first Ping is answered, and none after that. */
function answersOnce(): PeerOptions {
  let answered = 0;
  return { autoPong: () => ++answered === 1 };
}

/** What a kind of client does; it has no part in how its connection ends when it only waits. */
interface Kind {
  readonly path: string;
  readonly count: number;
  readonly options?: () => PeerOptions;
  readonly act: (client: RawPeer) => unknown;
}

const closing = (code: number | null) => (client: RawPeer) =>
  client.sendFrame({ opcode: OPCODE.close, payload: code === null ? '' : closePayload(code) });

const KINDS: readonly Kind[] = [
  { path: '/ws', count: 400, act: closing(1001) },
  { path: '/ws', count: 100, act: closing(4001) },
  { path: '/ws', count: 100, act: closing(null) },
  { path: '/ws', count: 40, act: closing(1006) },
  { path: '/ws/upstream-1011', count: 60, act: answerClose },
  { path: '/ws/upstream-1006', count: 60, act: answerClose },
  { path: '/ws/upstream-fin', count: 60, act: answerClose },
  { path: '/ws/upstream-reset', count: 20, act: answerClose },
  { path: '/quick', count: 60, options: answersOnce, act: () => undefined },
  { path: '/quick/mute', count: 40, act: closing(1000) },
  {
    path: '/ws',
    count: 20,
    act: (client) => {
      for (let index = 0; index < 300; index += 1) client.sendFrame({ opcode: OPCODE.ping });
      return answerClose(client);
    },
  },
  {
    path: '/ws',
    count: 40,
    act: (client) => {
      client.sendFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(70_000) });
      return answerClose(client);
    },
  },
  {
    path: '/ws',
    count: 40,
    act: (client) => {
      client.sendFrame({ opcode: OPCODE.binary, claimed: 2n ** 63n, lengthBytes: 8 });
      return answerClose(client);
    },
  },
  { path: '/ws/upstream-floods', count: 3, act: (client) => client.stopReading() },
];

/** Ends as soon as it is told to, as a browser does. */
async function answerClose(client: RawPeer): Promise<void> {
  const close = await client.until(
    () => client.ended ?? client.frames.find((frame) => frame.opcode === OPCODE.close),
    'a Close or an end',
  );
  if (typeof close === 'object') client.sendFrame({ opcode: OPCODE.close, payload: close.payload });
  client.end();
}

/** The upstream's part, by the path asked for. */
async function behave(peer: RawPeer): Promise<void> {
  const [, path = ''] = /^GET ([^ ?]+)/.exec(peer.head) ?? [];
  if (path.endsWith('/mute')) return;
  if (path.endsWith('/upstream-fin')) peer.end();
  else if (path.endsWith('/upstream-reset')) return peer.reset();
  else if (path.endsWith('/upstream-1011'))
    peer.sendFrame({ opcode: OPCODE.close, payload: closePayload(1011, 'defect') });
  else if (path.endsWith('/upstream-1006')) peer.sendFrame({ opcode: OPCODE.close, payload: closePayload(1006) });
  else if (path.endsWith('/upstream-floods'))
    for (let sent = 0; sent < 400; sent += 1) peer.sendFrame({ opcode: OPCODE.binary, payload: CHUNK });
  await answerClose(peer);
}

async function runUpstream(t: TestContext, server: RawServer): Promise<void> {
  const state = { isOver: false };
  atEnd(t, () => (state.isOver = true));
  while (!state.isOver) {
    const peer = await server.next(500).catch(() => null);
    if (peer !== null) void behave(peer).catch(() => undefined);
  }
}

async function setUp(t: TestContext): Promise<Program> {
  const server = await startRawServer(t);
  void runUpstream(t, server);
  const refusing = await listen(
    t,
    plainServer().on('upgrade', (_req, socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')),
  );
  const invalid = await listen(
    t,
    plainServer().on('upgrade', (_req, socket) =>
      socket.end('HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n'),
    ),
  );
  const upstream = (port: number): string => `upstream: "http://127.0.0.1:${port}"`;
  const config = join(await temporaryFolder(t), 'config.yaml');
  const quick =
    '{ ping_interval: 200ms, pong_timeout: 500ms, upstream_ping_interval: off, upstream_pong_timeout: 500ms }';
  await writeFile(
    config,
    `routes:
  - { name: ws, path: /ws, ${upstream(server.port)}, keepalive: { ping_interval: off } }
  - { name: quick, path: /quick, ${upstream(server.port)}, keepalive: ${quick} }
  - { name: refusing, path: /refusing, ${upstream(refusing)} }
  - { name: invalid, path: /invalid, ${upstream(invalid)} }
  - { name: hanging, path: /hanging, ${upstream((await rawServer(t)).port)} }
  - { name: dead, path: /dead, ${upstream(await deadPort())} }
allowed_origins: ["http://good.example"]
limits: { frame: 64KiB, connections_per_ip: 30 }
timeouts: { handshake: 6s, stall: 2s, drain: 5s }
`,
  );
  return startProgram(t, { args: ['--config', config] });
}

let addresses = 0;
/** Every client has an address of its own. */
function from(): string {
  addresses += 1;
  return `X-Forwarded-For: 198.18.${addresses >> 8}.${addresses & 255}`;
}

async function open(t: TestContext, port: number, path: string, options: PeerOptions = {}): Promise<RawPeer> {
  return connectRaw(t, { port, path: `${path}?password=x`, headers: [from(), ORIGIN], ...options });
}

/** Runs `task` so many times, not all at once. */
async function inBatches(count: number, task: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count; done += BATCH) {
    await Promise.all(Array.from({ length: Math.min(BATCH, count - done) }, task));
  }
}

function closedLines({ child }: Program): Record<string, unknown>[] {
  return child.logs.filter((line) => line['msg'] === 'websocket closed');
}

function failureLines({ child }: Program): Record<string, unknown>[] {
  return child.logs.filter((line) => line['msg'] === 'upgrade failed');
}

/** Resolves once every connection but so many has its closing line. */
async function untilClosed(proxy: Program, open = 0): Promise<void> {
  const opened = (): number => proxy.child.logs.filter((line) => line['msg'] === 'websocket opened').length;
  await proxy.child.until(() => closedLines(proxy).length === opened() - open, 'all closing lines');
}

/** Ends whose causes depend on what ends beside them, so each group has its seconds to itself. */
async function provokeFrontCauses(t: TestContext, proxy: Program): Promise<void> {
  const openSome = (count: number): Promise<RawPeer[]> =>
    Promise.all(Array.from({ length: count }, () => open(t, proxy.port, '/ws')));
  for (const client of await openSome(40)) client.end();
  await untilClosed(proxy);
  const [alone, reset] = await openSome(2);
  alone?.end();
  reset?.reset();
  await untilClosed(proxy);
}

async function provokeFailures(t: TestContext, proxy: Program): Promise<void> {
  const refused =
    (path: string, headers = [ORIGIN]) =>
    async () => {
      const attempt = connectRaw(t, { port: proxy.port, path, headers: [from(), ...headers] });
      await assert.rejects(attempt, /not upgraded/);
    };
  await inBatches(12, refused('/nowhere'));
  await inBatches(13, refused('/ws', ['Origin: http://evil.example']));
  await inBatches(14, refused('/ws', [ORIGIN, 'Host: twice.example']));
  await inBatches(15, refused('/dead'));
  await inBatches(16, refused('/hanging'));
  await inBatches(17, refused('/refusing'));
  await inBatches(18, refused('/invalid'));
  await inBatches(19, async () => {
    const socket = connect(proxy.port, '127.0.0.1').resume();
    socket.end(
      `GET /hanging HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${from()}\r\n${ORIGIN}\r\n\r\n`,
    );
    await once(socket, 'close');
  });
  const one = ['X-Forwarded-For: 203.0.113.1', ORIGIN];
  const crowd = await Promise.all(
    Array.from({ length: 30 }, () => connectRaw(t, { port: proxy.port, path: '/ws', headers: one })),
  );
  for (let index = 0; index < 11; index += 1)
    await assert.rejects(connectRaw(t, { port: proxy.port, path: '/ws', headers: one }), /not upgraded/);
  for (const client of crowd) closing(1000)(client);
  await untilClosed(proxy);
}

type Counts = Record<string, number>;

function count(keys: Iterable<string>): Counts {
  const counts: Counts = {};
  for (const key of keys) counts[key] = (counts[key] ?? 0) + 1;
  return present(counts);
}

function present(counts: Counts): Counts {
  return Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0));
}

/** Over all routes. */
function sumOf(metrics: Exposition, name: string): number {
  const own = metrics.samples.filter((sample) => sample.name === `ws_keepalive_${name}`);
  return own.reduce((sum, { value }) => sum + value, 0);
}

function exported({ samples }: Exposition, name: string, labels: readonly string[]): Counts {
  const counts: Counts = {};
  for (const sample of samples.filter((each) => each.name === `ws_keepalive_${name}`)) {
    const key = labels.map((label) => sample.labels[label]).join(' ');
    counts[key] = (counts[key] ?? 0) + sample.value;
  }
  return present(counts);
}

function reported({ routes }: Reported, field: 'closes' | 'upgrade_failures'): Counts {
  const entries = routes.flatMap((route) =>
    Object.entries(route[field]).map(([key, value]): [string, number] => [`${route.name} ${key}`, value]),
  );
  return present(Object.fromEntries(entries));
}

/** All three books, taken while nothing happens. */
async function compare(proxy: Program): Promise<void> {
  const [status, metrics] = [await readStatus(proxy), await readMetrics(proxy)];
  const closed = closedLines(proxy);
  const key =
    (...fields: string[]) =>
    (line: Record<string, unknown>) =>
      fields.map((field) => line[field]).join(' ');

  const byCause = count(closed.map(key('route', 'cause')));
  assert.deepEqual(exported(metrics, 'closes_total', ['route', 'cause']), byCause);
  assert.deepEqual(reported(status, 'closes'), byCause);
  const byInitiator = count(closed.map(key('initiator', 'cause')));
  assert.deepEqual(exported(metrics, 'closes_total', ['initiator', 'cause']), byInitiator);

  const failures = count(failureLines(proxy).map(key('route', 'reason')));
  assert.deepEqual(exported(metrics, 'upgrade_failures_total', ['route', 'reason']), failures);
  assert.deepEqual(reported(status, 'upgrade_failures'), failures);

  const opened = proxy.child.logs.filter((line) => line['msg'] === 'websocket opened').length;
  assert.equal(sumOf(metrics, 'connections_total'), opened);
  assert.equal(total(status, 'connections_total'), opened);
  const open = opened - closed.length;
  assert.equal(sumOf(metrics, 'connections_open'), open);
  assert.deepEqual([total(status, 'connections_open'), status.connections.length], [open, open]);

  const known = new Set(closed.map(key('id', 'cause', 'verdict')));
  for (const entry of status.closes) assert.ok(known.has(key('id', 'cause', 'verdict')(entry)), JSON.stringify(entry));
  const told = status.closes.reduce((sum, { count: ends }) => sum + Number(ends), 0);
  assert.equal(told, closed.length);
}

function total(status: Reported, field: 'connections_open' | 'connections_total'): number {
  return status.routes.reduce((sum, route) => sum + route[field], 0);
}

/** What moved is only final once nothing is open. */
async function compareTraffic(proxy: Program): Promise<void> {
  const metrics = await readMetrics(proxy);
  const sum = (field: string): number => closedLines(proxy).reduce((so, line) => so + Number(line[field]), 0);
  for (const direction of ['up', 'down']) {
    assert.equal(exported(metrics, 'bytes_total', ['direction'])[direction], sum(`bytes_${direction}`));
    assert.equal(exported(metrics, 'frames_total', ['direction'])[direction], sum(`frames_${direction}`));
  }
  assert.ok(sum('pings') > 0);
  assert.equal(exported(metrics, 'pings_sent_total', ['side'])['client'], sum('pings'));
  assert.equal(exported(metrics, 'pongs_received_total', ['side'])['client'] ?? 0, sum('pongs'));
}

test('after a thousand connections that end in every way, the log, the metrics and /status agree', async (t) => {
  const proxy = await setUp(t);
  for (const { path, count: times, options, act } of KINDS) {
    await inBatches(times, async () => {
      const client = await open(t, proxy.port, path, options?.());
      await act(client);
    });
  }
  await untilClosed(proxy);
  await provokeFailures(t, proxy);
  await provokeFrontCauses(t, proxy);
  assert.ok(closedLines(proxy).length >= 1_000, `${closedLines(proxy).length} connections`);
  await compare(proxy);
  await compareTraffic(proxy);

  // The last of them does not answer, so that there is somebody to ask.
  const clients = await Promise.all(Array.from({ length: 8 }, () => open(t, proxy.port, '/ws')));
  await open(t, proxy.port, '/ws/mute');
  proxy.child.process.kill('SIGTERM');
  await Promise.all(clients.map(answerClose));
  await untilClosed(proxy, 1);
  await compare(proxy);
  const causes = new Set(closedLines(proxy).map((line) => line['cause']));
  assert.deepEqual(
    PROVOKED.filter((cause) => !causes.has(cause)),
    [],
  );
  const reasons = new Set(failureLines(proxy).map((line) => line['reason']));
  assert.deepEqual(
    UPGRADE_FAILURES.filter((reason) => !reasons.has(reason)),
    [],
  );
});
