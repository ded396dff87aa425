/** The access log: one line for each plain request, once its answer is over. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log, RequestIdentity } from '../core/events.ts';
import type { Clock } from '../runtime/clock.ts';

/** Of a request, fit to be shown. */
export interface LoggedRequest extends RequestIdentity {
  readonly route: string;
  /** Address of the client, resolved through the trusted proxies. */
  readonly client: string;
  /** Secrets are already replaced. */
  readonly path: string;
}

/** Bytes are those of the connection while the request lasted: up behind its head, down with the head of the answer. */
export function logWhenOver(
  req: IncomingMessage,
  res: ServerResponse,
  about: LoggedRequest,
  clock: Clock,
  log: Log,
): void {
  const { socket } = req;
  const startedAt = clock.now();
  const [readBefore, writtenBefore] = [socket.bytesRead, socket.bytesWritten];
  res.once('close', () => {
    log.info(
      {
        route: about.route,
        client: about.client,
        method: req.method,
        path: about.path,
        status: res.headersSent ? res.statusCode : 499,
        duration_ms: Math.round(clock.now() - startedAt),
        bytes_up: socket.bytesRead - readBefore,
        bytes_down: socket.bytesWritten - writtenBefore,
        host: about.host,
        user_agent: about.userAgent,
        request_id: about.requestId,
      },
      'request',
    );
  });
}
