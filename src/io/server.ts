import { chmodSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Address } from '../core/settings.ts';
import { renderRawResponse } from './error-page.ts';
import { offersWebSocket } from './handshake.ts';
import { serveAsPlainHttp } from './ignored-upgrade.ts';
import { noteRequest, whenAnswered } from './pipelining.ts';

/** Idle keep-alive connections stay longer than those of nginx (60 s), so that a request never meets a socket that is closing. */
const KEEP_ALIVE_MS = 75_000;

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
  /** What came was no request, and was answered with this status. @param code Node's name for what was wrong */
  readonly onRefused: (status: number, code: string) => void;
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
  server.on('request', noteRequest);
  server.on('request', options.onRequest);
  server.on('checkContinue', noteRequest);
  server.on('checkContinue', options.onRequest);
  server.on('upgrade', function serverOnUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer) {
    whenAnswered(socket, () => {
      if (offersWebSocket(req.rawHeaders)) options.onUpgrade(req, socket, head);
      else serveAsPlainHttp(server, req, socket, head);
    });
  });
  server.on('clientError', function serverOnClientError(error: NodeJS.ErrnoException, socket: Duplex) {
    refuseInput(error, socket as ServerSocket, options.onRefused);
  });
  return server;
}

/** Starts to listen. @returns the address in use, with the port that the system chose for port 0 */
export async function listen(server: Server, address: Address): Promise<Address> {
  if (address.kind === 'unix') await removeStaleSocket(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  if (address.kind === 'unix') {
    // The proxy in front runs as another user; who may come near the socket is a matter of its folder.
    chmodSync(address.path, 0o666);
    return address;
  }
  const bound = server.address();
  return bound !== null && typeof bound === 'object' ? { ...address, port: bound.port } : address;
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

const CLIENT_ERRORS: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** Node keeps the response whose turn it is here. */
type ServerSocket = Socket & { _httpMessage?: ServerResponse | null };

/** What Node's parser refuses, it leaves to us to answer and to close. */
function refuseInput(error: NodeJS.ErrnoException, socket: ServerSocket, onRefused: ServerOptions['onRefused']): void {
  const isAnswered = socket._httpMessage?.headersSent === true;
  if (isAnswered || error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error);
    return;
  }
  const status = CLIENT_ERRORS[error.code ?? ''] ?? 400;
  onRefused(status, error.code ?? 'unknown');
  socket.end(renderRawResponse(status, undefined), () => socket.destroy());
}
