/**
 * Plain requests that get nowhere: a client that takes none of its answer, an upstream that takes none of an upload, and a client
 * that has left while nothing is read from it. One sweep a second looks at all that are under way.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Route } from '../core/settings.ts';
import { Slots } from '../runtime/slots.ts';

/** How often to look, in ms. */
const SWEEP_MS = 1000;

/** What is watched of one request. */
export interface Watched {
  readonly req: IncomingMessage;
  readonly outgoing: ClientRequest | null;
  /** `timeouts.stall`: how long bytes may wait for a peer that takes none of them, in ms. */
  readonly route: Pick<Route, 'timeouts'>;
}

export interface StallOptions {
  readonly onClientStall: (watched: Watched) => void;
  readonly onUpstreamStall: (watched: Watched) => void;
}

/** What a socket had taken when it last took some, in bytes, and when that was. */
interface Progress {
  flushed: number;
  since: number;
}

interface Entry {
  readonly watched: Watched;
  /** Null until the first sweep: most requests are over by then. */
  progress: { readonly client: Progress; readonly upstream: Progress } | null;
}

export class Stalls {
  readonly #options: StallOptions;
  readonly #running = new Slots<Entry>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: StallOptions) {
    this.#options = options;
  }

  /** @returns its place, to remove it */
  add(watched: Watched): number {
    this.#timer ??= setInterval(() => this.#sweep(), Math.min(SWEEP_MS, watched.route.timeouts.stall / 4)).unref();
    return this.#running.add({ watched, progress: null });
  }

  remove(slot: number): void {
    this.#running.remove(slot);
  }

  stop(): void {
    clearInterval(this.#timer ?? undefined);
    this.#timer = null;
  }

  #sweep(): void {
    // Not with the last request: a timer for each would cost more than looking at nothing.
    if (this.#running.size === 0) return this.stop();
    const now = performance.now();
    for (const entry of this.#running) {
      const { watched } = entry;
      entry.progress ??= { client: { flushed: -1, since: now }, upstream: { flushed: -1, since: now } };
      const { client, upstream } = entry.progress;
      const { socket } = watched.req;
      const { stall } = watched.route.timeouts;
      if (hasVanished(socket)) socket.destroy();
      else if (isStuck(socket, client, now, stall)) this.#options.onClientStall(watched);
      else if (isStuck(watched.outgoing?.socket, upstream, now, stall)) this.#options.onUpstreamStall(watched);
    }
  }
}

function isStuck(socket: Socket | null | undefined, progress: Progress, now: number, stall: number): boolean {
  const waiting = socket?.writableLength ?? 0;
  const flushed = (socket?.bytesWritten ?? 0) - waiting;
  if (waiting === 0 || flushed !== progress.flushed) {
    progress.flushed = flushed;
    progress.since = now;
  }
  return now - progress.since >= stall;
}

/** What Node keeps of a socket beyond its documented interface. */
interface HandleSocket {
  readonly _handle?: { readonly getpeername?: (address: object) => number } | null;
}

/**
 * A reset shows neither in reading nor in writing while neither is done: a client that has given up an upload which the upstream does not
 * take. The kernel forgets the address of the peer then. Asking costs a microsecond, and nothing documented asks: Node remembers addresses.
 * Where the handle cannot be asked, as on unix sockets, such a request ends after `timeouts.stall`.
 */
function hasVanished(socket: Socket): boolean {
  if (!socket.isPaused()) return false;
  const handle = (socket as unknown as HandleSocket)._handle;
  return handle?.getpeername !== undefined && handle.getpeername({}) !== 0;
}
