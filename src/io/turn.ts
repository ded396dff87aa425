import type { Clock } from './clock.ts';

/** What is read at once, in bytes. */
export const READ_BYTES = 64 * 1024;
/** Longest chunk that is held in the turn's memory, in bytes: to copy it costs less than to give the buffer away that it was read into. */
export const MOST_HELD = 16 * 1024;
/** Room for what is read in one turn; it still fits into a processor's second cache. */
const SLAB_BYTES = 256 * 1024;

/** Somebody who has put off a write. */
export interface Writer {
  /** Writes what was put off, if it still waits. */
  writeDeferred(): void;
}

/**
 * What sockets bring within one turn of the event loop. It is read into one buffer that all of them share, copied behind what the
 * others brought, and written when all have been read: reads in a row and writes in a row cost the kernel less than both in turns,
 * and a peer that was woken up by the first write finds the others too. What has gone out whole is written over in the next turn, so
 * nothing is allocated.
 */
export class Turn {
  /** Where sockets without a buffer of their own are read into. What it holds has to be held before the next read. */
  readonly buffer = Buffer.allocUnsafeSlow(READ_BYTES);

  readonly #clock: Pick<Clock, 'afterPoll'>;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the next chunk is held. */
  #at = 0;
  /** What lies before it is kept. */
  #start = 0;
  #isKept = false;
  #isArmed = false;
  #writers: Writer[] = [];

  constructor(clock: Pick<Clock, 'afterPoll'>) {
    this.#clock = clock;
  }

  /** Copies what was read. The copy is valid until the end of the turn; after a `keep()` in this turn, as long as it is needed. */
  hold(read: Buffer, length: number): Buffer {
    if (this.#at + length > SLAB_BYTES) this.#makeRoom(length);
    const at = this.#at;
    this.#at += length;
    read.copy(this.#slab, at, 0, length);
    return this.#slab.subarray(at, this.#at);
  }

  /** Something of what was read is needed beyond this turn. */
  keep(): void {
    this.#isKept = true;
  }

  /** Has a writer called at the end of the turn, or sooner. */
  defer(writer: Writer): void {
    this.#writers.push(writer);
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#clock.afterPoll(this.#onPolled);
  }

  /** Ends the turn: everything that was put off is written. @returns whether something of what was read is still needed */
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
    if (this.#at + length <= SLAB_BYTES) return;
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#at = 0;
    this.#start = 0;
  }
}
