import type { OnReadOpts } from 'node:net';
import { type ChunkReader, type ChunkSink, dropChunks } from './dial.ts';
import { MOST_HELD, READ_BYTES, type ReadBatch } from './read-batch.ts';

/** After this many small chunks in a row a socket gives up the buffer of its own. */
const SMALL_IN_A_ROW = 16;

/**
 * Reads a socket without allocating 64 KiB for every read. Small chunks are copied out of a buffer that all sockets share, so idle
 * connections hold none. A socket that brings large ones gets a buffer of its own, which is read into again unless the chunk is kept.
 */
export class SocketReader implements ChunkReader {
  sink: ChunkSink = dropChunks;

  readonly #batch: ReadBatch;
  #own: Buffer | null = null;
  #small = 0;

  constructor(batch: ReadBatch) {
    this.#batch = batch;
  }

  get onread(): OnReadOpts {
    return { buffer: this.#target, callback: this.#read };
  }

  keep(): void {
    this.#batch.keep();
  }

  /** Where the next read goes. Node asks at the start and after every read. */
  readonly #target = (): Buffer => this.#own ?? this.#batch.buffer;

  readonly #read = (length: number): boolean => {
    if (length <= MOST_HELD) return this.#passCopy(length);
    this.#small = 0;
    if (this.#own !== null) return this.#passOwn(this.#own, length);
    this.#own = Buffer.allocUnsafeSlow(READ_BYTES);
    return this.sink.onChunk(Buffer.from(this.#batch.buffer.subarray(0, length)));
  };

  #passCopy(length: number): boolean {
    const chunk = this.#batch.hold(this.#target(), length);
    if (this.#own !== null && ++this.#small > SMALL_IN_A_ROW) this.#own = null;
    return this.sink.onChunk(chunk);
  }

  #passOwn(own: Buffer, length: number): boolean {
    const goesOn = this.sink.onChunk(own.subarray(0, length));
    // A chunk that is still needed keeps its buffer: the next read goes into a new one.
    if (this.#batch.flush()) this.#own = Buffer.allocUnsafeSlow(READ_BYTES);
    return goesOn;
  }
}
