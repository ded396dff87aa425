interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** What is going to happen, earliest first; what is due at the same time happens in the order in which it was planned. */
export class EventQueue {
  readonly #heap: Entry[] = [];
  #planned = 0;

  /** When the next one is due; `Infinity`: none is. */
  get next(): number {
    this.#dropCancelled();
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** How many wait. */
  get size(): number {
    return this.#heap.filter(({ cancelled }) => !cancelled).length;
  }

  /** @returns what takes it back */
  add(at: number, run: () => void): () => void {
    const entry: Entry = { at, order: this.#planned++, run, cancelled: false };
    this.#up(entry);
    return () => {
      entry.cancelled = true;
    };
  }

  /** Takes the next one out. Only when there is one. */
  take(): () => void {
    this.#dropCancelled();
    return this.#removeFirst().run;
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.cancelled === true) this.#removeFirst();
  }

  #removeFirst(): Entry {
    const first = this.#heap[0] as Entry;
    const last = this.#heap.pop() as Entry;
    if (last !== first) this.#down(last);
    return first;
  }

  #up(entry: Entry): void {
    const heap = this.#heap;
    let slot = heap.length;
    while (slot > 0) {
      const parent = heap[(slot - 1) >> 1] as Entry;
      if (isBefore(parent, entry)) break;
      heap[slot] = parent;
      slot = (slot - 1) >> 1;
    }
    heap[slot] = entry;
  }

  #down(entry: Entry): void {
    const heap = this.#heap;
    let slot = 0;
    for (;;) {
      let child = 2 * slot + 1;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as Entry)) child++;
      const earlier = heap[child];
      if (earlier === undefined || isBefore(entry, earlier)) break;
      heap[slot] = earlier;
      slot = child;
    }
    heap[slot] = entry;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
