import { chmodSync, fstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type ListenOptions, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Address, ListenAddress } from '../core/settings.ts';
import { renderRawResponse } from '../http/error-page.ts';
import { offersWebSocket } from '../http/headers.ts';
import { ListenError } from './listen-error.ts';
import { serveAsPlainHttp } from './ignored-upgrade.ts';
import { guard, isBeingAnswered, isInRequest, noteRequest, unguard } from './request-gate.ts';

/** Idle keep-alive connections stay longer than those of nginx (60 s), so that a request never meets a socket that is closing. */
const KEEP_ALIVE_MS = 75_000;

/**
 * Connections that wait to be accepted; the kernel caps it at net.core.somaxconn. Beyond Node's 511 the kernel drops a
 * storm's first packets, and each client tries again after one second, three and seven.
 */
const BACKLOG = 4096;

export interface HeadLimits {
  /** Longest request head, in bytes. */
  readonly headerBytes: number;
  /** How long a head may take, in ms. Bodies may take as long as they like. */
  readonly headTimeoutMs: number;
}

export interface ServerOptions extends HeadLimits {
  readonly onRequest: (req: IncomingMessage, res: ServerResponse) => void;
  /** Gets what offers `websocket`; other offers are served as plain HTTP. */
  readonly onUpgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** What came was no request, and was answered. */
  readonly onRefused: (refused: RefusedInput) => void;
}

export interface RefusedInput {
  readonly status: number;
  /** Node's name for what was wrong. */
  readonly code: string;
  /** For the operator; quotes nothing. */
  readonly reason: string;
  readonly socket: Duplex;
  /** Did it offer `websocket`? */
  readonly isHandshake: boolean;
}

