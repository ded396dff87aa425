/**
 * The last ends, those that are alike as one with a number: what a reload of a front ends by the thousand takes one place
 * and pushes nothing else out.
 */

/** For so long after the last end of a group another one that is alike joins it, in ms. */
const TOGETHER_MS = 3_600_000;
/** Groups remembered. */
const MAX_GROUPS = 200;
/** Addresses named of each group. */
const MAX_CLIENTS = 20;

interface Alike {
  /** ms since 1970. */
  readonly at: number;
  readonly client: string;
}

export interface EndGroup<T extends Alike> {
  /** Rises by one from group to group. */
  readonly id: number;
  readonly count: number;
  /** When the first of them ended, in ms since 1970; the newest one has its own time. */
  readonly since: number;
  /** Of the newest ones, each once. */
  readonly clients: readonly string[];
  readonly newest: T;
}

interface Group<T extends Alike> extends EndGroup<T> {
  count: number;
  clients: string[];
  newest: T;
  /** When it last changed, in numbers that rise. */
  changed: number;
}

export class EndGroups<T extends Alike> {
  readonly #keyOf: (end: T) => string;
  readonly #groups = new Map<string, Group<T>>();
  #ids = 0;
  #changes = 0;

  /** @param keyOf ends with the same key are alike */
  constructor(keyOf: (end: T) => string) {
    this.#keyOf = keyOf;
  }

  /** The number of the newest change. */
  get changes(): number {
    return this.#changes;
  }

  add(end: T): void {
    const key = this.#keyOf(end);
    const known = this.#groups.get(key);
    this.#changes += 1;
    if (known !== undefined && end.at - known.newest.at < TOGETHER_MS) {
      known.count += 1;
      known.newest = end;
      known.clients = [end.client, ...known.clients.filter((client) => client !== end.client)].slice(0, MAX_CLIENTS);
      known.changed = this.#changes;
      return;
    }
    // The older group keeps its row under a key that nothing else has.
    if (known !== undefined) this.#groups.set(`${known.id}`, known);
    this.#ids += 1;
    this.#groups.set(key, {
      id: this.#ids,
      count: 1,
      since: end.at,
      clients: [end.client],
      newest: end,
      changed: this.#changes,
    });
    if (this.#groups.size > MAX_GROUPS) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = [...this.#groups].reduce((a, b) => (a[1].changed <= b[1].changed ? a : b));
    this.#groups.delete(oldest[0]);
  }

  /** Those that changed after the change with this number, the one that grew last at the end. */
  since(change: number): EndGroup<T>[] {
    const changed = [...this.#groups.values()].filter((group) => group.changed > change);
    return changed
      .toSorted((a, b) => a.changed - b.changed)
      .map(({ id, count, since, clients, newest }) => ({ id, count, since, clients, newest }));
  }
}
