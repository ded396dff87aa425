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

  /** Hands every piece to `write` and forgets it. */
  drain(write: (bytes: Uint8Array) => void): void {
    for (let i = 0; i < this.#count; i++) {
      write(this.#list[i] as Uint8Array);
      this.#list[i] = undefined;
    }
    this.#count = 0;
  }

  /** The only piece, or all of them put together, and forgets them. */
  take(): Uint8Array {
    let length = 0;
    const all: Uint8Array[] = [];
    this.drain((bytes) => {
      length += bytes.length;
      all.push(bytes);
    });
    const joined = new Uint8Array(length);
    let at = 0;
    for (const bytes of all) {
      joined.set(bytes, at);
      at += bytes.length;
    }
    return joined;
  }
}
