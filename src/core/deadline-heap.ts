/** An item with a deadline. Both fields are written by the heap alone. */
export interface Deadlined {
  /** In ms; `Infinity`: not for now. */
  deadline: number;
  /** Place in the heap; -1: not in it. */
  slot: number;
}

/** A binary heap, earliest deadline first. Adding, moving and removing take O(log n), and no allocation per change. */
export class DeadlineHeap<T extends Deadlined> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item with the earliest deadline. */
  get first(): T | undefined {
    return this.#items[0];
  }

  /** Adds the item or moves it. `Infinity` takes it out. */
  set(item: T, deadline: number): void {
    if (deadline === Number.POSITIVE_INFINITY) {
      this.delete(item);
      return;
    }
    item.deadline = deadline;
    if (item.slot === -1) {
      item.slot = this.#items.length;
      this.#items.push(item);
    }
    this.#settle(item);
  }

  delete(item: T): void {
    const { slot } = item;
    item.deadline = Number.POSITIVE_INFINITY;
    if (slot === -1) return;
    item.slot = -1;
    const last = this.#items.pop() as T;
    if (last === item) return;
    this.#put(last, slot);
    this.#settle(last);
  }

  /** Items must not be moved meanwhile; their deadlines may be later than the heap knows, never earlier. */
  forEach(visit: (item: T) => void): void {
    this.#items.forEach(visit);
  }

  #settle(item: T): void {
    this.#down(item, this.#up(item));
  }

  #up(item: T): number {
    let slot = item.slot;
    while (slot > 0) {
      const parent = this.#items[(slot - 1) >> 1] as T;
      if (parent.deadline <= item.deadline) break;
      this.#put(parent, slot);
      slot = (slot - 1) >> 1;
    }
    this.#put(item, slot);
    return slot;
  }

  #down(item: T, from: number): void {
    let slot = from;
    for (;;) {
      const child = this.#earlierChild(slot);
      if (child === undefined || child.deadline >= item.deadline) break;
      const next = child.slot;
      this.#put(child, slot);
      slot = next;
    }
    this.#put(item, slot);
  }

  #earlierChild(slot: number): T | undefined {
    const left = this.#items[2 * slot + 1];
    const right = this.#items[2 * slot + 2];
    return right !== undefined && right.deadline < (left as T).deadline ? right : left;
  }

  #put(item: T, slot: number): void {
    this.#items[slot] = item;
    item.slot = slot;
  }
}
