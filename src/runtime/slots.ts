/**
 * What comes and goes by the thousand: requests and handshakes. A Map or a Set is rebuilt as it changes, and its old tables, once
 * they are old themselves, keep alive what is over until the next full collection (docs/benchmarks.md, "What mattered").
 */
export class Slots<T extends object> {
  readonly #items: (T | null)[] = [];
  /** Places of `#items` that are free. */
  readonly #free: number[] = [];

  get size(): number {
    return this.#items.length - this.#free.length;
  }

  /** In no order. Items that come or go meanwhile may be left out. */
  *[Symbol.iterator](): Generator<T> {
    for (const item of this.#items) if (item !== null) yield item;
  }

  /** @returns its place, to remove it */
  add(item: T): number {
    const slot = this.#free.pop() ?? this.#items.length;
    this.#items[slot] = item;
    return slot;
  }

  remove(slot: number): void {
    this.#items[slot] = null;
    this.#free.push(slot);
  }
}
