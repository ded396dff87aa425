import type { OnReadOpts } from 'node:net';
import type { ChunkReader } from './dial.ts';

const BUFFER_BYTES = 64 * 1024;

/** Chunks up to this are copied out of the buffer they were read into: that costs less than giving the buffer away, in bytes. */
const COPY_LIMIT = 16 * 1024;

/** After this many small chunks in a row a socket has no more use for a buffer of its own. */
const SMALL_IN_A_ROW = 16;

/** One buffer for all sockets. What was read is copied out before anything else is read, so idle connections hold none. */
const shared = Buffer.allocUnsafeSlow(BUFFER_BYTES);

let slab = Buffer.allocUnsafeSlow(BUFFER_BYTES);
let slabAt = 0;

function takeSlab(): void {
  slab = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  slabAt = 0;
}

/**
 * Reads an upstream socket without allocating 64 KiB for every read. Small chunks are copied out of a buffer that all sockets
 * share. A socket that brings large ones gets a buffer of its own, which is read into again unless the chunk is still needed.
 */
export class UpstreamReader implements ChunkReader {
  readonly onread: OnReadOpts;
  onChunk: (chunk: Buffer) => boolean = () => true;

  #own: Buffer | null = null;
  #isKept = false;
  #small = 0;

  constructor() {
    this.onread = { buffer: this.#target, callback: this.#read };
  }

  /** The chunk that is being handled is needed after the call. */
  keep(): void {
    this.#isKept = true;
  }

  /** Where the next read goes. Node asks at the start and after every read. */
  readonly #target = (): Buffer => this.#own ?? shared;

  readonly #read = (length: number): boolean => {
    const buffer = this.#target();
    if (length > COPY_LIMIT && buffer !== shared) return this.#passOwn(buffer, length);
    if (length > COPY_LIMIT) this.#own = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    this.#small = length > COPY_LIMIT ? 0 : this.#small + 1;
    if (this.#small > SMALL_IN_A_ROW) this.#own = null;
    if (slabAt + length > slab.length) takeSlab();
    buffer.copy(slab, slabAt, 0, length);
    this.#isKept = false;
    const goesOn = this.onChunk(slab.subarray(slabAt, slabAt + length));
    if (this.#isKept) slabAt += length;
    return goesOn;
  };

  #passOwn(own: Buffer, length: number): boolean {
    this.#small = 0;
    this.#isKept = false;
    const goesOn = this.onChunk(own.subarray(0, length));
    // What was given away is never read into again.
    if (this.#isKept) this.#own = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    return goesOn;
  }
}
