/**
 * Bytes on their way out, in order. It is filled and emptied within one turn and used again, so the hot path allocates nothing.
 */
export class Pieces {
  readonly #list: (Uint8Array | undefined)[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(bytes: Uint8Array): void {
    this.#list[this.#count++] = bytes;
  }

  at(index: number): Uint8Array {
    return this.#list[index] as Uint8Array;
  }

  clear(): void {
    for (let i = 0; i < this.#count; i++) this.#list[i] = undefined;
    this.#count = 0;
  }
}
