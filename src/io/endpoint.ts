import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Flush, type Leg } from '../core/leg.ts';
import type { ChunkSink } from './dial.ts';
import { MOST_HELD, type Writer } from './turn.ts';

/** What an endpoint tells its connection. */
export interface EndpointOwner {
  onChunk(from: Endpoint, chunk: Uint8Array): void;
  /** What was put off has been written, and something waits, or did so before. */
  onWritten(endpoint: Endpoint): void;
  onFlushed(endpoint: Endpoint, marks: number): void;
  onDrain(endpoint: Endpoint): void;
  onEnd(endpoint: Endpoint): void;
  onFinish(endpoint: Endpoint): void;
  onClose(endpoint: Endpoint): void;
}

/** As in ws: the listeners are shared by all sockets, and find their endpoint on the socket. */
const kEndpoint = Symbol('endpoint');

interface EndpointSocket extends Socket {
  [kEndpoint]: Endpoint;
}

/** A socket of a tunnel, and the leg that says what goes out to it. */
export class Endpoint implements Writer, ChunkSink {
  readonly owner: EndpointOwner;
  readonly leg: Leg;
  readonly socket: Socket;
  /** Reading was stopped, because what it brings cannot be passed on yet. */
  isPaused = false;
  /** The newest write did not go out whole. */
  hasQueue = false;
  /** And a piece itself waits, not a copy of it. */
  holdsPiece = false;

  /** To be written at the end of the turn. */
  #deferred: Uint8Array | null = null;

  constructor(owner: EndpointOwner, leg: Leg, socket: Socket) {
    this.owner = owner;
    this.leg = leg;
    this.socket = socket;
    (socket as EndpointSocket)[kEndpoint] = this;
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

  /** Puts off writing what `leg.out` holds, if that is one piece which nothing has to be told of. @returns its bytes, or 0 */
  defer(): number {
    const { out, flush } = this.leg;
    if (out.count !== 1 || flush !== Flush.nothing || this.#deferred !== null) return 0;
    const piece = out.at(0);
    this.#deferred = piece;
    out.clear();
    return piece.length;
  }

  writeDeferred(): void {
    const piece = this.#deferred;
    if (piece === null) return;
    this.#deferred = null;
    const { hasQueue } = this;
    const isBehind = this.socket.writableLength > 0;
    this.holdsPiece = false;
    this.socket.write(this.#lasting(piece, isBehind));
    this.#noteQueue(isBehind);
    // Nearly always nothing waited, and nothing waits.
    if (hasQueue || this.hasQueue) this.owner.onWritten(this);
  }

  /** Writes what `leg.out` holds. @returns how many bytes that were */
  write(): number {
    this.writeDeferred();
    const { leg, socket } = this;
    const { out } = leg;
    const last = out.count - 1;
    const isBehind = socket.writableLength > 0;
    let bytes = 0;
    this.holdsPiece = false;
    if (last > 0) socket.cork();
    for (let i = 0; i <= last; i++) {
      const piece = this.#lasting(out.at(i), isBehind);
      bytes += piece.length;
      if (i === last && leg.flush !== Flush.nothing) socket.write(piece, this.#whenFlushed(leg.flush));
      else socket.write(piece);
    }
    if (last > 0) socket.uncork();
    out.clear();
    leg.flush = Flush.nothing;
    this.#noteQueue(isBehind);
    return bytes;
  }

  /** Carries out what the leg wishes. */
  grant(): void {
    const { leg, socket } = this;
    const { wish } = leg;
    leg.wish = 'none';
    if (wish !== 'none') this.writeDeferred();
    if (wish === 'end') socket.end();
    else if (wish === 'reset' && !(socket instanceof TLSSocket)) resetSocket(socket);
    else if (wish !== 'none') socket.destroy();
  }

  pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.socket.pause();
    this.leg.keepalive.paused();
  }

  resume(now: number): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.leg.keepalive.resumed(now);
    this.socket.resume();
  }

  /** What has to wait is copied out of the turn's memory: few bytes for a slow reader must not hold what others have brought. */
  #lasting(piece: Uint8Array, isBehind: boolean): Uint8Array {
    if (isBehind && piece.length <= MOST_HELD) return new Uint8Array(piece);
    if (isBehind) this.holdsPiece = true;
    return piece;
  }

  #noteQueue(wasBehind: boolean): void {
    this.hasQueue = this.socket.writableLength > 0;
    // The first to wait waits as it is: what the kernel has not taken of it is with Node already.
    if (!wasBehind) this.holdsPiece = this.hasQueue;
  }

  #whenFlushed(marks: number): (error?: Error | null) => void {
    return (error) => {
      if (!error) this.owner.onFlushed(this, marks);
    };
  }
}

/** Bytes that the kernel has taken. Node's own figure also counts what a write has handed to libuv but not to the kernel. */
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
  (this as EndpointSocket)[kEndpoint].onChunk(chunk);
}

function socketOnDrain(this: Socket): void {
  const endpoint = (this as EndpointSocket)[kEndpoint];
  endpoint.owner.onDrain(endpoint);
}

function socketOnEnd(this: Socket): void {
  const endpoint = (this as EndpointSocket)[kEndpoint];
  endpoint.owner.onEnd(endpoint);
}

function socketOnFinish(this: Socket): void {
  const endpoint = (this as EndpointSocket)[kEndpoint];
  endpoint.owner.onFinish(endpoint);
}

/** `close` follows every error and says all that matters. */
function socketOnError(): void {}

function socketOnClose(this: Socket): void {
  const endpoint = (this as EndpointSocket)[kEndpoint];
  endpoint.owner.onClose(endpoint);
}
