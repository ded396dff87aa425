import type { ConnectionState, ConnectionView } from '../core/report.ts';
import type { Connection } from './connection.ts';

/** What the status page shows of a connection, as it is now. */
export function viewOf(connection: Connection): ConnectionView {
  const { client, upstream, activeAt } = connection.tunnel;
  const { rtt, pings, pongs, settings } = client.keepalive;
  return {
    ...connection.info,
    openedAt: connection.openedAt,
    activeAt,
    state: stateOf(connection),
    rttMs: rtt < 0 ? null : rtt,
    pings,
    pongs,
    intervalMs: settings.interval,
    bytesUp: upstream.relay.bytes,
    bytesDown: client.relay.bytes,
  };
}

function stateOf({ tunnel }: Connection): ConnectionState {
  if (tunnel.facts !== null) return 'closing';
  const sides = [tunnel.client.keepalive, tunnel.upstream.keepalive];
  if (sides.some((side) => side.stallDue() < Infinity)) return 'blocked';
  return sides.some((side) => side.judgementDue() < Infinity) ? 'waiting' : 'open';
}
