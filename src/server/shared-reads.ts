/**
 * Accepted sockets are read into one buffer that all of them share. Node does so for sockets that are made with `onread`, but makes accepted
 * ones itself, without: each of their reads takes 64 KiB from the C library, and V8, which counts them, looks through its whole heap for
 * them. So the socket is given what `onread` would have given it. Figures: docs/benchmarks.md.
 *
 * None of this is documented. A Node that does it otherwise is left alone, and its sockets are read by their `data` events.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** As much as a read of Node's own takes. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** Where Node keeps the buffer of `onread` and what is called with each read. */
const [kBuffer, kCallback] = ['kBuffer', 'kBufferCb'].map((name) =>
  Object.getOwnPropertySymbols(new Socket()).find(({ description }) => description === name),
);

type HandleSocket = Duplex & {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Buffer) => void } | null;
  [key: symbol]: unknown;
};

/**
 * From now on `take` gets what is read, past the stream. Pausing, resuming, ends and what is unshifted are the stream's matter as before.
 *
 * @param take the chunk is valid during the call
 * @returns what undoes it; null where it cannot be done, and nothing has changed
 */
export function shareReads(duplex: Duplex, take: (chunk: Buffer) => void): (() => void) | null {
  const socket = duplex as HandleSocket;
  const handle = socket._handle;
  if (kBuffer === undefined || kCallback === undefined || handle?.useUserBuffer === undefined) return null;
  // A socket that is guarded for the second time reads into the buffer already.
  if (socket[kBuffer] === null) handle.useUserBuffer(readBuffer);
  socket[kBuffer] = readBuffer;
  socket[kCallback] = (length: number): boolean => {
    take(readBuffer.subarray(0, length));
    return true;
  };
  return () => {
    socket[kCallback] = (length: number): boolean => socket.push(Buffer.from(readBuffer.subarray(0, length)));
  };
}
