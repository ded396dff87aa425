/** Reset, half-close and silence at every step of every flow: both sides end, and nothing is left behind. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Side } from '../../src/core/events.ts';
import { type RunningApp, startApp } from '../support/app.ts';
import {
  connectRaw,
  type RawHttpPeer,
  type RawUpstream,
  startRawUpstream,
  switchingProtocols,
  upgradeRequest,
} from '../support/raw-http.ts';
import { descriptors, timers, untilAtMost } from '../support/resources.ts';
import { Scope } from '../support/scope.ts';
import { Watch } from '../support/watch.ts';

const QUICK = {
  TIMEOUTS_HANDSHAKE: '1s',
  TIMEOUTS_STALL: '1s',
  KEEPALIVE_PING_INTERVAL: '200ms',
  KEEPALIVE_PONG_TIMEOUT: '500ms',
  KEEPALIVE_UPSTREAM_PING_INTERVAL: '200ms',
  KEEPALIVE_UPSTREAM_PONG_TIMEOUT: '500ms',
};

/** The two peers of the proxy in one flow. */
interface Flow {
  readonly path: string;
  readonly client: RawHttpPeer;
  /** Once the proxy has dialled. */
  upstream(): Promise<RawHttpPeer>;
}

interface Step {
  readonly name: string;
  /** Where there is no upstream yet, it has no faults. */
  readonly sides: readonly Side[];
  /** Takes the flow to where `side` fails. */
  readonly go: (flow: Flow, side: Side) => Promise<void>;
}

const BOTH: readonly Side[] = ['client', 'upstream'];
/** Frames as each side sends them, latin-1: the client's are masked with zeros. */
const MASKED = '\0\0\0\0';
const frame = (side: Side, first: string, payload: string): string =>
  side === 'client'
    ? `${first}${String.fromCharCode(0x80 | payload.length)}${MASKED}${payload}`
    : `${first}${String.fromCharCode(payload.length)}${payload}`;

const ask = (flow: Flow): void => flow.client.send(upgradeRequest({ line: `GET ${flow.path} HTTP/1.1` }));

async function dial(flow: Flow): Promise<{ upstream: RawHttpPeer; head: string }> {
  ask(flow);
  const upstream = await flow.upstream();
  return { upstream, head: await upstream.head() };
}

/** Answers one Ping, so that the silence of this side counts from now on. */
async function answersPing(peer: RawHttpPeer, mask: '' | typeof MASKED): Promise<void> {
  // A Ping of ours: to the client it is not masked, to the upstream with a key of four bytes.
  const head = mask === '' ? '\x89\x88' : '\x89\x08';
  const length = head.length + (mask === '' ? 12 : 8);
  await peer.until(head);
  const from = peer.text.indexOf(head);
  const bytes = Buffer.from(peer.text.slice(from, from + length), 'latin1');
  const [payload, key] = [bytes.subarray(-8), bytes.subarray(2, 6)];
  if (mask === '') for (let at = 0; at < payload.length; at += 1) payload[at] = (payload[at] ?? 0) ^ (key[at % 4] ?? 0);
  const second = mask === '' ? '\x08' : '\x88';
  peer.send(`\x8a${second}${mask}${payload.toString('latin1')}`);
}

async function open(flow: Flow): Promise<{ client: RawHttpPeer; upstream: RawHttpPeer }> {
  const { upstream, head } = await dial(flow);
  upstream.send(switchingProtocols(head));
  await flow.client.head();
  await Promise.all([answersPing(flow.client, MASKED), answersPing(upstream, '')]);
  return { client: flow.client, upstream };
}

/** Sends so many characters of a frame, and waits until they have come through. */
async function sendPart(flow: Flow, side: Side, text: string, visible: string): Promise<void> {
  const peers = await open(flow);
  peers[side].send(text);
  if (visible !== '') await peers[side === 'client' ? 'upstream' : 'client'].until(visible);
}

