/** A proxy between two scripted peers whose clock stands still, so that whatever happens at once is seen to need no time. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { App } from '../../src/app.ts';
import { loadSettings } from '../../src/config/load.ts';
import type { CloseReport } from '../../src/core/events.ts';
import { atEnd, type Cleanup } from './cleanup.ts';
import { FakeClock } from './fake-clock.ts';
import { OPCODE } from './frames.ts';
import { temporaryFolder } from './process.ts';
import { acceptRaw, connectRaw, type RawPeer } from './raw-websocket.ts';
import { SILENT } from './reports.ts';
import { Watch } from './watch.ts';

/** How the proxy reaches its upstream. */
export const TRANSPORTS = ['tcp', 'unix', 'tls'] as const;
export type Transport = (typeof TRANSPORTS)[number];

export const MASK = Buffer.of(0x9a, 0x3c, 0x51, 0xe7);

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
/** Nothing happens by itself. */
const QUIET = { WSKP_KEEPALIVE_PING_INTERVAL: 'off', WSKP_KEEPALIVE_UPSTREAM_PING_INTERVAL: 'off' };
/** How far the clock goes while what has happened comes through, in ms. */
const TICK = 100;

export interface RigOptions {
  readonly transport?: Transport;
  /** Short form of `WSKP_` variables. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Who answers Pings; default: both. */
  readonly answering?: { readonly client?: boolean; readonly upstream?: boolean };
}

export interface Rig {
  readonly client: RawPeer;
  readonly upstream: RawPeer;
  readonly transport: Transport;
  readonly app: App;
  /** Ends the upstream's side as abruptly as its transport can. */
  readonly resetUpstream: () => void;
  /** Lets the clock run until then. @returns how far it went, in ms */
  passTimeUntil(event: Promise<unknown>): Promise<number>;
  /** Lets what has happened come through, while the clock stands still. */
  turn(): Promise<unknown>;
  report(): Promise<CloseReport>;
}

export async function startRig(t: Cleanup, options: RigOptions): Promise<Rig> {
  const transport = options.transport ?? 'tcp';
  const server = await startUpstream(t, transport);
  const clock = new FakeClock();
  const watch = new Watch();
  let report: CloseReport | null = null;
  const app = await startApp(t, server.url, options.settings ?? {}, clock, (seen) => {
    report = seen;
    watch.changed();
  });
  const [address] = await app.listen();
  if (address?.kind !== 'tcp') throw new Error('the proxy listens nowhere');
  const { answering } = options;
  const autoPong = answering?.client ?? true;
  const [client, { peer: upstream, reset }] = await Promise.all([
    connectRaw(t, { port: address.port, allowHalfOpen: true, mask: MASK, autoPong }),
    server.accept(answering?.upstream ?? true),
  ]);
  return {
    client,
    upstream,
    transport,
    app,
    resetUpstream: reset,
    passTimeUntil: (event) => passTime(clock, event),
    turn: someTurns,
    report: () => watch.until(() => report, 'the report of the close'),
  };
}

async function startApp(
  t: Cleanup,
  upstream: string,
  settings: Readonly<Record<string, string>>,
  clock: FakeClock,
  closed: (report: CloseReport) => void,
): Promise<App> {
  const own = Object.entries(settings).map(([name, value]) => [`WSKP_${name}`, value]);
  const env = { ...QUIET, WSKP_UPSTREAM_TLS_CA: fixture('localhost.cert.pem'), ...Object.fromEntries(own) };
  const folder = await temporaryFolder(t);
  const loaded = loadSettings({ flags: { upstream, listen: ['127.0.0.1:0'] }, env, cwd: folder });
  const ignore = (): void => undefined;
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const observer = { ...SILENT, closed };
  const app = new App({ settings: loaded.settings, log, observer, clock });
  atEnd(t, async () => {
    const closing = app.close();
    clock.advance(loaded.settings.timeouts.drain);
    await closing;
  });
  return app;
}

async function passTime(clock: FakeClock, event: Promise<unknown>): Promise<number> {
  const start = clock.time;
  const over = event.then(() => true);
  while (!(await Promise.race([over, someTurns()]))) clock.advance(TICK);
  return clock.time - start;
}

/** What follows from a tick gets through meanwhile. */
async function someTurns(): Promise<false> {
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
  return false;
}

interface Upstream {
  readonly url: string;
  accept(autoPong: boolean): Promise<{ peer: RawPeer; reset: () => void }>;
}

async function startUpstream(t: Cleanup, transport: Transport): Promise<Upstream> {
  const raw: Socket[] = [];
  const ready: Socket[] = [];
  const watch = new Watch();
  const onReady = (socket: Socket): void => {
    ready.push(socket);
    watch.changed();
  };
  const server = createUpstream(transport, onReady);
  server.on('connection', (socket: Socket) => raw.push(socket));
  const path = join(await temporaryFolder(t), 'upstream.sock');
  if (transport === 'unix') server.listen(path);
  else server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(t, () => {
    for (const socket of [...ready, ...raw]) socket.destroy();
    server.close();
  });
  const port = transport === 'unix' ? 0 : (server.address() as AddressInfo).port;
  const urls = { tcp: `http://127.0.0.1:${port}`, tls: `https://localhost:${port}`, unix: `unix:${path}` };
  const accept: Upstream['accept'] = async (autoPong) => {
    const socket = await watch.until(() => ready[0], 'the proxy');
    const peer = await acceptRaw(socket, { autoPong });
    if (peer === null) throw new Error('the proxy left during the handshake');
    // Beneath TLS there is TCP to reset; on a unix socket there is no such thing.
    return { peer, reset: () => (transport === 'unix' ? socket.destroy() : raw[0]?.resetAndDestroy()) };
  };
  return { url: urls[transport], accept };
}

function createUpstream(transport: Transport, onReady: (socket: Socket) => void): Server {
  if (transport !== 'tls') return createServer({ allowHalfOpen: true, noDelay: true }, onReady);
  const [key, cert] = [readFileSync(fixture('localhost.key.pem')), readFileSync(fixture('localhost.cert.pem'))];
  return createTlsServer({ key, cert, allowHalfOpen: true, noDelay: true }, (socket: TLSSocket) => onReady(socket));
}

/** What was sent to a peer, without injected Pings. */
export function received(peer: RawPeer): Buffer {
  const frames = peer.frames.filter((frame) => frame.opcode !== OPCODE.ping);
  return Buffer.concat([...frames.map((frame) => frame.raw), peer.rest]);
}
