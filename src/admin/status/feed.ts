/**
 * The status page's live feed: a WebSocket of its own for each viewer. Once a second all of them are told what has
 * changed; while nobody looks nothing is done. A viewer who reads too slowly misses changes, and gets a fresh snapshot
 * as soon as it has caught up.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Timing } from '../../observe/close-groups.ts';
import { Changes, type ChangesOptions } from './changes.ts';

const TICK_MS = 1_000;
const MAX_VIEWERS = 32;
/** Bytes that may wait for a viewer before it is spared the changes. A snapshot of thousands of rows fits. */
const MAX_BACKLOG = 8 * 1024 * 1024;
/** A viewer that has taken nothing for so many ticks is gone. */
const MAX_BLOCKED_TICKS = 30;

interface Viewer {
  readonly socket: WebSocket;
  /** It has missed changes. */
  isBehind: boolean;
  blockedTicks: number;
}

export type FeedOptions = Omit<ChangesOptions, 'now'> & { readonly timing: Timing };

export class Feed {
  readonly #options: FeedOptions;
  readonly #server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 1024 });
  readonly #viewers = new Set<Viewer>();
  #changes: Changes | null = null;
  #cancelTick: (() => void) | null = null;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** A listener for `upgrade` events whose Host was checked. The socket has an error listener already. */
  readonly handleUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (!isSameOrigin(req)) refuse(socket, '403 Forbidden');
    else if (this.#viewers.size >= MAX_VIEWERS) refuse(socket, '503 Service Unavailable');
    else this.#server.handleUpgrade(req, socket, head, (viewer) => this.#welcome(viewer));
  };

  close(): void {
    for (const { socket } of this.#viewers) socket.terminate();
  }

  #welcome(socket: WebSocket): void {
    const viewer = { socket, isBehind: false, blockedTicks: 0 };
    // Those who watch already hear of everything that the newcomer is told.
    if (this.#changes !== null) this.#tell(this.#changes);
    this.#changes ??= new Changes({ ...this.#options, now: () => this.#options.timing.now() });
    this.#viewers.add(viewer);
    socket.on('error', viewerOnError);
    socket.on('close', () => this.#forget(viewer));
    socket.send(JSON.stringify(this.#changes.snapshot()));
    this.#cancelTick ??= this.#options.timing.after(TICK_MS, this.#onTick);
  }

  #forget(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    this.#changes = null;
    this.#cancelTick?.();
    this.#cancelTick = null;
  }

  readonly #onTick = (): void => {
    this.#cancelTick = this.#options.timing.after(TICK_MS, this.#onTick);
    // Before anything is sent: what a write leaves is only known later.
    for (const viewer of this.#viewers) watchBacklog(viewer);
    if (this.#changes !== null) this.#tell(this.#changes);
  };

  #tell(changes: Changes): void {
    const text = JSON.stringify(changes.next());
    for (const viewer of this.#viewers) {
      const { socket } = viewer;
      viewer.isBehind ||= socket.bufferedAmount > MAX_BACKLOG;
      if (!viewer.isBehind) socket.send(text);
      else if (socket.bufferedAmount === 0) {
        viewer.isBehind = false;
        socket.send(JSON.stringify(changes.snapshot()));
      }
    }
  }
}

/** Each tick sends something, so bytes that wait at every look mean that nothing gets through. */
function watchBacklog(viewer: Viewer): void {
  viewer.blockedTicks = viewer.socket.bufferedAmount === 0 ? 0 : viewer.blockedTicks + 1;
  if (viewer.blockedTicks >= MAX_BLOCKED_TICKS) viewer.socket.terminate();
}

/** Browsers always say where a page came from. The scheme is left out of account: TLS may end in front. */
function isSameOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** What a viewer breaks ends its own socket, and `close` follows. */
function viewerOnError(): void {}