const STEPS: readonly Step[] = [
  {
    name: 'in the middle of the request',
    sides: ['client'],
    go: async ({ client, path }) => client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n`),
  },
  { name: 'while the upstream is asked', sides: BOTH, go: async (flow) => void (await dial(flow)) },
  {
    name: "in the middle of the upstream's answer",
    sides: BOTH,
    go: async (flow) => (await dial(flow)).upstream.send('HTTP/1.1 101 Switching'),
  },
  {
    name: 'with the 101 in flight',
    sides: BOTH,
    go: async (flow) => {
      const { upstream, head } = await dial(flow);
      upstream.send(switchingProtocols(head));
    },
  },
  {
    name: 'in the middle of a refusal',
    sides: BOTH,
    go: async (flow) => {
      const { upstream } = await dial(flow);
      upstream.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf');
      await flow.client.until('half');
    },
  },
  { name: 'at a boundary', sides: BOTH, go: async (flow) => void (await open(flow)) },
  { name: 'in the middle of a frame header', sides: BOTH, go: (flow, side) => sendPart(flow, side, '\x82', '') },
  {
    name: 'in the middle of a payload',
    sides: BOTH,
    go: (flow, side) => sendPart(flow, side, frame(side, '\x82', 'payload').slice(0, -2), 'paylo'),
  },
  {
    name: 'in the middle of a Ping',
    sides: BOTH,
    go: (flow, side) => sendPart(flow, side, frame(side, '\x89', 'payload').slice(0, -2), 'paylo'),
  },
  {
    name: 'behind its own Close',
    sides: BOTH,
    go: (flow, side) => sendPart(flow, side, frame(side, '\x88', '\x03\xe8bye'), 'bye'),
  },
  {
    name: 'instead of answering a Close',
    sides: BOTH,
    go: (flow, side) => {
      const from = side === 'client' ? 'upstream' : 'client';
      return sendPart(flow, from, frame(from, '\x88', '\x03\xe8bye'), 'bye');
    },
  },
];

const FAULTS: Readonly<Record<string, (peer: RawHttpPeer) => void>> = {
  'a reset': (peer) => peer.reset(),
  'a half-close': (peer) => void peer.socket.end(),
  silence: () => undefined,
};

const scope = new Scope();
let app: RunningApp;
let upstream: RawUpstream;
let held: { descriptors: number; timers: number };
const dialled = new Map<string, RawHttpPeer>();
const watch = new Watch();

before(async () => {
  upstream = await startRawUpstream(scope, async (peer) => {
    const head = await peer.head().catch(() => '');
    dialled.set(/^GET (\S+)/.exec(head)?.[1] ?? '', peer);
    watch.changed();
  });
  app = await startApp(scope, { ...QUICK, UPSTREAM: `http://127.0.0.1:${upstream.port}` });
  held = { descriptors: descriptors(), timers: timers() };
});

after(() => scope.undo());

/** Ends when the other side has: an ordinary peer. */
function answerEnd(peer: RawHttpPeer): void {
  if (peer.ended !== null) peer.socket.end();
  else peer.socket.once('end', () => peer.socket.end());
}

describe('at every step of every flow', { concurrency: true }, () => {
  for (const step of STEPS) {
    for (const side of step.sides) {
      for (const [fault, inject] of Object.entries(FAULTS)) {
        // Who has never answered a Ping is left to the kernel.
        if (fault === 'silence' && step.name === 'with the 101 in flight') continue;
        test(`${fault} of the ${side} ${step.name} ends both sides`, async (t) => {
          const path = `/${encodeURIComponent(t.name)}`;
          const client = await connectRaw(t, app.port);
          const flow: Flow = { path, client, upstream: () => watch.until(() => dialled.get(path), 'a dial') };
          await step.go(flow, side);
          const other = dialled.get(path);
          const faulty = side === 'client' ? client : other;
          const healthy = side === 'client' ? other : client;
          if (healthy !== undefined) answerEnd(healthy);
          if (faulty !== undefined) inject(faulty);
          await healthy?.end();
          if (fault !== 'a reset') await faulty?.end();
          faulty?.socket.destroy();
          healthy?.socket.destroy();
        });
      }
    }
  }
});

test('afterwards no connection, place, descriptor or timer is left, and every opening has its end', async () => {
  await app.app.connections.empty();
  await untilAtMost(descriptors, held.descriptors, 'descriptors');
  await untilAtMost(timers, held.timers, 'timers');
  assert.deepEqual([app.app.admission.size, app.app.admission.clients], [0, 0]);
  assert.equal(app.closed.length, app.opened.length);
  assert.deepEqual(app.sink.lines('internal error, connection closed'), []);
});
