/** Bytes in the order in which they came. Chunks are kept as they are, not copied. */
export class ByteQueue {
  length = 0;
  #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that are gone. */
  #offset = 0;

  add(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.length += chunk.length;
  }

  clear(): void {
    this.#chunks = [];
    this.#offset = 0;
    this.length = 0;
  }

  /** Whether the queue begins with these bytes. */
  startsWith(bytes: Uint8Array): boolean {
    if (bytes.length > this.length) return false;
    let at = 0;
    let offset = this.#offset;
    for (let i = 0; at < bytes.length; i++) {
      const chunk = this.#chunks[i] as Uint8Array;
      const step = Math.min(chunk.length - offset, bytes.length - at);
      if (Buffer.compare(chunk.subarray(offset, offset + step), bytes.subarray(at, at + step)) !== 0) return false;
      at += step;
      offset = 0;
    }
    return true;
  }

  drop(count: number): void {
    this.length -= count;
    let left = count;
    let gone = 0;
    while (left > 0) {
      const rest = (this.#chunks[gone] as Uint8Array).length - this.#offset;
      if (left < rest) {
        this.#offset += left;
        break;
      }
      left -= rest;
      gone++;
      this.#offset = 0;
    }
    if (gone > 0) this.#chunks.splice(0, gone);
  }

  /** Takes the newest bytes away. */
  trim(count: number): void {
    this.length -= count;
    let left = count;
    while (left > 0) {
      const last = this.#chunks.pop() as Uint8Array;
      const start = this.#chunks.length === 0 ? this.#offset : 0;
      if (last.length - start > left) this.#chunks.push(last.subarray(0, last.length - left));
      left -= Math.min(left, last.length - start);
    }
    if (this.#chunks.length === 0) this.#offset = 0;
  }

  /** Takes up to so many bytes from the front, as a buffer that is shared with whoever added it when it is in one piece. */
  take(limit: number): Uint8Array {
    const first = this.#chunks[0];
    if (first === undefined) return new Uint8Array(0);
    const size = Math.min(limit, this.length);
    let bytes = first.subarray(this.#offset, this.#offset + size);
    if (bytes.length < size) bytes = Buffer.concat([bytes, ...this.#chunks.slice(1)], size);
    this.drop(size);
    return bytes;
  }
}
