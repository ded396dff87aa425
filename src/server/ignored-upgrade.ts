/**
 * An `Upgrade` that is not for WebSocket is an offer which a server may ignore (RFC 9110 7.8): Java's HTTP client offers `h2c` on
 * ordinary requests. Node has no way to say no once something listens for 'upgrade', so the request is written again
 * without the offer and read by the server from the start.
 */
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { headerPairs } from '../http/headers.ts';

/**
 * Serves a request from the server's 'upgrade' event as plain HTTP; body, pipelined requests and keep-alive follow as usual.
 * Answers to earlier requests must be out (see request-gate.ts), and listeners that the caller put on the socket gone: the same
 * socket comes back with its next request.
 *
 * `server` emits 'connection' again for the same socket, so listeners for that event must bear seeing a socket twice.
 *
 * @throws Error when the server may drop headers: a dropped Content-Length would turn a body into requests.
 */
export function serveAsPlainHttp(server: Server, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  if (server.maxHeadersCount !== 0)
    throw new Error('server.maxHeadersCount must be 0: the whole head is written again');
  if (socket.destroyed) return;
  // The end of an earlier response has started the clock for an idle connection.
  if (socket instanceof Socket) socket.setTimeout(server.timeout);
  socket.unshift(Buffer.concat([plainHead(req), head]));
  server.emit('connection', socket);
}

/** The request's head without `Upgrade`. Parsed names and values hold no CR or LF, so they can be written as they are. */
function plainHead(req: IncomingMessage): Buffer {
  let head = `${req.method} ${req.url} HTTP/${req.httpVersion}\r\n`;
  for (const [name, value] of headerPairs(req.rawHeaders)) {
    const lower = name.toLowerCase();
    if (lower !== 'upgrade') head += `${name}: ${lower === 'connection' ? withoutUpgrade(value) : value}\r\n`;
  }
  return Buffer.from(`${head}\r\n`, 'latin1');
}

/** Other options stay: `close` and `keep-alive` mean something still, and the fields that are named must not travel on. */
function withoutUpgrade(value: string): string {
  const options = value.split(',').map((option) => option.trim());
  return options.filter((option) => option.toLowerCase() !== 'upgrade').join(', ');
}
