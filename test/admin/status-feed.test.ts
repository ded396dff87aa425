import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Changes } from '../../src/admin/status/changes.ts';
import { History } from '../../src/admin/status/history.ts';
import { atEnd } from '../support/cleanup.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { closeReport, connectionInfo, SILENT, upgradeFailure } from '../support/reports.ts';
import { connectionView, type MutableView, startStatusRig } from '../support/status-rig.ts';
import { Watch } from '../support/watch.ts';

interface Message {
  readonly type: string;
  readonly rows?: readonly Record<string, unknown>[];
  readonly opened?: readonly Record<string, unknown>[];
  readonly changed?: readonly Record<string, unknown>[];
  readonly closed?: readonly string[];
  readonly ends?: readonly Record<string, unknown>[];
  readonly routes?: readonly Record<string, unknown>[];
  readonly minutes?: readonly Record<string, unknown>[];
  readonly marks?: readonly Record<string, unknown>[];
}

function setUp() {
  const clock = { wall: 5_000 };
  const events = new History({ now: () => 1_000, wallClock: () => clock.wall });
  const connections: MutableView[] = [];
  const source = {
    connections: () => connections,
    routes: () => [{ name: 'default', intervalMs: 10_000, adaptive: true }],
    lessons: () => [],
    isDraining: () => false,
    upstreams: () => [],
    connectionsLimit: () => 100,
  };
  const options = { version: '1', events, source, startedAt: 0, now: () => 1_000, wallClock: () => 5_000 };
  return {
    clock,
    events,
    connections,
    changes: () => new Changes(options),
    observer: events.noting(SILENT),
  };
}

const next = (changes: Changes): Message => changes.next() as Message;

test('a snapshot holds every open connection with its history, and what has ended', () => {
  const { events, connections, changes, observer } = setUp();
  connections.push(connectionView({ openedAt: 1.2, activeAt: 2.7, rttMs: 3.14, intervalMs: Infinity }));
  observer.ponged(connectionInfo(), 'client', 3);
  events.closed({ ...closeReport(), verdict: 'because' });
  const snapshot = changes().snapshot() as Message;
  assert.equal(snapshot.type, 'snapshot');
  const [row] = snapshot.rows ?? [];
  const { frontIsKnown: _, request: __, ...shown } = connectionInfo();
  assert.deepEqual(row, {
    ...shown,
    openedAt: 1,
    activeAt: 3,
    state: 'open',
    rttMs: 3.1,
    intervalMs: null,
    pings: 0,
    pongs: 0,
    bytesUp: 0,
    bytesDown: 0,
    history: [[997, 3]],
  });
  assert.deepEqual(
    snapshot.ends?.map(({ newest }) => (newest as { verdict: string }).verdict),
    ['because'],
  );
});

test('nothing but the time is told while nothing changes', () => {
  const { connections, changes } = setUp();
  connections.push(connectionView());
  const told = changes();
  assert.deepEqual(told.next(), { type: 'changes', now: 1_000, wall: 5_000 });
});

test('of a connection that changed, only what changed is told', () => {
  const { connections, changes, observer } = setUp();
  const view = connectionView();
  connections.push(view, connectionView({ id: 'c2' }));
  const told = changes();
  view.bytesUp = 7;
  view.state = 'waiting';
  assert.deepEqual(next(told).changed, [{ id: 'c1', state: 'waiting', bytesUp: 7 }]);
  observer.ponged(connectionInfo(), 'client', 3);
  assert.deepEqual(next(told).changed, [{ id: 'c1', history: [[997, 3]] }]);
  assert.equal(next(told).changed, undefined);
});

test('more Pongs than are remembered are told as those that are', () => {
  const { connections, changes, observer } = setUp();
  connections.push(connectionView());
  const told = changes();
  for (let index = 0; index < 40; index += 1) observer.ponged(connectionInfo(), 'client', index);
  const { changed = [] } = next(told);
  assert.deepEqual(
    changed.map(({ history }) => (history as unknown[]).length),
    [24],
  );
});

test('connections that come and go are told once', () => {
  const { connections, changes } = setUp();
  const told = changes();
  connections.push(connectionView());
  assert.equal(next(told).opened?.[0]?.['id'], 'c1');
  assert.equal(next(told).opened, undefined);
  connections.pop();
  assert.deepEqual(next(told).closed, ['c1']);
  assert.equal(next(told).closed, undefined);
});

test('what is told later belongs to the newest snapshot: none of its rows is in there, nothing is missing', () => {
  const { events, connections, changes } = setUp();
  const told = changes();
  connections.push(connectionView());
  events.closed({ ...closeReport(), verdict: 'later' });
  const snapshot = told.snapshot() as Message;
  assert.deepEqual(snapshot.rows, []);
  const { opened, ends } = next(told);
  assert.deepEqual([opened?.length, ends?.length], [1, 1]);
});

test('ends and refusals are told once, in order, and counts when they change', () => {
  const { events, changes, observer } = setUp();
  const told = changes();
  observer.upgradeFailed(upgradeFailure());
  events.closed({ ...closeReport(), verdict: 'because' });
  const message = next(told);
  assert.deepEqual(
    message.ends?.map(({ newest }) => (newest as { kind: string }).kind),
    ['failed', 'closed'],
  );
  assert.deepEqual(message.routes?.[0]?.['failures'], { upstream_unreachable: 1 });
  assert.equal(next(told).routes, undefined);
});

