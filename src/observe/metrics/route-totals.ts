/** What the connections of each route have moved: sums over those that have ended, and over the open ones on demand. */
import type { ConnectionTotals } from '../../core/events.ts';

const COUNTED = [
  'bytesUp',
  'bytesDown',
  'framesUp',
  'framesDown',
  'pingsClient',
  'pingsUpstream',
  'pongsClient',
  'pongsUpstream',
  'unsolicitedPongs',
  'violationsUp',
  'violationsDown',
] as const;
export type Counted = (typeof COUNTED)[number];

/** What one connection of a route has moved so far. A close report is one too, the last of its connection. */
export type RouteShare = ConnectionTotals & { readonly route: string };

export class RouteTotals {
  readonly #routes: Map<string, Record<Counted, number>>;

  constructor(totals?: RouteTotals) {
    this.#routes = new Map([...(totals ?? [])].map(([route, counts]) => [route, { ...counts }]));
  }

  /** Makes the route known, with nothing moved yet. @returns its counts */
  begin(route: string): Record<Counted, number> {
    const counts = this.#routes.get(route) ?? zero();
    this.#routes.set(route, counts);
    return counts;
  }

  add(more: RouteShare): void {
    const counts = this.begin(more.route);
    for (const key of COUNTED) counts[key] += more[key];
  }

  /** These totals and those of some connections more, as a copy. */
  with(connections: Iterable<RouteShare>): RouteTotals {
    const totals = new RouteTotals(this);
    for (const connection of connections) totals.add(connection);
    return totals;
  }

  [Symbol.iterator](): Iterator<[route: string, counts: Readonly<Record<Counted, number>>]> {
    return this.#routes.entries();
  }
}

function zero(): Record<Counted, number> {
  return Object.fromEntries(COUNTED.map((key) => [key, 0])) as Record<Counted, number>;
}
