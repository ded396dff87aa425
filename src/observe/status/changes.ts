/**
 * What viewers of the status page are told: everything once, then what has changed. All viewers hear the same changes,
 * so there is one memory of what was told last, however many of them there are.
 */
import type { Ledger, PongHistory } from './ledger.ts';
import { routeStatus, type StatusOptions } from './report.ts';
import type { ConnectionView } from '../../core/report.ts';

/** Fields of a row that never change. */
interface Identity {
  readonly id: string;
  readonly route: string;
  readonly client: string;
  readonly front: string;
  readonly path: string;
  readonly openedAt: number;
}

const VARYING = ['state', 'activeAt', 'rttMs', 'intervalMs', 'pings', 'pongs', 'bytesUp', 'bytesDown'] as const;
type Varying = { readonly [Key in (typeof VARYING)[number]]: string | number | null };

/** A row as viewers know it. `history` holds answered Pings: all that are remembered, or the new ones in a change. */
type Row = Identity & Varying & { readonly history: PongHistory };
type RowChange = Pick<Identity, 'id'> & Partial<Varying> & { readonly history?: PongHistory };

interface Known {
  readonly identity: Identity;
  varying: Varying;
  /** How many answered Pings it has had. */
  pongs: number;
}

export interface ChangesOptions extends StatusOptions {
  readonly now: () => number;
  readonly wallClock: () => number;
}

export class Changes {
  readonly #options: ChangesOptions;
  readonly #known = new Map<string, Known>();
  #routes = '';
  #seq = 0;

  constructor(options: ChangesOptions) {
    this.#options = options;
    this.next();
  }

  /** What a viewer needs to know to understand the changes after the newest one. */
  snapshot(): object {
    const { version, startedAt, ledger } = this.#options;
    const rows = [...this.#known.values()].map(({ identity, varying }): Row => {
      return { ...identity, ...varying, history: ledger.pongsOf(identity.id).last };
    });
    const ends = ledger.endsSince(0).filter(({ seq }) => seq <= this.#seq);
    return { type: 'snapshot', ...this.#times(), version, startedAt, ...this.#overview(), rows, ends };
  }

  /** What has changed since the last call. */
  next(): object {
    const { source, ledger } = this.#options;
    const opened: Row[] = [];
    const changed: RowChange[] = [];
    const seen = new Set<string>();
    for (const view of source.connections()) {
      seen.add(view.id);
      const known = this.#known.get(view.id);
      if (known === undefined) opened.push(this.#learn(view));
      else this.#compare(known, view, changed);
    }
    const closed = [...this.#known.keys()].filter((id) => !seen.has(id));
    for (const id of closed) this.#known.delete(id);
    const ends = ledger.endsSince(this.#seq);
    this.#seq = ledger.seq;
    const lists = Object.entries({ opened, changed, closed, ends }).filter(([, list]) => list.length > 0);
    return { type: 'changes', ...this.#times(), ...this.#newOverview(), ...Object.fromEntries(lists) };
  }

  #times(): { now: number; wall: number } {
    return { now: Math.round(this.#options.now()), wall: Math.round(this.#options.wallClock()) };
  }

  #overview(): { routes: object; lessons: object; draining: boolean } {
    const { source } = this.#options;
    const lessons = source.lessons().map(({ route, front, cutAfterMs, intervalMs }) => {
      return { route, front, cutAfterMs: Math.round(cutAfterMs), intervalMs: Math.round(intervalMs) };
    });
    return { routes: routeStatus(this.#options), lessons, draining: source.isDraining() };
  }

  #newOverview(): object {
    const overview = this.#overview();
    const text = JSON.stringify(overview);
    if (text === this.#routes) return {};
    this.#routes = text;
    return overview;
  }

  #learn(view: ConnectionView): Row {
    const { id, route, client, front, path } = view;
    const identity = { id, route, client, front, path, openedAt: Math.round(view.openedAt) };
    const varying = varyingOf(view);
    const { count, last } = this.#options.ledger.pongsOf(id);
    this.#known.set(id, { identity, varying, pongs: count });
    return { ...identity, ...varying, history: last };
  }

  #compare(known: Known, view: ConnectionView, changed: RowChange[]): void {
    const now = varyingOf(view);
    const fields = VARYING.filter((key) => now[key] !== known.varying[key]);
    const history = newPongs(this.#options.ledger, view.id, known.pongs);
    if (fields.length === 0 && history.length === 0) return;
    known.varying = now;
    known.pongs = this.#options.ledger.pongsOf(view.id).count;
    changed.push({
      id: view.id,
      ...Object.fromEntries(fields.map((key) => [key, now[key]])),
      ...(history.length > 0 && { history }),
    });
  }
}

function newPongs(ledger: Ledger, id: string, told: number): PongHistory {
  const { count, last } = ledger.pongsOf(id);
  return count === told ? [] : last.slice(-(count - told));
}

function varyingOf(view: ConnectionView): Varying {
  const { state, pings, pongs, bytesUp, bytesDown, intervalMs, rttMs } = view;
  return {
    state,
    pings,
    pongs,
    bytesUp,
    bytesDown,
    activeAt: Math.round(view.activeAt),
    rttMs: rttMs === null ? null : Number(rttMs.toFixed(1)),
    intervalMs: intervalMs === Infinity ? null : Math.round(intervalMs),
  };
}
