/**
 * What viewers of the status page are told: everything once, then what has changed. All viewers hear the same changes,
 * so there is one memory of what was told last, however many of them there are.
 */
import type { History, PongHistory } from './history.ts';
import { type Identity, identityOf, type Row, type RowChange, type Varying, varyingOf } from './row.ts';
import { routeStatus, type StatusOptions } from './report.ts';
import type { ConnectionView } from '../../core/events.ts';

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
  #overviewTold = '';
  #endsTold = 0;
  #marksTold = 0;
  /** The last minutes as they were told, by their beginning. */
  #minutesTold = new Map<number, string>();

  constructor(options: ChangesOptions) {
    this.#options = options;
    this.next();
  }

  /** What a viewer needs to know to understand the changes after the newest one. */
  snapshot(): object {
    const { version, startedAt, events } = this.#options;
    const rows = [...this.#known.values()].map(({ identity, varying }): Row => {
      return { ...identity, ...varying, history: events.pongsOf(identity.id).last };
    });
    const [ends, minutes, marks] = [events.ends.since(0), events.minutes.since(), events.minutes.marksSince(0)];
    return { type: 'snapshot', ...this.#times(), version, startedAt, ...this.#overview(), rows, ends, minutes, marks };
  }

  /** What has changed since the last call. */
  next(): object {
    const { source } = this.#options;
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
    const lists = Object.entries({ opened, changed, closed, ...this.#newEvents() }).filter(
      ([, list]) => list.length > 0,
    );
    return { type: 'changes', ...this.#times(), ...this.#newOverview(), ...Object.fromEntries(lists) };
  }

  #newEvents() {
    const { ends, minutes } = this.#options.events;
    const [newEnds, marks] = [ends.since(this.#endsTold), minutes.marksSince(this.#marksTold)];
    this.#endsTold = ends.changes;
    this.#marksTold = marks.at(-1)?.seq ?? this.#marksTold;
    // Ends may be a second late, so that the minute before this one may still change.
    const told = this.#minutesTold;
    const last = minutes.since().slice(-2);
    this.#minutesTold = new Map(last.map((minute) => [minute.at, JSON.stringify(minute)]));
    const changed = last.filter(({ at }) => told.get(at) !== this.#minutesTold.get(at));
    return { ends: newEnds, marks, minutes: changed };
  }

  #times(): { now: number; wall: number } {
    return { now: Math.round(this.#options.now()), wall: Math.round(this.#options.wallClock()) };
  }

  #overview(): object {
    const { source } = this.#options;
    const lessons = source.lessons().map(({ route, front, cutAfterMs, intervalMs }) => {
      return { route, front, cutAfterMs: Math.round(cutAfterMs), intervalMs: Math.round(intervalMs) };
    });
    const limit = source.connectionsLimit();
    return {
      routes: routeStatus(this.#options),
      lessons,
      upstreams: source.upstreams(),
      limit: limit === Infinity ? null : limit,
      draining: source.isDraining(),
    };
  }

  #newOverview(): object {
    const overview = this.#overview();
    const text = JSON.stringify(overview);
    if (text === this.#overviewTold) return {};
    this.#overviewTold = text;
    return overview;
  }

  #learn(view: ConnectionView): Row {
    const identity = identityOf(view);
    const varying = varyingOf(view);
    const { count, last } = this.#options.events.pongsOf(view.id);
    this.#known.set(view.id, { identity, varying, pongs: count });
    return { ...identity, ...varying, history: last };
  }

  #compare(known: Known, view: ConnectionView, changed: RowChange[]): void {
    const now = varyingOf(view);
    const keys = Object.keys(now) as (keyof Varying)[];
    const fields = keys.filter((key) => now[key] !== known.varying[key]);
    const history = newPongs(this.#options.events, view.id, known.pongs);
    if (fields.length === 0 && history.length === 0) return;
    known.varying = now;
    known.pongs = this.#options.events.pongsOf(view.id).count;
    changed.push({
      id: view.id,
      ...Object.fromEntries(fields.map((key) => [key, now[key]])),
      ...(history.length > 0 && { history }),
    });
  }
}

function newPongs(events: History, id: string, told: number): PongHistory {
  const { count, last } = events.pongsOf(id);
  return count === told ? [] : last.slice(-(count - told));
}
