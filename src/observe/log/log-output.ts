/**
 * Where log lines go: standard output. On a pipe or a socket a reader that has stopped must not stop the program, so a
 * bounded number of bytes waits for it and what comes then is dropped and counted. Files and terminals take every line
 * at once and synchronously, so that the last one before an exit is not lost.
 */
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { type DestinationStream, pino } from 'pino';

/** Bytes that may wait for a slow reader. */
const MAX_WAITING = 1024 * 1024;
/** How long an exit waits for the reader, in ms. */
const FLUSH_MS = 1_000;

export interface LogOutput extends DestinationStream {
  /** Lines that were dropped since the start. */
  readonly dropped: number;
  /** Resolves when everything was taken, or after a second. */
  flush(): Promise<void>;
}

/** For this process' standard output. */
export function standardOutput(): LogOutput {
  const stat = fstatSync(1);
  return stat.isFIFO() || stat.isSocket() ? new BoundedOutput(process.stdout) : new SynchronousOutput();
}

class SynchronousOutput implements LogOutput {
  readonly dropped = 0;
  readonly #destination = pino.destination({ fd: 1, sync: true });

  write(line: string): void {
    this.#destination.write(line);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }
}

/** Drops what its stream does not take. */
export class BoundedOutput implements LogOutput {
  dropped = 0;
  readonly #stream: Writable;
  /** How many were dropped since the stream last took everything. */
  #untold = 0;

  /** @param stream must not block; whoever reads it may have gone */
  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', () => undefined);
    stream.on('drain', () => this.#tellOfDropped());
  }

  write(line: string): void {
    if (this.#stream.writableLength + line.length <= MAX_WAITING && !this.#stream.destroyed) {
      this.#stream.write(line);
      return;
    }
    this.dropped += 1;
    this.#untold += 1;
  }

  flush(): Promise<void> {
    if (this.#stream.destroyed || this.#stream.writableLength === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, FLUSH_MS);
      this.#stream.write('', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #tellOfDropped(): void {
    if (this.#untold === 0) return;
    const line = { level: 'warn', time: new Date().toISOString(), lines: this.#untold, msg: 'log lines dropped' };
    this.#untold = 0;
    this.#stream.write(`${JSON.stringify(line)}\n`);
  }
}
