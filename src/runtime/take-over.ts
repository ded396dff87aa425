import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

/** What Node knows of a socket beyond its documented interface: the handle that reads and writes. */
interface HandleSocket {
  _handle: object | null;
}

/** `handle` and `pauseOnCreate` are what node:net itself creates accepted sockets with. */
type HandleOptions = SocketConstructorOpts & {
  readonly handle: object;
  readonly pauseOnCreate: boolean;
  readonly onread: OnReadOpts;
};

/**
 * Moves an accepted connection to a socket that is read through `onread`: one that an http server accepts can only be read by
 * `data` events, which allocate 64 KiB for every read, and carries along what http had to do with it. Paused, as the old one was.
 * Without it messages of 64 KiB pass at 0.37 of the rate, of 1 KiB at 0.63, of 64 bytes at 0.84 (docs/benchmarks.md, "What mattered").
 *
 * @returns null where that cannot be done now (bytes on their way, an end already seen, a Node without handles):
 *   the old socket goes on unharmed, read by `data` events
 */
export function takeOver(old: Socket, onread: OnReadOpts): Socket | null {
  const holder = old as unknown as HandleSocket;
  const handle = holder._handle ?? null;
  const isQuiet = old.writableLength === 0 && old.readableLength === 0 && !old.readableEnded && !old.destroyed;
  if (handle === null || !isQuiet) return null;
  const options: HandleOptions = { handle, pauseOnCreate: true, allowHalfOpen: true, onread };
  const socket = new Socket(options);
  // Without a handle the old one only leaves its server's books.
  holder._handle = null;
  old.destroy();
  return socket;
}
