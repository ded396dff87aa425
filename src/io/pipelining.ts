/**
 * Requests may be pipelined, but an `upgrade` event comes at once, while earlier ones still wait for their answers. Those would be
 * written into the tunnel, so the upgrade waits for them (RFC 9112 section 9.3.2: answers come in the order of the requests).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** The newest answer on its way on a socket. It hangs on the socket: a WeakMap costs the collector more. */
const kPending = Symbol('pending');

type Asked = Duplex & { [kPending]?: ServerResponse | undefined };

/** To be called with every request. */
export function noteRequest(req: IncomingMessage, res: ServerResponse): void {
  const socket: Asked = req.socket;
  socket[kPending] = res;
  res.on('close', () => {
    if (socket[kPending] === res) socket[kPending] = undefined;
  });
}

/** Calls `go` once the socket has brought all earlier answers: at once, when there are none. Not at all, if it is lost before. */
export function whenAnswered(socket: Duplex, go: () => void): void {
  const last = (socket as Asked)[kPending];
  if (last === undefined) {
    go();
    return;
  }
  socket.on('error', socketOnError);
  last.once('close', () => {
    socket.off('error', socketOnError);
    if (!socket.destroyed) go();
  });
}

/** `close` follows, and ends the answer. */
function socketOnError(): void {}