/** An http server of which no timer touches a socket once it is a tunnel's. */
export function createFrontServer(options: ServerOptions): Server {
  const server = createServer({
    maxHeaderSize: options.headerBytes,
    // Uploads may last; setting this to 0 sets headersTimeout to 0 as well, unless that is given.
    requestTimeout: 0,
    headersTimeout: options.headTimeoutMs,
    connectionsCheckingInterval: Math.min(1000, options.headTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
    // A TCP peer that vanished between two requests is noticed by the kernel.
    keepAlive: true,
  });
  // Node drops headers beyond its own count silently; they are counted on rawHeaders instead.
  server.maxHeadersCount = 0;
  server.timeout = 0;
  server.on('connection', function serverOnConnection(socket: Socket) {
    guard(socket, (error) => server.emit('clientError', error, socket));
  });
  // An Expect that is not 100-continue is for the upstream to judge.
  for (const event of ['request', 'checkContinue', 'checkExpectation']) {
    server.on(event, noteRequest);
    server.on(event, options.onRequest);
  }
  server.on('upgrade', function serverOnUpgrade(req: IncomingMessage, socket: Duplex, bytes: Buffer) {
    const head = unguard(socket, bytes);
    if (offersWebSocket(req.rawHeaders)) options.onUpgrade(req, socket, head);
    else serveAsPlainHttp(server, req, socket, head);
  });
  // Node would end the connection without a word.
  server.on('connect', function serverOnConnect(_req: IncomingMessage, socket: Duplex) {
    unguard(socket, Buffer.alloc(0));
    options.onRefused({
      status: 405,
      code: 'CONNECT',
      reason: 'CONNECT is for forward proxies',
      socket,
      isHandshake: false,
    });
    socket.on('error', () => socket.destroy());
    socket.end(renderRawResponse(405), () => socket.destroy());
  });
  server.on('clientError', function serverOnClientError(error: ParserError, socket: Duplex) {
    refuseInput(error, socket, options.onRefused);
  });
  return server;
}

/**
 * Starts to listen.
 *
 * @param key of the configuration that gave the address
 * @returns the address in use, with the port that the system chose for port 0
 * @throws ListenError
 */
export async function listen(server: Server, address: ListenAddress, key: string): Promise<Address> {
  try {
    return await bind(server, address);
  } catch (error) {
    throw new ListenError(key, address, error as NodeJS.ErrnoException);
  }
}

async function bind(server: Server, address: ListenAddress): Promise<Address> {
  if (address.kind === 'fd') return await adopt(server, address.fd);
  if (address.kind === 'unix') await removeStaleSocket(address.path);
  await listening(
    server,
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
  );
  if (address.kind === 'unix') {
    // The proxy in front runs as another user; who may come near the socket is a matter of its folder.
    chmodSync(address.path, 0o666);
    return address;
  }
  const bound = server.address();
  return bound !== null && typeof bound === 'object' ? { ...address, port: bound.port } : address;
}

function listening(server: Server, place: ListenOptions & { readonly fd?: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...place, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Listens on a socket that the parent holds: closing it here leaves it open there, with the connections that wait in it. */
async function adopt(server: Server, fd: number): Promise<Address> {
  // Node has descriptors of its own from 3 on, and would close them when it cannot listen on them.
  if (!isSocket(fd)) throw new Error('it is no socket');
  await listening(server, { fd });
  const bound = server.address();
  if (bound === null) throw new Error('it has no address');
  return typeof bound === 'string'
    ? { kind: 'unix', path: bound }
    : { kind: 'tcp', host: bound.address, port: bound.port };
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

/** A socket file that nobody answers on was left behind by a process that is gone. */
async function removeStaleSocket(path: string): Promise<void> {
  const answer = await new Promise<string>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve('answered');
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
  if (answer === 'ECONNREFUSED') unlinkSync(path);
}

const CLIENT_ERRORS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Where a key decides, in words of the operator. */
const REASONS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: 'its head is longer than limits.header_bytes',
  HPE_PAUSED_H2_UPGRADE: 'this is HTTP/2, and this listener speaks HTTP/1.1; have the front use that',
  HPE_INVALID_EOF_STATE: 'it ended in the middle of its head',
  ERR_HTTP_REQUEST_TIMEOUT: 'its head did not come within timeouts.handshake',
};
const UNENCODED =
  'The request target has bytes that are not ASCII: write it as UTF-8 and each of these bytes as % and two hexadecimal digits.';

const PROXY_HEAD = 'it begins with a PROXY head; set proxy_protocol to on';
/** What is no HTTP/1.1 at all, by its first bytes, and what to do about it. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ['\x16\x03', 'these are bytes of TLS, and this listener speaks plain HTTP; use http:// towards it'],
  ['PROXY ', PROXY_HEAD],
  ['\r\n\r\n\0\r\nQUIT\n', PROXY_HEAD],
];

/** With what it stopped at. */
type ParserError = NodeJS.ErrnoException & { readonly rawPacket?: Buffer; readonly reason?: string };

/** What Node's parser refuses, it leaves to us to answer and to close. */
function refuseInput(error: ParserError, socket: Duplex, onRefused: ServerOptions['onRefused']): void {
  // A client that leaves in the middle of a body has sent nothing that could be refused.
  const hasLeft = error.code === 'ECONNRESET' || (error.code === 'HPE_INVALID_EOF_STATE' && isInRequest(socket));
  if (hasLeft || isBeingAnswered(socket) || !socket.writable) {
    socket.destroy(error);
    return;
  }
  const { code = 'unknown', rawPacket } = error;
  const text = rawPacket?.toString('latin1') ?? '';
  const status = CLIENT_ERRORS[code] ?? 400;
  const line = text.slice(0, Math.max(0, text.indexOf('\r')));
  // RFC 9112 3.2: a target is ASCII. nginx passes more; Node's parser cannot be told to.
  const detail = /^[A-Z]+ .*[^\0-\x7f]/.test(line) ? UNENCODED : undefined;
  onRefused({
    status,
    code,
    reason:
      FOREIGN.find(([start]) => text.startsWith(start))?.[1] ??
      detail ??
      REASONS[code] ??
      error.reason ??
      error.message,
    socket,
    isHandshake: /^upgrade:[ \t]*websocket/im.test(text),
  });
  socket.end(renderRawResponse(status, undefined, detail), () => socket.destroy());
}
