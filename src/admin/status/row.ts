/** A connection as viewers of the status page get it. The page's own types come from here, so nothing here may need Node. */
import type { ConnectionView } from '../../core/events.ts';
import type { PongHistory } from './history.ts';

/** Fields that never change. */
export function identityOf({ id, route, client, front, path, openedAt }: ConnectionView) {
  return { id, route, client, front, path, openedAt: Math.round(openedAt) };
}
export type Identity = Readonly<ReturnType<typeof identityOf>>;

/** Fields that may change; a viewer is told of those that did. */
export function varyingOf({ activeAt, rttMs, intervalMs, state, pings, pongs, bytesUp, bytesDown }: ConnectionView) {
  return {
    state,
    pings,
    pongs,
    bytesUp,
    bytesDown,
    activeAt: Math.round(activeAt),
    rttMs: rttMs === null ? null : Number(rttMs.toFixed(1)),
    intervalMs: intervalMs === Infinity ? null : Math.round(intervalMs),
  };
}
export type Varying = Readonly<ReturnType<typeof varyingOf>>;

/** `history` holds answered Pings: all that are remembered, or the new ones in a change. */
export type Row = Identity & Varying & { readonly history: PongHistory };
export type RowChange = Pick<Identity, 'id'> & Partial<Varying> & { readonly history?: PongHistory };
