import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Flush, type TunnelSide } from '../core/side.ts';
import type { ChunkSink } from './dial.ts';
import { MOST_HELD, type Writer } from './read-batch.ts';

/** What a socket of a tunnel tells its connection. */
export interface TunnelSocketOwner {
  onChunk(from: TunnelSocket, chunk: Uint8Array): void;
  /** A deferred write was done, and bytes wait now or did before it. */
  onWritten(tunnelSocket: TunnelSocket): void;
  onFlushed(tunnelSocket: TunnelSocket, marks: number): void;
  onDrain(tunnelSocket: TunnelSocket): void;
  onEnd(tunnelSocket: TunnelSocket): void;
  onFinish(tunnelSocket: TunnelSocket): void;
  onClose(tunnelSocket: TunnelSocket): void;
}

/** As in ws: the listeners are shared by all sockets, and find their tunnelSocket on the socket. */
const kTunnelSocket = Symbol('tunnelSocket');

interface OwnedSocket extends Socket {
  [kTunnelSocket]: TunnelSocket;
}

/** A socket of a tunnel, and the side that says what goes out to it. */
export class TunnelSocket implements Writer, ChunkSink {
  readonly owner: TunnelSocketOwner;
  readonly side: TunnelSide;
  readonly socket: Socket;
  /** Reading was stopped, because what it brings cannot be passed on yet. */
  isPaused = false;
  /** The newest write did not go out whole. */
  hasQueue = false;
  /** What waits was not copied: the batch's memory that it is in has to be kept. */
  holdsChunk = false;

  /** To be written when the batch is flushed. */
  #deferred: Uint8Array | null = null;

  constructor(owner: TunnelSocketOwner, side: TunnelSide, socket: Socket) {
    this.owner = owner;
    this.side = side;
    this.socket = socket;
    (socket as OwnedSocket)[kTunnelSocket] = this;
    // With the kernel's long delays: for peers that no Ping can reach. Short ones would end a phone that naps.
    socket.setKeepAlive(true);
    socket.on('drain', socketOnDrain);
    socket.on('end', socketOnEnd);
    socket.on('finish', socketOnFinish);
    socket.on('error', socketOnError);
    socket.on('close', socketOnClose);
  }

  onChunk(chunk: Buffer): boolean {
    this.owner.onChunk(this, chunk);
    return !this.isPaused;
  }

  /** Reads through `data` events; a socket with `onread` needs none. */
  readData(): void {
    this.socket.on('data', socketOnData);
  }

