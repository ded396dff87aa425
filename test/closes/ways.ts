/** Each way in which a peer can end a connection or misbehave, played directly, through nginx and through the proxy. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { closePayload, OPCODE } from '../support/frames.ts';
import { freePort } from '../support/free-port.ts';
import { nginxBefore, startNginx } from '../support/nginx.ts';
import { type Child, startProxy } from '../support/process.ts';
import { acceptKey, connectRaw, type RawPeer, startRawServer } from '../support/raw-websocket.ts';
import { Scope } from '../support/scope.ts';

const HOPS = ['directly', 'nginx', 'here'] as const;
type Hop = (typeof HOPS)[number];
interface Peers {
  readonly client: RawPeer;
  readonly upstream: RawPeer;
  readonly hop: Child | null;
}
type Act = (actor: RawPeer, peers: Peers) => unknown;

const SETTINGS = {
  KEEPALIVE_PING_INTERVAL: '200ms',
  KEEPALIVE_PONG_TIMEOUT: '1s',
  KEEPALIVE_UPSTREAM_PING_INTERVAL: '200ms',
  KEEPALIVE_UPSTREAM_PONG_TIMEOUT: '1s',
  TIMEOUTS_DRAIN: '500ms',
};
const READ_TIMEOUT = '3s';
/** After this long what is still open stays open, in ms: longer than `READ_TIMEOUT` and the Pong timeouts. */
const LONG = 8000;

const TEXT = { opcode: OPCODE.text, payload: 'hello' };
const close =
  (code: number): Act =>
  (actor) =>
    void actor.sendFrame({ opcode: OPCODE.close, payload: closePayload(code) });
const pinged = (peer: RawPeer): unknown => peer.frames.some(({ opcode }) => opcode === OPCODE.ping);

/** What either side can do. */
const ACTS: readonly (readonly [what: string, act: Act, habits?: { readonly autoPong?: boolean }])[] = [
  ['sends Close 4001', close(4001)],
  ['sends Close 1006, which is reserved', close(1006)],
  ['ends TCP without a Close', (actor) => actor.end()],
  [
    'ends TCP inside a frame',
    (actor) => {
      actor.send(actor.frame(TEXT).subarray(0, -2));
      actor.end();
    },
  ],
  ['resets TCP', (actor) => actor.reset()],
  ['is quiet', () => undefined],
  ['is quiet and never answers a Ping', () => undefined, { autoPong: false }],
  [
    'has answered Pings, then vanishes',
    async (actor, { hop }) => {
      // nginx and direct peers send none.
      if (hop?.name === process.execPath) await actor.until(() => pinged(actor), 'a Ping');
      actor.socket.pause();
    },
  ],
  [
    'masks a frame wrongly, then sends Close 4000',
    (actor, peers) => {
      actor.sendFrame({ ...TEXT, mask: actor.role === 'client' ? null : Buffer.of(1, 2, 3, 4) });
      return close(4000)(actor, peers);
    },
  ],
  [
    'uses a reserved opcode, then sends Close 4000',
    (actor, peers) => {
      actor.sendFrame({ opcode: 3, payload: 'x' });
      return close(4000)(actor, peers);
    },
  ],
  [
    'claims a frame of more than 2^63 bytes, then ends TCP',
    (actor) => {
      actor.send(Buffer.from([0x82, actor.role === 'client' ? 0xff : 0x7f, ...Array<number>(12).fill(0xff)]));
      actor.end();
    },
  ],
];

