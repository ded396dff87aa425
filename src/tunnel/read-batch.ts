import type { Clock } from '../runtime/clock.ts';

/** What is read at once, in bytes. */
export const READ_BYTES = 64 * 1024;
/** Longest chunk that is held in the batch's memory, in bytes: to copy it costs less than to give the buffer away that it was read into. */
export const MOST_HELD = 16 * 1024;
/** Room for what is read in one turn of the event loop; it still fits into a processor's second cache. */
const BATCH_BYTES = 256 * 1024;

/** A socket with a deferred write. */
export interface Writer {
  /** Writes what was deferred, unless that has happened meanwhile. */
  writeDeferred(): void;
}

/**
 * What sockets bring within one turn of the event loop. It is read into one buffer that all of them share, copied behind what the
 * others brought, and written when all have been read: reads in a row and writes in a row cost the kernel less than both in turns,
 * and a peer that was woken up by the first write finds the others too. What has gone out whole is written over by the next batch, so
 * nothing is allocated.
 */
export class ReadBatch {
  /** Where sockets without a buffer of their own are read into. What it holds has to be held before the next read. */
  readonly buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  readonly #clock: Pick<Clock, 'afterPoll'>;
  #memory = Buffer.allocUnsafeSlow(BATCH_BYTES);
  /** Where the next chunk is held. */
  #at = 0;
  /** Memory before it holds chunks that are needed after their batch. */
  #start = 0;
  #isKept = false;
  #isArmed = false;
  #writers: Writer[] = [];

  constructor(clock: Pick<Clock, 'afterPoll'>) {
    this.#clock = clock;
  }

  /** Copies what was read. The copy is valid until the end of the batch; after a `keep()` in this batch, as long as it is needed. */
  hold(read: Buffer, length: number): Buffer {
    if (this.#at + length > BATCH_BYTES) this.#makeRoom(length);
    const at = this.#at;
    this.#at += length;
    read.copy(this.#memory, at, 0, length);
    return this.#memory.subarray(at, this.#at);
  }

  /** Something of what was read is needed after this batch. */
  keep(): void {
    this.#isKept = true;
  }

  /** Has a writer called when the batch ends. */
  defer(writer: Writer): void {
    this.#writers.push(writer);
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#clock.afterPoll(this.#onPolled);
  }

  /** Ends the batch: everything that was deferred is written. @returns whether something of what was read is still needed */
  flush(): boolean {
    const writers = this.#writers;
    for (let i = 0; i < writers.length; i++) (writers[i] as Writer).writeDeferred();
    writers.length = 0;
    const isKept = this.#isKept;
    this.#isKept = false;
    if (isKept) this.#start = this.#at;
    else this.#at = this.#start;
    return isKept;
  }

  readonly #onPolled = (): void => {
    this.#isArmed = false;
    this.flush();
  };

  #makeRoom(length: number): void {
    this.flush();
    if (this.#at + length <= BATCH_BYTES) return;
    this.#memory = Buffer.allocUnsafeSlow(BATCH_BYTES);
    this.#at = 0;
    this.#start = 0;
  }
}
