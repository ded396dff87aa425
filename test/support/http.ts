/** Raw HTTP peers on loopback: what goes over the wire is written and read by hand, so that Node's client hides nothing. */
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { TestContext } from 'node:test';
import type { Log, RequestRefusal, UpgradeFailure } from '../../src/core/events.ts';
import { NO_HEALTH } from '../../src/core/failover.ts';
import type { UpstreamTarget } from '../../src/core/settings.ts';
import { PlainRequests } from '../../src/forward/plain-requests.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { RequestLimits } from '../../src/server/descriptors.ts';
import { redactTarget } from '../../src/http/redact.ts';
import { identify } from '../../src/http/request-identity.ts';
import { createHttpForwarder, type HttpForwarderOptions } from '../../src/forward/forwarder.ts';
import { routeTo } from './routes.ts';
import { freePort } from './free-port.ts';
import { Scope } from './scope.ts';

/** Starts a server on a free port of 127.0.0.1 and stops it, with its connections, after the test. */
export async function listen(t: TestContext, server: net.Server, path?: string): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    // A request whose upgrade is ignored brings its socket here again.
    if (sockets.has(socket)) return;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export function tcpTarget(port: number, tls = false, host = '127.0.0.1'): UpstreamTarget {
  return { address: { kind: 'tcp', host, port }, tls, url: `${tls ? 'https' : 'http'}://${host}:${port}` };
}

export function unixTarget(path: string): UpstreamTarget {
  return { address: { kind: 'unix', path }, tls: false, url: `unix:${path}` };
}

/** One end of a TCP connection, with everything that has arrived on it. */
export class RawPeer {
  readonly socket: net.Socket;
  /** Latin-1, so that one character is one byte. */
  received = '';
  ended = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
    });
    socket.on('close', () => {
      this.ended = true;
    });
    socket.on('end', () => {
      this.ended = true;
    });
  }

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Waits until what has arrived contains or matches `wanted`, and returns all of it. */
  async until(wanted: string | RegExp): Promise<string> {
    while (!(typeof wanted === 'string' ? this.received.includes(wanted) : wanted.test(this.received))) {
      if (this.ended) throw new Error(`ended before ${wanted}: ${JSON.stringify(this.received)}`);
      await this.#news();
    }
    return this.received;
  }

  /** Waits for the end, orderly or not, and returns everything. */
  async untilEnd(): Promise<string> {
    while (!this.ended) await this.#news();
    return this.received;
  }

  /** Hands out what has arrived and starts anew. */
  take(): string {
    const text = this.received;
    this.received = '';
    return text;
  }

  async #news(): Promise<void> {
    await new Promise<void>((resolve) => {
      const { socket } = this;
      function done(): void {
        for (const event of ['data', 'end', 'close']) socket.off(event, done);
        resolve();
      }
      for (const event of ['data', 'end', 'close']) socket.on(event, done);
    });
  }
}

/** Connects to a port and sends `text`. */
export function rawClient(t: TestContext, port: number, text = ''): RawPeer {
  const peer = new RawPeer(net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
  t.after(() => peer.socket.destroy());
  if (text !== '') peer.write(text);
  return peer;
}

/** An answer whose connection stays. */
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** One request without a body and its answer, seen from both ends. The connections stay, and what has passed is forgotten. */
export async function answerKept(server: RawPeer, client: RawPeer): Promise<void> {
  await server.until('\r\n\r\n');
  server.write(OK);
  await client.until('ok');
  server.take();
  client.take();
}

/** A server that speaks by hand; its connections come out of `next`, in order. */
export async function rawServer(
  t: TestContext,
  path?: string,
): Promise<{ port: number; next: () => Promise<RawPeer>; count: () => number }> {
  const waiting: RawPeer[] = [];
  let wake = (): void => {};
  let count = 0;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    count += 1;
    waiting.push(new RawPeer(socket));
    wake();
  });
  const port = await listen(t, server, path);
  async function next(): Promise<RawPeer> {
    for (;;) {
      const peer = waiting.shift();
      if (peer !== undefined) return peer;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  return { port, next, count: () => count };
}

/** A port of 127.0.0.1 on which nothing listens. */
export async function deadPort(): Promise<number> {
  const scope = new Scope();
  const port = await freePort(scope);
  await scope.undo();
  return port;
}

/** An HTTP server with the settings of the real one that matter to what is tested here. */
export function plainServer(listener?: http.RequestListener): http.Server {
  const server = http.createServer({ requestTimeout: 0 }, listener);
  server.maxHeadersCount = 0;
  return server;
}

export interface Front {
  readonly port: number;
  readonly log: ReturnType<typeof memoryLog>;
  /** `[route, status]` of every request that is over. */
  readonly requests: [string, number][];
  /** Why those were refused that were. */
  readonly refusals: readonly RequestRefusal[];
  readonly failures: readonly UpgradeFailure[];
  /** Resolves when so many requests are over. */
  readonly over: (count: number) => Promise<void>;
}

type FrontOptions = Partial<HttpForwarderOptions> & {
  readonly connect?: number;
  readonly stall?: number;
  readonly headerBytes?: number;
};

/** A server that hands every request to a forwarder of its own, which is closed after the test. */
export async function front(
  t: TestContext,
  upstream: UpstreamTarget | readonly UpstreamTarget[],
  { connect = Infinity, stall = Infinity, headerBytes = 16_384, ...options }: FrontOptions = {},
  limits: RequestLimits = { requests: Infinity, requestsPerIp: Infinity },
): Promise<Front> {
  const log = memoryLog();
  const requests: [string, number][] = [];
  const refusals: RequestRefusal[] = [];
  const failures: UpgradeFailure[] = [];
  const news = new EventEmitter();
  const observer = {
    httpRequest: (name: string, status: number, refusal?: RequestRefusal) => {
      if (refusal !== undefined) refusals.push(refusal);
      requests.push([name, status]);
      news.emit('over');
    },
    upgradeFailed: (failure: UpgradeFailure) => void failures.push(failure),
  };
  const forwarder = createHttpForwarder({
    trusted: () => false,
    routes: [],
    upstreamTls: { ca: 'system', verify: true },
    health: NO_HEALTH,
    observer,
    log,
    ...options,
  });
  const route = routeTo(upstream, 'alpha', { timeouts: { connect, stall }, limits: { headerBytes } });
  const plain = new PlainRequests({
    settings: () => ({ routes: [route], log: { requests: false } }),
    limits: () => limits,
    isProbe: () => false,
    resolveClient: () => '192.0.2.1',
    identify: (req) => identify(req.rawHeaders, false),
    redact: (target) => redactTarget(target, 'redact'),
    forwarder,
    observer,
    log,
    clock: systemClock,
  });
  const onRequest: http.RequestListener = (req, res) => plain.handle(req, res);
  const server = plainServer(onRequest);
  server.on('checkContinue', onRequest);
  const port = await listen(t, server);
  t.after(() => forwarder.close());
  async function over(count: number): Promise<void> {
    while (requests.length < count) await once(news, 'over');
  }
  return { port, log, requests, refusals, failures, over };
}

/** A log that keeps its lines. */
export function memoryLog(): Log & { readonly lines: { level: string; fields: object; message: string }[] } {
  const lines: { level: string; fields: object; message: string }[] = [];
  const keep = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields, message });
  };
  return { lines, debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
}
