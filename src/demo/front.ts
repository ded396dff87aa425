/**
 * The demo's front: like nginx it closes an upgraded connection that was silent for a while, both ways and without a Close frame.
 * `/straight/…` goes to the room, everything else to the proxy. Pages learn over `/demo/events` what the front saw and did.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import httpProxy from 'http-proxy';
import { FrameScanner, Stop } from '../core/frame-scanner.ts';

export interface FrontOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly roomPort: number;
  readonly proxyPort: number;
  /** How long a connection may be silent, in ms. */
  readonly idleLimit: number;
  /** Where the proxy's status page is; null: nowhere. */
  readonly statusPage: string | null;
}

export interface DemoFront {
  readonly port: number;
  close(): Promise<void>;
}

type Lane = 'straight' | 'kept';

/** What a page is told. */
type FrontEvent =
  | { readonly kind: 'hello'; readonly idleLimit: number; readonly statusPage: string | null }
  | { readonly kind: 'ping'; readonly lane: Lane }
  | { readonly kind: 'cut'; readonly lane: Lane; readonly silentMs: number };

const STRAIGHT = '/straight/';

/** Rejects with the system's error when the address cannot be listened on. */
export async function startFront(options: FrontOptions): Promise<DemoFront> {
  const pages = new Map<string, ServerResponse>();
  const sockets = new Set<Socket>();
  const forward = httpProxy.createProxyServer({ target: `http://127.0.0.1:${options.proxyPort}` });
  const server = createServer((req, res) => {
    if (req.url?.startsWith('/demo/events')) openEvents(pages, options, req, res);
    else forward.web(req, res, {}, () => res.writeHead(502).end('the proxy is not there\n'));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (req, socket, head) => {
    const tell = (event: FrontEvent): void => sendEvent(pages.get(visitorOf(req)), event);
    passUpgrade(options, req, socket, head, tell);
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => closeFront(server, sockets) };
}

async function closeFront(server: Server, sockets: Iterable<Socket>): Promise<void> {
  server.close();
  for (const socket of sockets) socket.destroy();
  await once(server, 'close');
}

function visitorOf(req: IncomingMessage): string {
  return new URL(req.url ?? '/', 'http://front').searchParams.get('visitor') ?? '';
}

function openEvents(
  pages: Map<string, ServerResponse>,
  { idleLimit, statusPage }: FrontOptions,
  req: IncomingMessage,
  res: ServerResponse,
): void {
  const visitor = visitorOf(req);
  pages.set(visitor, res);
  res.on('close', () => {
    if (pages.get(visitor) === res) pages.delete(visitor);
  });
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  sendEvent(res, { kind: 'hello', idleLimit, statusPage });
}

function sendEvent(page: ServerResponse | undefined, event: FrontEvent): void {
  page?.write(`data: ${JSON.stringify(event)}\n\n`);
}

function passUpgrade(
  options: FrontOptions,
  req: IncomingMessage,
  client: Duplex,
  head: Buffer,
  tell: (event: FrontEvent) => void,
): void {
  const target = req.url ?? '/';
  const lane: Lane = target.startsWith(STRAIGHT) ? 'straight' : 'kept';
  const path = lane === 'straight' ? target.slice(STRAIGHT.length - 1) : target;
  const port = lane === 'straight' ? options.roomPort : options.proxyPort;
  const upstream = connect({ host: '127.0.0.1', port, allowHalfOpen: true, ...OWN_ADDRESS });
  upstream.write(requestHead(req, path));
  upstream.write(head);
  let heardAt = performance.now();
  const timer = setTimeout(() => {
    tell({ kind: 'cut', lane, silentMs: performance.now() - heardAt });
    client.end();
    upstream.end();
  }, options.idleLimit);
  const heard = (): void => {
    heardAt = performance.now();
    timer.refresh();
  };
  const sawPing = watchPings(() => tell({ kind: 'ping', lane }));
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.on('data', heard);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      clearTimeout(timer);
      to.destroy();
    });
    from.pipe(to);
  }
  upstream.on('data', sawPing);
}

/** A front on another machine has another address than its clients. Only Linux has all of 127.0.0.0/8 without being told. */
const OWN_ADDRESS = process.platform === 'linux' ? { localAddress: '127.0.0.2' } : {};

function requestHead(req: IncomingMessage, path: string): string {
  let text = `${req.method} ${path} HTTP/1.1\r\n`;
  for (let at = 0; at < req.rawHeaders.length; at += 2) text += `${req.rawHeaders[at]}: ${req.rawHeaders[at + 1]}\r\n`;
  return `${text}X-Forwarded-For: ${req.socket.remoteAddress ?? ''}\r\n\r\n`;
}

/** Looks through what a server sends, behind its 101, and reports each Ping. */
function watchPings(onPing: () => void): (chunk: Buffer) => void {
  const scanner = new FrameScanner(false, { maxPayload: Number.POSITIVE_INFINITY, extensions: true });
  let unread: Buffer = Buffer.alloc(0);
  let isOpen = false;
  return (chunk) => {
    unread = Buffer.concat([unread, chunk]);
    const end = unread.indexOf('\r\n\r\n');
    if (!isOpen && end === -1) return;
    if (!isOpen) unread = unread.subarray(end + 4);
    isOpen = true;
    let at = scanner.scan(unread, 0);
    while (scanner.stop !== Stop.exhausted) {
      if (scanner.stop === Stop.ping) onPing();
      at = scanner.scan(unread, at);
    }
    // What is cut by the end of the chunk comes again with the next one.
    unread = Buffer.from(scanner.takeHeld());
  };
}
