/** Programs that answer Pings late, wrongly or never, or choke on them: each is as well off as without the proxy. Waits in real time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { OPCODE, type RawFrame } from '../support/frames.ts';
import { startProxy } from '../support/process.ts';
import { connectRaw, type RawPeer, startRawServer } from '../support/raw-websocket.ts';

const INTERVAL = 200;
const TIMEOUT = 400;
/** Whoever answers in time may be kept from it on a loaded machine. */
const PINGS = {
  KEEPALIVE_PING_INTERVAL: `${INTERVAL}ms`,
  KEEPALIVE_PONG_TIMEOUT: '60s',
  KEEPALIVE_UPSTREAM_PING_INTERVAL: `${INTERVAL}ms`,
  KEEPALIVE_UPSTREAM_PONG_TIMEOUT: '60s',
};
const STRICT_CLIENT = { ...PINGS, KEEPALIVE_PONG_TIMEOUT: `${TIMEOUT}ms` };
const STRICT_UPSTREAM = { ...PINGS, KEEPALIVE_UPSTREAM_PONG_TIMEOUT: `${TIMEOUT}ms` };
/** Many times as long as an answer may take, in ms. */
const LONG = 10 * TIMEOUT;

async function startServer(t: Cleanup, options: object = {}): Promise<{ server: WebSocketServer; port: number }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  await once(server, 'listening');
  atEnd(t, () => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

async function connectWs(t: Cleanup, port: number, options: object = {}): Promise<WebSocket> {
  const client = new WebSocket(`ws://127.0.0.1:${port}/ws`, options);
  atEnd(t, () => client.terminate());
  await once(client, 'open');
  return client;
}

/** Reads a bit at a time. */
function readSlowly(peer: RawPeer, rate: number): void {
  peer.socket.on('data', (chunk: Buffer) => {
    peer.stopReading();
    void setTimeout((chunk.length / rate) * 1000).then(() => peer.resumeReading());
  });
}

/** Ends the connection over a control frame between two fragments, as some old servers do. */
function refuseInterruptions(peer: RawPeer): void {
  peer.socket.on('data', () => {
    const last = peer.frames.findLast(({ opcode }) => opcode < OPCODE.close);
    if (last?.fin === false && peer.frames.at(-1) !== last) peer.reset();
  });
}

describe('odd peers that are alive', { concurrency: true }, () => {
  test('a server that never answers a Ping and sends nothing is left in peace', async (t) => {
    const { server, port } = await startServer(t, { autoPong: false });
    const proxy = await startProxy(t, port, STRICT_UPSTREAM);
    const client = await connectWs(t, proxy.port);
    await setTimeout(LONG);
    const [upstream] = server.clients;
    upstream?.send('still here');
    const [data] = await once(client, 'message');
    assert.equal(String(data), 'still here');
  });

  test('a client that writes now and then and never reads is left in peace', async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, STRICT_CLIENT);
    const client = await connectRaw(t, { port: proxy.port });
    client.stopReading();
    const upstream = await server.next();
    for (let count = 1; count <= 4; count += 1) {
      await setTimeout(LONG / 4);
      client.sendFrame({ opcode: OPCODE.text, payload: `message ${count}` });
      assert.equal((await upstream.nextMessage()).payload.toString(), `message ${count}`);
    }
  });

  test('a client that answers each Ping late, from the first one on, is left in peace', async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, STRICT_CLIENT);
    const client = await connectWs(t, proxy.port, { autoPong: false });
    // Twice that may pass before it is given up, which a loaded machine needs.
    client.on('ping', (payload) => void setTimeout(4 * TIMEOUT).then(() => client.pong(payload)));
    await setTimeout(2 * LONG);
    assert.equal(client.readyState, WebSocket.OPEN);
  });

  test('a client that uploads for long does not choke on Pings that it cannot answer meanwhile', async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, {
      ...STRICT_CLIENT,
      KEEPALIVE_PING_INTERVAL: '20ms',
      TIMEOUTS_STALL: '60s',
    });
    const client = await connectWs(t, proxy.port);
    const upstream = await server.next();
    readSlowly(upstream, 4 * 1024 * 1024);
    // `ws` gives a connection up when 60 Pongs wait to be written.
    client.send(Buffer.alloc(12 * 1024 * 1024));
    const message = await upstream.until(
      () => upstream.frames.find(({ opcode }) => opcode === OPCODE.binary),
      'all',
      60_000,
    );
    assert.equal(message.payload.length, 12 * 1024 * 1024);
    assert.equal(client.readyState, WebSocket.OPEN);
  });

  test('answers with the wrong masking reach nobody', async (t) => {
    const server = await startRawServer(t, { autoPong: false });
    const proxy = await startProxy(t, server.port, PINGS);
    const client = await connectRaw(t, { port: proxy.port, autoPong: false });
    const upstream = await server.next();
    for (const [peer, mask] of [
      [client, null],
      [upstream, Buffer.of(1, 2, 3, 4)],
    ] as const) {
      const ping = await peer.until(() => peer.frames.find(({ opcode }) => opcode === OPCODE.ping), 'a Ping');
      peer.sendFrame({ opcode: OPCODE.pong, payload: ping.payload, mask });
      peer.sendFrame({ opcode: OPCODE.text, payload: 'behind it' });
    }
    for (const peer of [client, upstream]) {
      assert.equal((await peer.nextMessage()).payload.toString(), 'behind it');
      assert.ok(peer.frames.every(({ opcode }) => opcode !== OPCODE.pong));
    }
  });

  test('a server that refuses control frames inside a message gets the whole of one that takes longer than an interval', async (t) => {
    const server = await startRawServer(t);
    const proxy = await startProxy(t, server.port, { ...PINGS, KEEPALIVE_UPSTREAM_PING_INTERVAL: '4s' });
    const client = await connectRaw(t, { port: proxy.port });
    const upstream = await server.next();
    refuseInterruptions(upstream);
    const [count, time] = [160, 4500];
    const started = performance.now();
    for (let n = 0; n < count; n += 1) {
      const opcode = n === 0 ? OPCODE.text : OPCODE.continuation;
      client.sendFrame({ opcode, payload: `fragment ${n}`, fin: n === count - 1 });
      await setTimeout(started + ((n + 1) * time) / count - performance.now());
    }
    const ping = (): RawFrame | undefined => upstream.frames.find(({ opcode }) => opcode === OPCODE.ping);
    await upstream.until(() => ping() ?? upstream.ended, 'the Ping behind it');
    assert.deepEqual(
      [upstream.ended, upstream.frames.filter(({ opcode }) => opcode < OPCODE.close).length],
      [null, count],
    );
  });
});
