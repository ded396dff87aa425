/** What a connection does beyond what its tunnel decides: pace, books, and defects that stay its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { totalsOf } from '../../src/tunnel/close-report.ts';
import type { Connection } from '../../src/tunnel/connection.ts';
import { type RunningApp, startApp } from '../support/app.ts';
import type { Cleanup } from '../support/cleanup.ts';
import { closeCode, OPCODE } from '../support/frames.ts';
import { connectRaw, type RawPeer, startRawServer } from '../support/raw-websocket.ts';

interface Pair {
  readonly running: RunningApp;
  readonly connection: Connection;
  readonly client: RawPeer;
  readonly upstream: RawPeer;
}

async function startPair(t: Cleanup, settings: Readonly<Record<string, string>> = {}): Promise<Pair> {
  const server = await startRawServer(t);
  const running = await startApp(t, { UPSTREAM: `http://127.0.0.1:${server.port}`, ...settings });
  const client = await connectRaw(t, { port: running.port });
  const upstream = await server.next();
  const [connection] = running.app.connections;
  assert.ok(connection);
  return { running, connection, client, upstream };
}

const MESSAGE = { opcode: OPCODE.binary, payload: Buffer.alloc(65_536) };

/** Sends until nothing is taken any more for a while. @returns how many messages that were */
async function fill(from: RawPeer): Promise<number> {
  let sent = 0;
  for (let refused = 0; refused < 200; ) {
    if (from.socket.writableLength > 0) {
      refused++;
      await setImmediate();
    } else {
      refused = 0;
      from.sendFrame(MESSAGE);
      sent++;
    }
  }
  return sent;
}

for (const [from, to] of [
  ['client', 'upstream'],
  ['upstream', 'client'],
] as const) {
  test(`a ${to} that does not read stops the ${from}, and everything arrives when it reads on`, async (t) => {
    const pair = await startPair(t, { LIMITS_BUFFER: '64KiB' });
    pair[to].stopReading();
    const sent = await fill(pair[from]);
    const moved = totalsOf(pair.connection.tunnel);
    const bytes = from === 'client' ? moved.bytesUp : moved.bytesDown;
    assert.ok(bytes < sent * 65_536, 'everything was read');
    pair[to].resumeReading();
    const count = (): number => pair[to].frames.filter(({ opcode }) => opcode === OPCODE.binary).length;
    await pair[to].until(() => count() === sent, `${sent} messages`);
  });
}

test('a closing report counts what has passed, both ways, and how long it took', async (t) => {
  const { running, client, upstream } = await startPair(t, { KEEPALIVE_PING_INTERVAL: '50ms' });
  client.sendFrame({ opcode: OPCODE.text, payload: 'up' });
  upstream.sendFrame({ opcode: OPCODE.text, payload: 'down' });
  upstream.sendFrame({ opcode: OPCODE.text, payload: '' });
  assert.equal((await upstream.nextMessage()).payload.toString(), 'up');
  await client.until(() => client.frames.some(({ opcode }) => opcode === OPCODE.ping), 'a Ping');
  client.sendFrame({ opcode: OPCODE.close, payload: Buffer.of(3, 0xe9) });
  upstream.sendFrame({ opcode: OPCODE.close, payload: (await upstream.nextMessage()).payload });
  await running.until(() => running.closed.length === 1, 'a closing report');
  const [report] = running.closed;
  assert.deepEqual(
    [report?.initiator, report?.cause, report?.code, report?.framesUp, report?.framesDown],
    ['client', 'close_frame', 1001, 2, 3],
  );
  // Masked frames have four bytes more.
  assert.deepEqual([report?.bytesUp, report?.bytesDown], [8 + 8, 6 + 2 + 4]);
  assert.ok(report !== undefined && report.pingsClient > 0 && report.durationMs > 0);
  assert.ok(report.rttMs !== null && report.rttMs >= 0);
  assert.equal(running.app.connections.size, 0);
});

test('a defect ends its connection without a Close, and no other', async (t) => {
  const { running, connection, client, upstream } = await startPair(t);
  const other = await connectRaw(t, { port: running.port });
  connection.tunnel.receive = () => {
    throw new Error('a defect');
  };
  client.sendFrame({ opcode: OPCODE.text, payload: 'x' });
  assert.equal(await client.untilEnded(), 'fin');
  assert.ok(client.frames.every(({ opcode }) => opcode === OPCODE.ping));
  assert.equal(await upstream.untilEnded(), 'reset');
  client.end();
  await running.until(() => running.closed.length === 1, 'a closing report');
  assert.equal(running.closed[0]?.cause, 'internal_error');
  assert.equal(running.sink.lines('internal error, connection closed')[0]?.['level'], 'error');
  assert.equal(other.ended, null);
  assert.equal(running.app.connections.size, 1);
});

test('new keepalive settings hold at once', async (t) => {
  const { connection, client } = await startPair(t, {
    KEEPALIVE_PING_INTERVAL: '1h',
    KEEPALIVE_FRONT_IDLE_TIMEOUT: 'off',
  });
  const { settings } = connection.tunnel.client.keepalive;
  connection.configure({
    client: { ...settings, interval: 20 },
    upstream: settings,
    adaptive: false,
    frontIdleTimeout: Infinity,
  });
  assert.equal((await client.nextFrame()).opcode, OPCODE.ping);
});

test('both sockets are destroyed at once when there is no more time', async (t) => {
  const { running, connection, client, upstream } = await startPair(t);
  connection.destroy();
  await client.untilEnded();
  await upstream.untilEnded();
  await running.until(() => running.closed.length === 1, 'a closing report');
  assert.deepEqual([running.app.connections.size, running.app.admission.size], [0, 0]);
});

test('a drain ends both sides with 1012, and is told as such', async (t) => {
  const { running, connection, client, upstream } = await startPair(t);
  connection.drain(1012, 'proxy is stopping');
  for (const peer of [client, upstream]) {
    const frame = await peer.nextMessage();
    assert.deepEqual([closeCode(frame), frame.payload.subarray(2).toString()], [1012, 'proxy is stopping']);
    peer.sendFrame({ opcode: OPCODE.close, payload: frame.payload });
  }
  await running.until(() => running.closed.length === 1, 'a closing report');
  assert.deepEqual([running.closed[0]?.initiator, running.closed[0]?.cause], ['proxy', 'drain']);
});
