import { EventEmitter } from 'node:events';
import type { OnReadOpts, Socket } from 'node:net';
import type { ChunkReader } from '../../src/tunnel/dial.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Link } from './link.ts';
import type { Loop, Pollable } from './loop.ts';
import type { Tap } from './tap.ts';

/** What Node reads at once, in bytes. */
const READ_CHUNK = 65_536;

type WriteCallback = (error?: Error | null) => void;

type OnRead = OnReadOpts & { buffer: () => Uint8Array };

interface Write {
  readonly piece: Uint8Array;
  readonly callback: WriteCallback | undefined;
}

/**
 * A socket of the proxy as `node:net` makes them: the members that the proxy uses, and Node's order of events. `_handle` is what Node
 * has between its stream and the kernel.
 */
export class SimSocket extends EventEmitter implements Pollable {
  readonly remoteFamily = 'IPv4';
  readonly _handle = { bytesWritten: 0, writeQueueSize: 0 };
  destroyed = false;
  writableLength = 0;
  bytesWritten = 0;

  /** What the kernel has received and the proxy has not read. */
  readonly received = new ByteQueue();
  /** The peer's end, and its reset, have arrived. */
  receivedEnd = false;
  receivedReset = false;
  /** When waiting bytes last made progress, or began to wait, in ms. */
  progressAt = 0;
  /** When the proxy last read something, and last began to read again, in ms. */
  readAt = 0;
  resumedAt = 0;
  /** Reading was stopped. */
  isPaused = false;
  isKeptAlive = false;
  /** The proxy has seen the peer's end. */
  sawEnd = false;

  readonly #loop: Loop;
  readonly #link: Link;
  readonly #tap: Tap;
  readonly #highWaterMark: number;
  /** Where chunks go; null: to `data`. */
  readonly #onread: OnRead | null;
  /** Where the next chunk is read to. */
  #target: Uint8Array | null = null;

  #reading = false;
  #flowing = false;
  /** Read, but not yet passed on, because the stream is paused. */
  readonly #buffered = new ByteQueue();
  #endEmitted = false;

  #corked = 0;
  #waiting: Write[] = [];
  #inFlight: Write[] = [];
  readonly #unsent = new ByteQueue();
  #needDrain = false;
  #pendingCallbacks = 0;
  #closing = false;
  #isShut = false;
  #finished = false;

  constructor(loop: Loop, link: Link, tap: Tap, highWaterMark: number, reader: ChunkReader | null) {
    super();
    this.#loop = loop;
    this.#link = link;
    this.#tap = tap;
    this.#highWaterMark = highWaterMark;
    this.#onread = reader === null ? null : (reader.onread as OnRead);
    this.#target = this.#onread?.buffer() ?? null;
  }

  /** As the proxy sees it. */
  get asSocket(): Socket {
    return this as unknown as Socket;
  }

  get writableNeedDrain(): boolean {
    return this.#needDrain && !this.destroyed && !this.#closing;
  }

