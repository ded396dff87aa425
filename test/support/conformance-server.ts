/** Servers of the conformance suite: `ws`, doing what the path says, with a record of all that reached their sockets. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { atEnd, type Cleanup } from './cleanup.ts';
import { noise } from './conformance-case.ts';
import { Watch } from './watch.ts';

const MAX_MESSAGE = 32 * 1024 * 1024;

/** What a server saw of one connection. */
export interface ServerView {
  readonly bytes: Buffer;
  readonly end: 'fin' | 'reset' | 'none';
  /** Whose TCP end came first. */
  readonly first: 'server' | 'peer';
}

export interface ConformanceServer {
  readonly port: number;
  /** The connection whose path carried `id=` with this number, once it is over. It is forgotten then. */
  view(id: number, patience: number): Promise<ServerView>;
}

export interface ServerHabits {
  readonly compress?: boolean;
  /** Ends connections with a TCP end alone, whatever there is to say and to answer in a Close. */
  readonly endsBare?: boolean;
}

export async function startConformanceServer(cleanup: Cleanup, habits: ServerHabits): Promise<ConformanceServer> {
  const { compress = false, endsBare = false } = habits;
  const http = createServer();
  // Everything is worth compressing, so that small cases show it.
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE,
    perMessageDeflate: compress && { threshold: 0 },
  });
  const views = new Map<number, ServerView>();
  const watch = new Watch();
  http.on('upgrade', (request, socket: Duplex, head) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    record(socket as Socket, head, (view) => {
      views.set(Number(searchParams.get('id')), view);
      watch.changed();
    });
    server.handleUpgrade(request, socket, head, (webSocket) => {
      if (endsBare) endWithoutClose(webSocket, socket);
      behave(webSocket, pathname);
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  atEnd(cleanup, () => {
    for (const webSocket of server.clients) webSocket.terminate();
    http.close();
    http.closeAllConnections();
  });
  const view = async (id: number, patience: number): Promise<ServerView> => {
    const seen = await watch.until(() => views.get(id), `the server's end of connection ${id}`, patience);
    views.delete(id);
    return seen;
  };
  return { port: (http.address() as AddressInfo).port, view };
}

/** Listens beside `ws`, whose own listeners do the work. */
function record(socket: Socket, head: Buffer, done: (view: ServerView) => void): void {
  // Copies: ws unmasks in place.
  const chunks = [Buffer.from(head)];
  let end: ServerView['end'] = 'none';
  let first: ServerView['first'] = 'server';
  socket.on('data', (chunk: Buffer) => chunks.push(Buffer.from(chunk)));
  socket.on('end', () => {
    end = 'fin';
    if (!socket.writableEnded) first = 'peer';
  });
  socket.on('error', () => {
    if (end === 'none') end = 'reset';
  });
  socket.on('close', () => done({ bytes: Buffer.concat(chunks), end, first }));
}

/** `ws` itself calls `close` on errors and on a Close that comes. */
function endWithoutClose(webSocket: WebSocket, socket: Duplex): void {
  const ignore = (): undefined => undefined;
  webSocket.close = () => {
    socket.end();
    Object.assign(webSocket, { pong: ignore, send: ignore });
  };
}

function behave(webSocket: WebSocket, pathname: string): void {
  const [, behaviour = '', argument = ''] = pathname.split('/');
  const number = Number(argument);
  webSocket.on('error', () => undefined);
  webSocket.on('message', (data: Buffer, isBinary) => {
    if (behaviour === 'fragments') sendInFragments(webSocket, data, isBinary, 3);
    else if (behaviour === 'trickle') sendInFragments(webSocket, data, isBinary, 40);
    else if (behaviour === 'ping') webSocket.ping(noise(number));
    else webSocket.send(data, { binary: isBinary });
    if (behaviour === 'echo-close') closeWith(webSocket, number);
  });
  webSocket.on('pong', () => {
    if (behaviour === 'ping') webSocket.close(1000);
  });
  if (behaviour === 'close') closeWith(webSocket, number);
}

function closeWith(webSocket: WebSocket, code: number): void {
  if (code === 0) webSocket.close();
  else webSocket.close(code, `as code ${code}`);
}

function sendInFragments(webSocket: WebSocket, data: Buffer, isBinary: boolean, count: number): void {
  const size = Math.ceil(data.length / count);
  for (let n = 0; n < count; n += 1) {
    const fin = n === count - 1;
    webSocket.send(data.subarray(n * size, (n + 1) * size), { binary: isBinary, fin });
  }
}