const HANDSHAKES: readonly (readonly [what: string, answer: ((accept: string) => string) | null])[] = [
  ['refuses with 403', () => 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'],
  ['answers `HTTP/1.0 101`', (accept) => switching('HTTP/1.0', accept)],
  ['answers 101 with a wrong `Sec-WebSocket-Accept`', () => switching('HTTP/1.1', 'c3BvaWx0IGFjY2VwdCBrZXk=')],
  ['answers 101 without `Upgrade`', () => 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n'],
  ['ends TCP in place of an answer', () => ''],
  ['cannot be reached', null],
];

function switching(version: string, accept: string): string {
  const lines = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`];
  return `${version} 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`;
}

export type WayRow = readonly [who: string, what: string, sees: string, ...seen: string[]];

/** One row each: who does what, who looks, and what that side sees on each way. */
export async function playAll(): Promise<WayRow[]> {
  const plays = [
    ...(['upstream', 'client'] as const).flatMap((who) =>
      ACTS.map(
        ([what, act, habits = {}]) =>
          () =>
            playAct(who, what, act, habits.autoPong ?? true),
      ),
    ),
    ...(['client', 'upstream'] as const).map((sees) => () => playStop(sees)),
    ...HANDSHAKES.map(
      ([what, answer]) =>
        () =>
          playHandshake(what, answer),
    ),
  ];
  const rows: WayRow[] = [];
  const waiting = plays.entries();
  const lane = async (): Promise<void> => {
    for (const [index, play] of waiting) rows[index] = await play();
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  return rows;
}

async function playAct(who: 'client' | 'upstream', what: string, act: Act, autoPong: boolean): Promise<WayRow> {
  const sees = who === 'client' ? 'upstream' : 'client';
  const seen = await onEachHop(HOPS, async (scope, hop) => {
    const peers = await connect(scope, hop, { [who]: autoPong });
    await act(peers[who], peers);
    return look(peers[sees]);
  });
  return [`the ${who}`, what, sees, ...seen];
}

async function playStop(sees: 'client' | 'upstream'): Promise<WayRow> {
  const seen = await onEachHop(['nginx', 'here'], async (scope, hop) => {
    const peers = await connect(scope, hop, {});
    peers.hop?.process.kill('SIGTERM');
    return look(peers[sees]);
  });
  return ['the hop', 'is stopped (SIGTERM)', sees, '–', ...seen];
}

async function playHandshake(what: string, answer: ((accept: string) => string) | null): Promise<WayRow> {
  const seen = await onEachHop(HOPS, async (scope, hop) => {
    const port = answer === null ? await freePort(scope) : await startAnswering(scope, answer);
    const { port: entry } = await startHop(scope, hop, port);
    return connectRaw(scope, { port: entry }).then(
      () => '101',
      (error: unknown) => statusOf(String(error)),
    );
  });
  return ['the upstream', what, 'client', ...seen];
}

function statusOf(error: string): string {
  const status = /HTTP\/1\.\d (\d+)/.exec(error)?.[1];
  return status ?? (error.includes('ECONNREFUSED') ? 'TCP refused' : 'TCP end');
}

async function onEachHop(hops: readonly Hop[], play: (scope: Cleanup, hop: Hop) => Promise<string>): Promise<string[]> {
  return Promise.all(
    hops.map(async (hop) => {
      const scope = new Scope();
      try {
        return await play(scope, hop);
      } finally {
        await scope.undo();
      }
    }),
  );
}

async function startHop(scope: Cleanup, hop: Hop, port: number): Promise<{ port: number; child: Child | null }> {
  if (hop === 'directly') return { port, child: null };
  return hop === 'nginx' ? startNginx(scope, nginxBefore(port, READ_TIMEOUT)) : startProxy(scope, port, SETTINGS);
}

async function connect(scope: Cleanup, hop: Hop, answers: { client?: boolean; upstream?: boolean }): Promise<Peers> {
  const server = await startRawServer(scope, { allowHalfOpen: true, autoPong: answers.upstream ?? true });
  const { port, child } = await startHop(scope, hop, server.port);
  const [client, upstream] = await Promise.all([
    connectRaw(scope, { port, allowHalfOpen: true, autoPong: answers.client ?? true }),
    server.next(),
  ]);
  return { client, upstream, hop: child };
}

/** What a side sees until TCP ends; it answers a Close and ends TCP as a correct peer does. */
async function look(peer: RawPeer): Promise<string> {
  await peer.until(() => peer.ended ?? closeCode(peer), 'an end', LONG).catch(() => null);
  const code = closeCode(peer);
  const payloads = peer.frames.filter(({ opcode }) => opcode < OPCODE.close).map(() => 'the frame');
  const closed = code === undefined ? [] : [`Close ${code}`];
  const rest = peer.rest.length > 0 ? ['its beginning'] : [];
  const end = code !== undefined || peer.ended === null ? [] : [peer.ended === 'fin' ? 'TCP end' : 'TCP reset'];
  return [...payloads, ...rest, ...closed, ...end].join(', ') || 'nothing, stays open';
}

function closeCode(peer: RawPeer): number | undefined {
  return peer.frames.find(({ opcode }) => opcode === OPCODE.close)?.payload.readUInt16BE(0);
}

async function startAnswering(scope: Cleanup, answer: (accept: string) => string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (head: Buffer) => {
      const text = answer(acceptKey(head.toString('latin1')));
      if (text === '' || text.includes(' 403 ')) socket.end(text);
      else socket.write(text);
    });
    atEnd(scope, () => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(scope, () => server.close());
  return (server.address() as AddressInfo).port;
}