  write(piece: Uint8Array, callback?: WriteCallback): boolean {
    if (this.#closing && !this.destroyed) throw new Error('write after end');
    if (this.destroyed) {
      this.#tap.dropped(piece);
      this.#loop.nextTick(() => callback?.(new Error('ERR_STREAM_DESTROYED')));
      return false;
    }
    this.#tap.wrote(piece);
    if (this.writableLength === 0) this.progressAt = this.#loop.time;
    this.writableLength += piece.length;
    this.bytesWritten += piece.length;
    const isRoomLeft = this.writableLength < this.#highWaterMark;
    if (!isRoomLeft) this.#needDrain = true;
    this.#pendingCallbacks++;
    if (this.#corked > 0 || this.#inFlight.length > 0) this.#waiting.push({ piece, callback });
    else this.#dispatch([{ piece, callback }]);
    return isRoomLeft;
  }

  cork(): void {
    this.#corked++;
  }

  uncork(): void {
    this.#corked--;
    if (this.#corked === 0 && this.#inFlight.length === 0) this.#dispatchWaiting();
  }

  /** The kernel asks peers that no Ping can reach; its own long delays never end within a simulated hour. */
  setKeepAlive(enable: boolean): void {
    this.isKeptAlive = enable;
  }

  end(): void {
    if (this.#closing || this.destroyed) return;
    this.#closing = true;
    this.#tap.ended();
    this.#shut();
  }

  destroy(): void {
    this.#leave('destroy', false);
  }

  resetAndDestroy(): void {
    this.#leave('reset', false);
  }

  pause(): void {
    this.isPaused = true;
    this.#flowing = false;
    if (this.#onread !== null) this.#reading = false;
  }

  resume(): void {
    this.isPaused = false;
    this.resumedAt = this.#loop.time;
    this.#flowing = true;
    this.#reading = true;
    this.#loop.nextTick(() => this.#flow());
    this.wakeIfReadable();
  }

  /** Something has arrived in the kernel. */
  wakeIfReadable(): void {
    const hasNews = this.received.length > 0 || this.receivedEnd || this.receivedReset;
    if (!this.destroyed && this.#reading && !this.sawEnd && hasNews) this.#loop.wake(this);
  }

  /** The kernel has room again, or knows of a reset. */
  wakeIfWriting(): void {
    if (!this.destroyed && this.#inFlight.length > 0) this.#loop.wake(this);
  }

  /** As libuv: first what can be read, then what can be written. */
  poll(): void {
    if (!this.destroyed && this.#reading && !this.sawEnd) this.#readOnce();
    if (!this.destroyed && this.#inFlight.length > 0) this.#writeMore();
    if (!this.destroyed && this.#isShut && !this.#finished) this.#finish();
    this.wakeIfReadable();
  }

  #readOnce(): void {
    if (this.received.length > 0) {
      const bytes = this.received.take(READ_CHUNK);
      this.#link.readByProxy();
      this.readAt = this.#loop.time;
      if (this.#onread === null || this.#target === null) this.#pushData(bytes);
      else this.#pushToReader(this.#onread, this.#target, bytes);
    } else if (this.receivedReset) this.#fail();
    else if (this.receivedEnd) {
      this.sawEnd = true;
      this.#emitEndIfRead();
    }
  }

  #pushData(bytes: Uint8Array): void {
    if (this.#flowing && this.#buffered.length === 0) {
      this.#emitData(bytes);
      return;
    }
    this.#buffered.add(bytes);
    if (this.#buffered.length >= this.#highWaterMark) this.#reading = false;
  }

  #emitData(bytes: Uint8Array): void {
    this.#tap.read(bytes);
    this.emit('data', Buffer.from(bytes));
  }

  /** As Node: where the next chunk goes is asked after each one. */
  #pushToReader(onread: OnRead, target: Uint8Array, bytes: Uint8Array): void {
    target.set(bytes);
    this.#tap.read(bytes);
    if (!onread.callback(bytes.length, target)) this.pause();
    this.#target = onread.buffer();
  }

  #flow(): void {
    while (this.#flowing && !this.destroyed && this.#buffered.length > 0)
      this.#emitData(this.#buffered.take(READ_CHUNK));
    if (this.#buffered.length === 0) this.#emitEndIfRead();
  }

  #emitEndIfRead(): void {
    if (!this.sawEnd || this.#buffered.length > 0 || this.#endEmitted) return;
    this.#endEmitted = true;
    this.#loop.nextTick(() => {
      if (this.destroyed) return;
      this.emit('end');
      if (this.#finished) this.destroy();
    });
  }

  #dispatchWaiting(): void {
    if (this.#waiting.length === 0) return;
    const writes = this.#waiting;
    this.#waiting = [];
    this.#dispatch(writes);
  }

  /** Hands writes to the kernel, which takes what it has room for. */
  #dispatch(writes: Write[]): void {
    this.#inFlight = writes;
    for (const { piece } of writes) {
      this.#unsent.add(piece);
      this._handle.bytesWritten += piece.length;
    }
    this.#sendUnsent();
    // Node learns of a broken connection from the loop.
    if (this.receivedReset) this.#loop.wake(this);
    else if (this.#unsent.length === 0) this.#complete(true);
  }

  #sendUnsent(): void {
    const room = this.receivedReset ? 0 : Math.min(this.#link.room, this.#unsent.length);
    // The kernel copies.
    if (room > 0) this.#link.takeFromProxy(Buffer.from(this.#unsent.take(room)));
    this._handle.writeQueueSize = this.#unsent.length;
    if (room > 0) this.progressAt = this.#loop.time;
  }

  #writeMore(): void {
    if (this.receivedReset) {
      this.#fail();
      return;
    }
    this.#sendUnsent();
    if (this.#unsent.length === 0) this.#complete(false);
  }

  #complete(isSync: boolean): void {
    const done = this.#inFlight;
    this.#inFlight = [];
    for (const { piece } of done) this.writableLength -= piece.length;
    if (this.#waiting.length > 0 && this.#corked === 0) this.#dispatchWaiting();
    if (isSync) this.#loop.nextTick(() => this.#afterWrite(done));
    else this.#afterWrite(done);
  }

  #afterWrite(done: readonly Write[]): void {
    if (this.#needDrain && this.writableLength === 0 && !this.#closing && !this.destroyed) {
      this.#needDrain = false;
      this.emit('drain');
    }
    for (const { callback } of done) {
      this.#pendingCallbacks--;
      callback?.(null);
    }
    this.#shut();
  }

  /** Ends TCP once everything is with the kernel. */
  #shut(): void {
    const isReady = this.#closing && this.#pendingCallbacks === 0 && this.writableLength === 0;
    if (!isReady || this.#isShut || this.destroyed) return;
    this.#isShut = true;
    this.#link.endFromProxy();
    this.#loop.wake(this);
  }

  #finish(): void {
    this.#finished = true;
    this.#loop.nextTick(() => {
      if (this.destroyed) return;
      this.emit('finish');
      if (this.#endEmitted) this.destroy();
    });
  }

  #fail(): void {
    this.#loop.nextTick(() => this.emit('error', new Error('ECONNRESET')));
    this.#leave('destroy', true);
  }

  #leave(how: 'destroy' | 'reset', byPeer: boolean): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#tap.destroyed(how, this.writableLength, byPeer);
    const lost = [...this.#inFlight, ...this.#waiting];
    this.#inFlight = [];
    this.#waiting = [];
    this.#unsent.clear();
    this.#loop.nextTick(() => {
      for (const { callback } of lost) callback?.(new Error('ERR_STREAM_DESTROYED'));
    });
    this.#link.leftByProxy(how);
    this.#loop.whenClosing(() => this.emit('close'));
  }
}