test('a minute is told while it goes on, and the one before it when an end comes late; marks once', () => {
  const { events, changes, observer, clock } = setUp();
  const told = changes();
  observer.opened(connectionInfo());
  assert.deepEqual(
    next(told).minutes?.map(({ at }) => at),
    [0],
  );
  assert.equal(next(told).minutes, undefined);
  clock.wall = 65_000;
  events.minutes.mark('reloaded', 'again');
  const message = next(told);
  assert.deepEqual(
    message.minutes?.map(({ at }) => at),
    [60_000],
  );
  assert.equal(message.marks?.length, 1);
  assert.equal(next(told).marks, undefined);
});

/** A viewer, and everything it was told. */
async function view(t: TestContext, port: number, headers: Record<string, string> = {}, isPaused = false) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/live`, { headers });
  atEnd(t, () => socket.terminate());
  const messages: Message[] = [];
  const watch = new Watch();
  socket.on('message', (data: Buffer) => {
    messages.push(JSON.parse(data.toString()) as Message);
    watch.changed();
  });
  await once(socket, 'open');
  if (isPaused) socket.pause();
  const until = (fits: (message: Message) => unknown): Promise<Message> =>
    watch.until(() => messages.find((message) => fits(message)), 'a message');
  return { socket, messages, until };
}

test('a viewer gets a snapshot, then changes', async (t) => {
  const rig = await startStatusRig(t);
  rig.connections.push(connectionView());
  const viewer = await view(t, rig.port);
  assert.equal((await viewer.until(() => true)).rows?.length, 1);
  rig.connections.push(connectionView({ id: 'c2' }));
  const { opened } = await viewer.until(({ type }) => type === 'changes');
  assert.deepEqual(
    opened?.map(({ id }) => id),
    ['c2'],
  );
});

test('a newcomer does not take changes from those who watch already', async (t) => {
  const rig = await startStatusRig(t);
  const first = await view(t, rig.port);
  await first.until(({ type }) => type === 'snapshot');
  rig.connections.push(connectionView());
  const second = await view(t, rig.port);
  assert.equal((await second.until(() => true)).rows?.length, 1);
  assert.equal((await first.until(({ opened }) => opened)).opened?.length, 1);
});

test('compression is not negotiated', async (t) => {
  const rig = await startStatusRig(t);
  const viewer = await view(t, rig.port);
  assert.equal(viewer.socket.extensions, '');
});

test('nothing is kept once the last viewer has left', async (t) => {
  const rig = await startStatusRig(t);
  const viewer = await view(t, rig.port);
  await viewer.until(() => true);
  assert.equal(rig.feed.viewers, 1);
  viewer.socket.close();
  await once(viewer.socket, 'close');
  const again = await view(t, rig.port);
  assert.equal((await again.until(() => true)).type, 'snapshot');
  assert.equal(rig.feed.viewers, 1);
});

test('a viewer that says too much is closed, the others stay', async (t) => {
  const rig = await startStatusRig(t);
  const loud = await view(t, rig.port);
  const quiet = await view(t, rig.port);
  loud.socket.send('x'.repeat(2_000));
  assert.equal((await once(loud.socket, 'close'))[0], 1009);
  await quiet.until(({ type }) => type === 'changes');
});

for (const [origin, isTaken] of [
  ['http://127.0.0.1:PORT', true],
  ['https://127.0.0.1:PORT', true],
  ['http://evil.example', false],
  ['http://127.0.0.1:1', false],
  ['null', false],
] as const)
  test(`a page of ${origin} is ${isTaken ? 'let in' : 'refused'}`, async (t) => {
    const rig = await startStatusRig(t);
    const headers = { Origin: origin.replace('PORT', String(rig.port)) };
    if (isTaken) await view(t, rig.port, headers);
    else await assert.rejects(view(t, rig.port, headers), /403/);
  });

test('there are not more than 32 viewers', async (t) => {
  const rig = await startStatusRig(t);
  for (let index = 0; index < 32; index += 1) await view(t, rig.port);
  await assert.rejects(view(t, rig.port), /503/);
});

/** A viewer whose snapshot is larger than what the sockets hold, so that it waits in the program while nobody reads. */
async function slowViewer(t: TestContext) {
  const clock = new FakeClock();
  const rig = await startStatusRig(t, clock);
  for (let index = 0; index < 2_000; index += 1) {
    rig.connections.push(connectionView({ id: `c${index}`, path: 'x'.repeat(10_000) }));
  }
  const viewer = await view(t, rig.port, {}, true);
  return { clock, rig, viewer };
}

test('a viewer that reads too slowly is spared the changes, and then gets a fresh snapshot', async (t) => {
  const { clock, rig, viewer } = await slowViewer(t);
  rig.connections.length = 1;
  clock.advance(2_000);
  viewer.socket.resume();
  await viewer.until(({ type }) => type === 'snapshot');
  const { messages } = viewer;
  while (messages.length < 2) {
    clock.advance(1_000);
    await setImmediate();
  }
  assert.deepEqual(
    messages.slice(0, 2).map(({ type, rows }) => [type, rows?.length]),
    [
      ['snapshot', 2_000],
      ['snapshot', 1],
    ],
  );
});

test('a viewer that takes nothing for 30 s is let go', async (t) => {
  const { clock, rig } = await slowViewer(t);
  clock.advance(30_000);
  while (rig.feed.viewers > 0) await setImmediate();
  clock.advance(10_000);
  assert.equal(clock.armed, 0);
});

test('a viewer that reads stays', async (t) => {
  const clock = new FakeClock();
  const rig = await startStatusRig(t, clock);
  const viewer = await view(t, rig.port);
  for (let tick = 1; tick <= 40; tick += 1) {
    await viewer.until(() => viewer.messages.length >= tick);
    clock.advance(1_000);
  }
  await viewer.until(() => viewer.messages.length > 40);
  assert.equal(rig.feed.viewers, 1);
});
