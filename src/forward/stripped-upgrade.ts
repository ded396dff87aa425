/**
 * A plain GET with `Sec-WebSocket-Key` is a WebSocket handshake from which the proxy in front has taken `Upgrade` or
 * `Connection: upgrade`: the most common mistake in front of a WebSocket server. Answered so that both sides learn what to change.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { UpgradeFailure } from '../core/events.ts';
import { errorResponse } from '../http/error-page.ts';

const NGINX_LINES =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

/** What it is as an upgrade that failed. */
export const STRIPPED: Pick<UpgradeFailure, 'reason' | 'status' | 'detail'> = {
  reason: 'bad_request',
  status: 426,
  detail: `the handshake arrived without Upgrade: the proxy in front strips it; for nginx add: ${NGINX_LINES}`,
};

/** True for what a server emits as 'request' (one header was missing for 'upgrade') although the browser asked for a WebSocket. */
export function isStrippedUpgrade(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers['sec-websocket-key'] !== undefined;
}

/** Answers 426. */
export function refuseStrippedUpgrade(req: IncomingMessage, res: ServerResponse): void {
  const { status, headers, body } = errorResponse(
    426,
    req.headers.accept,
    'The Upgrade header of this WebSocket request was lost on the way. The log of the proxy says what to change.',
    // Node leaves a Connection of ours alone: without `close` a client that asked for the end would wait for it.
    { Upgrade: 'websocket', Connection: 'Upgrade, close' },
  );
  res.writeHead(status, headers).end(body);
}
