/**
 * A room in the message shapes of Neko's legacy protocol, quiet as Neko is in legacy mode: it never sends a Ping, and a
 * client that says nothing in an empty room hears nothing. The upstream of `--demo`, and of tests.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { demoPages } from './page.ts';

export interface RoomOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly host: string;
  /** What `system/init` asks of clients, in seconds. Neko 3.1 says 10. */
  readonly heartbeatInterval?: number;
}

export interface Room {
  readonly port: number;
  /** Drops everybody and resolves once the port is free. */
  close(): Promise<void>;
}

interface Member {
  readonly id: string;
  readonly displayname: string;
  readonly socket: WebSocket;
}

interface State {
  readonly members: Map<string, Member>;
  /** Who controls the room. */
  host: Member | null;
}

interface LegacyMessage {
  readonly event: string;
  readonly [field: string]: unknown;
}

const MAX_MESSAGE = 1024 * 1024;
const MAX_NAME = 32;
/** A member who does not read is dropped when this much is waiting for it. */
const MAX_BACKLOG = 4 * 1024 * 1024;

/** Rejects with the system's error when the address cannot be listened on. */
export async function startRoom(options: RoomOptions): Promise<Room> {
  const server = createServer(serveHttp);
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_MESSAGE });
  const state: State = { members: new Map(), host: null };
  const open = new Set<Socket>();
  const heartbeatInterval = options.heartbeatInterval ?? 10;

  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('error', ignore).on('close', () => open.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    const url = parseUrl(request);
    if (url?.pathname === '/ws')
      sockets.handleUpgrade(request, socket, head, (client) => join(state, client, url, heartbeatInterval));
    else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => closeRoom(server, open) };
}

async function closeRoom(server: Server, open: Iterable<Socket>): Promise<void> {
  server.close();
  for (const socket of open) socket.destroy();
  await once(server, 'close');
}

/** For peers that broke the protocol or vanished: the socket ends by itself, and 'close' follows. */
function ignore(): void {}

const pages = demoPages();

function serveHttp(request: IncomingMessage, response: ServerResponse): void {
  const path = parseUrl(request)?.pathname;
  const page = pages.get(path ?? '');
  if (page !== undefined) response.writeHead(200, { 'Content-Type': page.contentType }).end(page.body);
  else if (path === '/health') response.writeHead(200, { 'Content-Type': 'text/plain' }).end('true');
  else response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found\n');
}

/** Null for a target that is no URL, such as `//` or `*`. */
function parseUrl(request: IncomingMessage): URL | null {
  const target = request.url ?? '/';
  return URL.canParse(target, 'http://room') ? new URL(target, 'http://room') : null;
}

function join(state: State, socket: WebSocket, url: URL, heartbeatInterval: number): void {
  const displayname = (url.searchParams.get('username') ?? '').slice(0, MAX_NAME) || 'guest';
  const member: Member = { id: `${displayname}-${randomBytes(3).toString('hex')}`, displayname, socket };
  socket.on('error', ignore);
  // With `binaryType` left at 'nodebuffer', every message is one Buffer.
  socket.on('message', (data) => handleMessage(state, member, data as Buffer));
  socket.on('close', () => leave(state, member));

  broadcast(state, { event: 'member/connected', ...describe(member) });
  state.members.set(member.id, member);
  send(member, { event: 'member/list', members: [...state.members.values()].map(describe) });
  send(member, { event: 'screen/resolution', width: 1280, height: 720, rate: 30 });
  send(member, {
    event: 'system/init',
    locks: {},
    implicit_hosting: false,
    file_transfer: false,
    heartbeat_interval: heartbeatInterval,
  });
  if (state.host) send(member, { event: 'control/locked', id: state.host.id });
}

function leave(state: State, member: Member): void {
  state.members.delete(member.id);
  if (state.host === member) {
    state.host = null;
    broadcast(state, { event: 'control/release', id: member.id });
  }
  broadcast(state, { event: 'member/disconnected', id: member.id });
}

function handleMessage(state: State, member: Member, data: Buffer): void {
  const message = parseMessage(data);
  if (message === null) return;
  switch (message.event) {
    case 'chat/message':
      if (typeof message['content'] === 'string' && message['content'] !== '')
        broadcast(state, { event: 'chat/message', id: member.id, content: message['content'] });
      return;
    case 'chat/emote':
      if (typeof message['emote'] === 'string')
        broadcast(state, { event: 'chat/emote', id: member.id, emote: message['emote'] });
      return;
    case 'control/request':
      requestControl(state, member);
      return;
    case 'control/release':
      if (state.host !== member) return;
      state.host = null;
      broadcast(state, { event: 'control/release', id: member.id });
      return;
    default:
    // `client/heartbeat` is not answered, and what a room does not know it ignores.
  }
}

function requestControl(state: State, member: Member): void {
  if (state.host === null) {
    state.host = member;
    broadcast(state, { event: 'control/locked', id: member.id });
  } else if (state.host !== member) {
    send(member, { event: 'control/request', id: state.host.id });
    send(state.host, { event: 'control/requesting', id: member.id });
  }
}

function parseMessage(data: Buffer): LegacyMessage | null {
  try {
    const value: unknown = JSON.parse(data.toString());
    return typeof value === 'object' && value !== null && 'event' in value && typeof value.event === 'string'
      ? (value as LegacyMessage)
      : null;
  } catch {
    return null;
  }
}

function describe(member: Member): { id: string; displayname: string; admin: boolean; muted: boolean } {
  return { id: member.id, displayname: member.displayname, admin: false, muted: false };
}

/** Neko ends every JSON message with a newline. */
function send(member: Member, message: LegacyMessage): void {
  if (member.socket.bufferedAmount > MAX_BACKLOG) member.socket.terminate();
  else member.socket.send(`${JSON.stringify(message)}\n`);
}

function broadcast(state: State, message: LegacyMessage): void {
  for (const member of state.members.values()) send(member, message);
}
