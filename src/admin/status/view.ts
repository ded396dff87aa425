import type { Lesson } from '../../core/adaptive.ts';
import type { ConnectionState, ConnectionView } from '../../core/events.ts';
import type { Connection } from '../../tunnel/connection.ts';
import type { UpstreamStatus } from '../upstreams.ts';

/** A configured route. */
export interface RouteView {
  readonly name: string;
  /** The configured interval towards clients, in ms; `Infinity`: off. */
  readonly intervalMs: number;
  readonly adaptive: boolean;
}

/** Where the status page and `/status` get what is true now. Asked whenever somebody looks. */
export interface StatusSource {
  connections(): Iterable<ConnectionView>;
  /** In the order of the configuration. */
  routes(): readonly RouteView[];
  /** What was learned about fronts, on routes that follow it. */
  lessons(): readonly Lesson[];
  isDraining(): boolean;
  upstreams(): readonly UpstreamStatus[];
  /** WebSockets that are let in at once; `Infinity`: no limit. */
  connectionsLimit(): number;
}

/** What the status page shows of a connection, as it is now. */
export function connectionView(connection: Connection): ConnectionView {
  const { client, upstream, activeAt } = connection.tunnel;
  const { rtt, answersPings, pings, pongs, settings } = client.keepalive;
  return {
    ...connection.info,
    openedAt: connection.openedAt,
    activeAt,
    state: stateOf(connection),
    rttMs: rtt < 0 ? null : rtt,
    answersPings,
    pings,
    pongs,
    intervalMs: settings.interval,
    bytesUp: upstream.outgoing.bytes,
    bytesDown: client.outgoing.bytes,
  };
}

function stateOf({ tunnel }: Connection): ConnectionState {
  if (tunnel.facts !== null) return 'closing';
  const sides = [tunnel.client, tunnel.upstream];
  if (sides.some(({ keepalive }) => keepalive.stallDue() < Infinity)) return 'blocked';
  return sides.some((side) => side.awaitsPong || side.keepalive.judgementDue() < Infinity) ? 'waiting' : 'open';
}
