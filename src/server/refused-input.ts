/** Reports what Node's parser refuses before any handler sees it: counted, and logged at a limited rate. */
import type { Socket } from 'node:net';
import type { Log, Observer, RequestRefusal } from '../core/events.ts';
import { peerAddress } from '../http/client-address.ts';
import type { Clock } from '../runtime/clock.ts';
import { rateLimited } from '../runtime/rate-limited.ts';
import type { RefusedInput } from './server.ts';

/** With no byte received it is a health check, or a browser that connected in advance: not worth a warning. */
const TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT';

const REASONS: Readonly<Record<string, RequestRefusal>> = {
  CONNECT: 'method',
  HPE_HEADER_OVERFLOW: 'header_limit',
  [TIMEOUT]: 'timeout',
};

export function reportRefusedInput(
  observer: Pick<Observer, 'httpRequest' | 'upgradeFailed'>,
  log: Log,
  clock: Clock,
): (refused: RefusedInput) => void {
  let newest: object = {};
  const warn = rateLimited(clock, (times) => log.warn({ ...newest, times }, 'request refused'));
  return ({ status, code, reason, socket, isHandshake }) => {
    // The http server's sockets are of node:net.
    const client = peerAddress(socket as Socket);
    if (isHandshake) {
      observer.upgradeFailed({ reason: 'bad_request', route: 'none', client, path: '', status, detail: reason });
      return;
    }
    newest = { client, status, code, reason };
    if (code === TIMEOUT && (socket as Socket).bytesRead === 0) {
      observer.httpRequest('none', status);
      log.debug(newest, 'request refused');
    } else {
      observer.httpRequest('none', status, REASONS[code] ?? 'bad_request');
      warn();
    }
  };
}
