/** Injected Pings on the wire: only between frames, and nothing else changes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { buildFrame, OPCODE, type RawFrame } from '../support/frames.ts';
import { startProxy } from '../support/process.ts';
import { connectRaw, type PeerOptions, type RawPeer, startRawServer } from '../support/raw-websocket.ts';

const BOTH_SIDES_200MS = { KEEPALIVE_PING_INTERVAL: '200ms', KEEPALIVE_UPSTREAM_PING_INTERVAL: '200ms' };
const BOTH_SIDES_10MS = {
  KEEPALIVE_MODE: 'always',
  KEEPALIVE_PING_INTERVAL: '10ms',
  KEEPALIVE_UPSTREAM_PING_INTERVAL: '10ms',
};
const MASK = Buffer.of(1, 2, 3, 4);

interface Pair {
  readonly client: RawPeer;
  readonly upstream: RawPeer;
}

async function connectPair(t: TestContext, settings: Record<string, string>, options?: PeerOptions): Promise<Pair> {
  const server = await startRawServer(t, options);
  const proxy = await startProxy(t, server.port, settings);
  const client = await connectRaw(t, { port: proxy.port, ...options });
  return { client, upstream: await server.next() };
}

function pings(peer: RawPeer): RawFrame[] {
  return peer.frames.filter((frame) => frame.opcode === OPCODE.ping);
}

function untilMorePings(peer: RawPeer, count: number): Promise<unknown> {
  const before = pings(peer).length;
  return peer.until(() => pings(peer).length >= before + count, `${count} more Pings`);
}

for (const direction of ['down', 'up'] as const) {
  const ends = ({ client, upstream }: Pair): [RawPeer, RawPeer] =>
    direction === 'down' ? [upstream, client] : [client, upstream];
  const mask = direction === 'up' ? MASK : null;

  test(`Pings never come inside a frame that stalls (${direction})`, async (t) => {
    const pair = await connectPair(t, BOTH_SIDES_200MS);
    const [from, to] = ends(pair);
    await untilMorePings(to, 1);
    const frame = buildFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(1000, 'x'), mask });
    from.send(frame.subarray(0, 600));
    await to.until(() => to.rest.length === 600, 'the first part');
    // The other side's Pings are the clock: nothing stalls there.
    await untilMorePings(from, 4);
    assert.deepEqual(to.rest, frame.subarray(0, 600));
    from.send(frame.subarray(600));
    await untilMorePings(to, 2);
    assert.deepEqual(
      to.frames.filter((seen) => seen.opcode !== OPCODE.ping).map((seen) => seen.raw),
      [frame],
    );
  });

  test(`Pings come between the fragments of a message (${direction})`, async (t) => {
    const pair = await connectPair(t, BOTH_SIDES_200MS);
    const [from, to] = ends(pair);
    const first = buildFrame({ opcode: OPCODE.text, fin: false, payload: 'Hel', mask });
    const last = buildFrame({ opcode: OPCODE.continuation, payload: 'lo', mask });
    from.send(first);
    await to.until(() => to.frames.some((frame) => frame.raw.equals(first)), 'the first fragment');
    await untilMorePings(to, 2);
    from.send(last);
    await to.until(() => to.frames.at(-1)?.raw.equals(last), 'the last fragment');
  });

  test(`Pings are whole frames of their side, each with a payload of its own (${direction})`, async (t) => {
    const pair = await connectPair(t, BOTH_SIDES_200MS);
    const [from, to] = ends(pair);
    await untilMorePings(to, 4);
    for (const ping of pings(to)) {
      assert.equal(ping.raw[0], 0x89);
      assert.equal(ping.masked, direction === 'up');
    }
    assert.equal(new Set(pings(to).map((ping) => ping.payload.toString('hex'))).size, pings(to).length);
    // The answers went to the proxy alone.
    assert.ok(!from.frames.some((frame) => frame.opcode === OPCODE.pong));
  });
}

interface Step {
  readonly dir: 'up' | 'down';
  readonly hex?: string;
  readonly end?: boolean;
}

function recordedSession(name: string): Step[] {
  const text = readFileSync(new URL(`../fixtures/neko-legacy-${name}.jsonl`, import.meta.url), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Step);
}

/** Pings, and empty Pongs in their place. The recorded Ping, and its answer, are part of what has to arrive. */
function isInjected({ opcode, payload }: RawFrame): boolean {
  return payload.toString() !== 'app' && (opcode === OPCODE.ping || (opcode === OPCODE.pong && payload.length === 0));
}

/** What arrived, without injected Pings. */
function relayed(peer: RawPeer): Buffer {
  const frames = peer.frames.filter((frame) => !isInjected(frame)).map((frame) => frame.raw);
  return Buffer.concat([...frames, peer.rest]);
}

/** Sends in pieces from one byte up, waiting inside frames until Pings are due there too. */
async function sendInPieces(peer: RawPeer, bytes: Buffer, pinged: boolean): Promise<void> {
  const sizes = [1, 2, 7, 64, 1000, 16_384];
  for (let at = 0, piece = 0; at < bytes.length; piece += 1) {
    if (pinged && piece % 3 === 1) await untilMorePings(peer, 1);
    const size = sizes[piece % sizes.length] ?? 1;
    peer.send(bytes.subarray(at, at + size));
    at += size;
    await setImmediate();
  }
}

/** Plays a session, waiting for every step to arrive and for a Ping in between wherever one may come. */
async function replay({ client, upstream }: Pair, steps: readonly Step[]): Promise<{ up: Buffer; down: Buffer }> {
  const sent = { up: Buffer.alloc(0), down: Buffer.alloc(0) };
  let ending = false;
  for (const { dir, hex, end } of steps) {
    const [from, to] = dir === 'up' ? [client, upstream] : [upstream, client];
    if (hex !== undefined) {
      const bytes = Buffer.from(hex, 'hex');
      sent[dir] = Buffer.concat([sent[dir], bytes]);
      await sendInPieces(from, bytes, !ending);
      await to.until(() => relayed(to).length >= sent[dir].length, `${sent[dir].length} bytes ${dir}`);
      ending ||= to.frames.at(-1)?.opcode === OPCODE.close;
    }
    if (end) {
      from.end();
      await to.untilEnded();
      ending = true;
    }
    if (!ending && to.rest.length === 0) await untilMorePings(to, 1);
  }
  return sent;
}

for (const name of ['browser', 'admin']) {
  test(`a recorded ${name} session arrives byte for byte under Pings every few milliseconds`, async (t) => {
    const answersInjected: PeerOptions = { autoPong: isInjected, allowHalfOpen: true };
    const pair = await connectPair(t, BOTH_SIDES_10MS, answersInjected);
    const sent = await replay(pair, recordedSession(name));
    assert.ok(relayed(pair.upstream).equals(sent.up), 'upwards');
    assert.ok(relayed(pair.client).equals(sent.down), 'downwards');
    assert.ok(pings(pair.client).length > 10 && pings(pair.upstream).length > 5, 'Pings in between');
  });
}