  /** Defers writing what `side.out` holds, if that is one chunk without a flush mark. @returns its bytes, or 0 */
  defer(): number {
    const { out, flush } = this.side;
    if (out.count !== 1 || flush !== Flush.nothing || this.#deferred !== null) return 0;
    const chunk = out.at(0);
    this.#deferred = chunk;
    out.clear();
    return chunk.length;
  }

  writeDeferred(): void {
    const chunk = this.#deferred;
    if (chunk === null) return;
    this.#deferred = null;
    const { hasQueue } = this;
    const isBehind = this.socket.writableLength > 0;
    this.holdsChunk = false;
    this.socket.write(this.#lasting(chunk, isBehind));
    this.#noteQueue(isBehind);
    // Nearly always nothing waited, and nothing waits.
    if (hasQueue || this.hasQueue) this.owner.onWritten(this);
  }

  /** Writes what `side.out` holds. @returns how many bytes that were */
  write(): number {
    this.writeDeferred();
    const { side, socket } = this;
    const { out } = side;
    const last = out.count - 1;
    const isBehind = socket.writableLength > 0;
    let bytes = 0;
    this.holdsChunk = false;
    if (last > 0) socket.cork();
    for (let i = 0; i <= last; i++) {
      const chunk = this.#lasting(out.at(i), isBehind);
      bytes += chunk.length;
      if (i === last && side.flush !== Flush.nothing) socket.write(chunk, this.#whenFlushed(side.flush));
      else socket.write(chunk);
    }
    if (last > 0) socket.uncork();
    out.clear();
    side.flush = Flush.nothing;
    this.#noteQueue(isBehind);
    return bytes;
  }

  /** Carries out what the side asks of its socket. */
  applyAction(): void {
    const { side, socket } = this;
    const { action } = side;
    side.action = 'none';
    if (action !== 'none') this.writeDeferred();
    if (action === 'end') socket.end();
    else if (action === 'reset' && !(socket instanceof TLSSocket)) resetSocket(socket);
    else if (action !== 'none') socket.destroy();
  }

  /** The keepalive learns how much of what waits the kernel has taken by now. */
  noteProgress(now: number): void {
    const { socket, side } = this;
    if (socket.writableLength === 0) side.keepalive.drained();
    else side.keepalive.progressed(flushedBytes(socket), now);
  }

  pause(now: number): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.socket.pause();
    this.side.keepalive.paused(now);
  }

  resume(now: number): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.side.keepalive.resumed(now);
    this.socket.resume();
  }

  /** What has to wait is copied out of the batch's memory: few bytes for a slow reader must not hold what others have brought. */
  #lasting(chunk: Uint8Array, isBehind: boolean): Uint8Array {
    if (isBehind && chunk.length <= MOST_HELD) return new Uint8Array(chunk);
    if (isBehind) this.holdsChunk = true;
    return chunk;
  }

  #noteQueue(wasBehind: boolean): void {
    this.hasQueue = this.socket.writableLength > 0;
    // Where nothing waited before, the rest of the chunk itself waits: Node has it already.
    if (!wasBehind) this.holdsChunk = this.hasQueue;
  }

  #whenFlushed(marks: number): (error?: Error | null) => void {
    return (error) => {
      if (!error) this.owner.onFlushed(this, marks);
    };
  }
}

/**
 * Bytes that the kernel has taken. What Node documents counts a write as a whole, and only the handle knows how much of it is gone: without
 * it, a slow reader shows no progress until all of a large chunk is with the kernel, and has `timeouts.stall` for that.
 */
export function flushedBytes(socket: Socket): number {
  const handle = (socket as Socket & { _handle?: { bytesWritten?: number; writeQueueSize?: number } | null })._handle;
  if (handle?.bytesWritten !== undefined && handle.writeQueueSize !== undefined) {
    return handle.bytesWritten - handle.writeQueueSize;
  }
  return socket.bytesWritten - socket.writableLength;
}

/** A reset exists for TCP alone; a unix socket is closed. So is one that is shutting down: Node fails there and forgets it, open. */
function resetSocket(socket: Socket): void {
  const isShuttingDown = socket.writableEnded && socket.writableLength === 0;
  if (socket.remoteFamily === undefined || isShuttingDown) socket.destroy();
  else socket.resetAndDestroy();
}

function socketOnData(this: Socket, chunk: Buffer): void {
  (this as OwnedSocket)[kTunnelSocket].onChunk(chunk);
}

function socketOnDrain(this: Socket): void {
  const tunnelSocket = (this as OwnedSocket)[kTunnelSocket];
  tunnelSocket.owner.onDrain(tunnelSocket);
}

function socketOnEnd(this: Socket): void {
  const tunnelSocket = (this as OwnedSocket)[kTunnelSocket];
  tunnelSocket.owner.onEnd(tunnelSocket);
}

function socketOnFinish(this: Socket): void {
  const tunnelSocket = (this as OwnedSocket)[kTunnelSocket];
  tunnelSocket.owner.onFinish(tunnelSocket);
}

/** `close` follows every error and says all that matters. */
function socketOnError(): void {}

function socketOnClose(this: Socket): void {
  const tunnelSocket = (this as OwnedSocket)[kTunnelSocket];
  tunnelSocket.owner.onClose(tunnelSocket);
}
