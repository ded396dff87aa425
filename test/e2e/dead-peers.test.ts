/** Peers that are gone or hang while TCP stays open, and slow ones that only look like it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { closeCode, OPCODE } from '../support/frames.ts';
import { startLegacyServer } from '../support/legacy-server.ts';
import { startProxy } from '../support/process.ts';
import { connectRaw, type RawPeer, startRawServer } from '../support/raw-websocket.ts';

const INTERVAL = 300;
const TIMEOUT = 700;
/** What a loaded machine may take over noticing. */
const SLACK = 800;
const CLIENT_PINGS = { KEEPALIVE_PING_INTERVAL: `${INTERVAL}ms`, KEEPALIVE_PONG_TIMEOUT: `${TIMEOUT}ms` };
const UPSTREAM_PINGS = {
  KEEPALIVE_UPSTREAM_PING_INTERVAL: `${INTERVAL}ms`,
  KEEPALIVE_UPSTREAM_PONG_TIMEOUT: `${TIMEOUT}ms`,
};
const PAYLOAD = Buffer.alloc(65_536, 'x');

function stopwatch(): () => number {
  const started = performance.now();
  return () => performance.now() - started;
}

function closeFrames(peer: RawPeer): (number | null)[] {
  return peer.frames.filter((frame) => frame.opcode === OPCODE.close).map(closeCode);
}

/** Reads at about this many bytes a second from now on. */
function readSlowly(peer: RawPeer, rate: number): void {
  let resume: NodeJS.Timeout | undefined;
  peer.socket.on('close', () => clearTimeout(resume));
  peer.socket.on('data', (chunk: Buffer) => {
    peer.stopReading();
    resume = setTimeout(() => peer.resumeReading(), (chunk.length / rate) * 1000);
  });
}

/** Sends whole frames as fast as the connection takes them, until it is told to close. */
async function upload(peer: RawPeer): Promise<void> {
  const frame = peer.frame({ opcode: OPCODE.binary, payload: PAYLOAD });
  while (closeFrames(peer).length === 0 && peer.ended === null) {
    if (peer.send(frame)) await setImmediate();
    else
      await Promise.race([
        once(peer.socket, 'drain'),
        peer.until(() => closeFrames(peer).length > 0 || peer.ended, 'its end'),
      ]);
  }
}

describe('peers that do not answer', { concurrency: true }, () => {
  test('a client that stops reading and answering ends the upstream in time, without a Close frame', async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, CLIENT_PINGS);
    const client = await connectRaw(t, { port: proxy.port });
    const upstream = await server.next();
    // It has answered one Ping, and is judged by its silence from then on.
    await client.until(() => client.frames.length > 0, 'a Ping');
    client.stopReading();
    const elapsed = stopwatch();
    assert.equal(await upstream.untilEnded(), 'fin');
    const took = elapsed();
    assert.ok(took >= TIMEOUT - INTERVAL && took <= INTERVAL + TIMEOUT + SLACK, `took ${took} ms`);
    assert.deepEqual(closeFrames(upstream), []);
    const line = await proxy.child.log('websocket closed');
    assert.equal(line['cause'], 'pong_timeout');
    client.resumeReading();
    assert.equal(await client.untilEnded(), 'reset');
  });

  test('a client that answers stays, however long it is silent', async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, CLIENT_PINGS);
    const client = await connectRaw(t, { port: proxy.port });
    const upstream = await server.next();
    const elapsed = stopwatch();
    await client.until(() => elapsed() > 3 * (INTERVAL + TIMEOUT), 'Pings for three times the limit');
    assert.equal(client.ended, null);
    assert.deepEqual(upstream.frames, []);
  });

  test('a slow reader with megabytes under way is not taken for dead', async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, CLIENT_PINGS);
    const client = await connectRaw(t, { port: proxy.port });
    const upstream = await server.next();
    const elapsed = stopwatch();
    readSlowly(client, 1024 * 1024);
    for (let sent = 0; sent < 64; sent += 1) upstream.sendFrame({ opcode: OPCODE.binary, payload: PAYLOAD });
    const whole = (): boolean => client.frames.filter((frame) => frame.opcode === OPCODE.binary).length === 64;
    await client.until(whole, 'all frames');
    assert.ok(elapsed() > 2 * (INTERVAL + TIMEOUT), `too fast to prove anything: ${elapsed()} ms`);
    client.sendFrame({ opcode: OPCODE.text, payload: 'all read' });
    assert.equal((await upstream.nextMessage()).payload.toString(), 'all read');
    assert.equal(upstream.frames.length, 1);
  });

  test('a client that uploads to a hung upstream is not blamed for it', async (t) => {
    const server = await startRawServer(t, { autoPong: false });
    const stall = { ...CLIENT_PINGS, TIMEOUTS_STALL: '2s' };
    const proxy = await startProxy(t, server.port, stall);
    const client = await connectRaw(t, { port: proxy.port });
    const upstream = await server.next();
    upstream.stopReading();
    await upload(client);
    assert.deepEqual([await client.untilEnded(), closeFrames(client)], ['fin', []]);
    const line = await proxy.child.log('websocket closed');
    assert.deepEqual([line['initiator'], line['cause']], ['upstream', 'stall']);
    upstream.resumeReading();
    await upstream.untilEnded();
    assert.deepEqual(closeFrames(upstream), []);
  });

  test('a client that takes nothing is given up, and the upstream is ended without a Close frame', async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, { KEEPALIVE_PING_INTERVAL: 'off', TIMEOUTS_STALL: '1s' });
    const client = await connectRaw(t, { port: proxy.port });
    const upstream = await server.next();
    client.stopReading();
    await upload(upstream);
    assert.equal(await upstream.untilEnded(), 'fin');
    assert.deepEqual(closeFrames(upstream), []);
    const line = await proxy.child.log('websocket closed');
    assert.deepEqual([line['initiator'], line['cause']], ['client', 'stall']);
  });

  test('an upstream process that hangs ends the client’s TCP in time, without a Close frame', async (t) => {
    const room = await startLegacyServer(t);
    const proxy = await startProxy(t, room.port, { ...UPSTREAM_PINGS, KEEPALIVE_PING_INTERVAL: `${INTERVAL}ms` });
    const client = await connectRaw(t, { port: proxy.port });
    await client.nextMessage();
    // Its first Ping came before the client's second one, and it answers in order.
    await client.until(() => client.frames.filter(({ opcode }) => opcode === OPCODE.ping).length > 1, 'two Pings');
    client.sendFrame({
      opcode: OPCODE.text,
      payload: JSON.stringify({ event: 'chat/message', content: 'still there?' }),
    });
    await client.until(() => client.frames.some(({ payload }) => payload.includes('still there?')), 'the answer');
    room.child.suspend();
    const elapsed = stopwatch();
    assert.equal(await client.untilEnded(), 'fin');
    const took = elapsed();
    assert.ok(took <= 2 * INTERVAL + TIMEOUT + SLACK, `took ${took} ms`);
    assert.deepEqual(closeFrames(client), []);
    const line = await proxy.child.log('websocket closed');
    assert.deepEqual([line['initiator'], line['cause']], ['upstream', 'pong_timeout']);
  });
});
