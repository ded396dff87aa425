import type { Socket } from 'node:net';
import type { RandomInt32 } from '../core/frame.ts';
import type { ChunkList } from '../core/direction.ts';
import type { OutstandingPing } from '../core/ping-tags.ts';
import type { ConnectionInfo, Log, Observer, Side, TrafficObserver } from '../core/events.ts';
import type { KeepaliveSettings } from '../core/settings.ts';
import { Tunnel, type TunnelOptions, type TunnelOwner } from '../core/tunnel.ts';
import type { Clock } from '../runtime/clock.ts';
import { takeOver } from '../runtime/take-over.ts';
import { closeReport } from './close-report.ts';
import type { ChunkReader } from './dial.ts';
import { TunnelSocket, type TunnelSocketOwner, flushedBytes } from './tunnel-socket.ts';
import type { OpenConnections } from './open-connections.ts';
import type { Scheduled, Scheduler } from './scheduler.ts';
import type { ReadBatch } from './read-batch.ts';
import { SocketReader } from './socket-reader.ts';

/** What all connections share. */
export interface ConnectionDeps {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly batch: ReadBatch;
  readonly openConnections: Pick<OpenConnections<Connection>, 'add' | 'remove'>;
  readonly observer: Pick<Observer, 'opened' | 'closed'> & TrafficObserver;
  readonly log: Log;
  readonly random: RandomInt32;
  /** On the way to the sockets; empty between two events. */
  readonly toClient: ChunkList;
  readonly toUpstream: ChunkList;
  /** How many bytes may wait for one side before the other is no longer read. */
  readonly buffer: (route: string) => number;
}

/** What a handshake leads to, and a connection starts from. Neither socket carries a listener of the handshake any more. */
export interface TunnelParts {
  readonly info: ConnectionInfo;
  /** Paused. */
  readonly client: Socket;
  /** What the client sent before its 101. */
  readonly clientHead: Buffer;
  /** Being read: chunks go to `upstreamReader.sink`, which drops them until it is set. */
  readonly upstream: Socket;
  readonly upstreamReader: ChunkReader;
  /** What the upstream sent behind its 101. */
  readonly upstreamRest: Buffer;
}

/** Makes a connection of what a handshake has led to, and starts it. */
export function openTunnel(deps: ConnectionDeps, parts: TunnelParts, options: TunnelOptions): Connection {
  const clientReader = new SocketReader(deps.batch);
  const client = takeOver(parts.client, clientReader.onread);
  const connection = new Connection(deps, parts, client ?? parts.client, options);
  connection.start(parts, client === null ? null : clientReader);
  return connection;
}

/** The pump of one tunnel: feeds it from two sockets, writes what comes out, carries out what it asks of the sockets, keeps its deadline. */
export class Connection implements TunnelSocketOwner, Scheduled, TunnelOwner {
  // Field order matters: the first ones are read for every chunk and should share a cache line.
  readonly tunnel: Tunnel;
  readonly #deps: ConnectionDeps;
  readonly #client: TunnelSocket;
  readonly #upstream: TunnelSocket;
  readonly info: ConnectionInfo;
  readonly openedAt: number;
  readonly random: RandomInt32;
  readonly toClient: ChunkList;
  readonly toUpstream: ChunkList;
  deadline = Number.POSITIVE_INFINITY;
  slot = -1;

  #isOver = false;
  /** When the last message had passed as the end became known. */
  #lastMessageAt = Number.NaN;

  /** @param client `parts.client`, or the socket that has taken its place */
  constructor(deps: ConnectionDeps, parts: TunnelParts, client: Socket, options: TunnelOptions) {
    this.#deps = deps;
    this.info = parts.info;
    this.random = deps.random;
    this.toClient = deps.toClient;
    this.toUpstream = deps.toUpstream;
    this.openedAt = deps.clock.now();
    this.tunnel = new Tunnel(options, this, this.openedAt);
    this.#client = new TunnelSocket(this, this.tunnel.client, client);
    this.#upstream = new TunnelSocket(this, this.tunnel.upstream, parts.upstream);
    deps.openConnections.add(this);
    deps.observer.opened(parts.info);
  }

  /** Passes on what came during the handshake, and reads on. @param clientReader where chunks of the client come from; null: `data` events */
  start({ clientHead, upstreamRest, upstreamReader }: TunnelParts, clientReader: ChunkReader | null): void {
    upstreamReader.sink = this.#upstream;
    if (clientReader === null) this.#client.readData();
    else clientReader.sink = this.#client;
    if (upstreamRest.length > 0) this.onChunk(this.#upstream, upstreamRest);
    if (clientHead.length > 0) this.onChunk(this.#client, clientHead);
    for (const { isPaused, socket } of [this.#client, this.#upstream]) if (!isPaused) socket.resume();
    // A socket that was closed during the hand-over has emitted its `close` to nobody.
    for (const tunnelSocket of [this.#client, this.#upstream])
      if (tunnelSocket.socket.destroyed) this.onClose(tunnelSocket);
    this.#deps.scheduler.update(this);
  }

  get isClosing(): boolean {
    return this.tunnel.facts !== null;
  }

  /** How long no byte has passed on the client side, either way, in ms. */
  wireIdleFor(now: number): number {
    return this.tunnel.client.keepalive.quietFor(now);
  }

  configure(settings: KeepaliveSettings): void {
    this.tunnel.configure(settings);
    this.#deps.scheduler.update(this);
  }

  /** The proxy stops: both sides end at the end of the message under way. @param code of a Close before that; null: none */
  drain(code: number | null, reason: string): void {
    const now = this.#deps.clock.now();
    this.tunnel.drain(code, reason, now);
    this.#pump(now);
  }

  /** It has reached `limits.age`: both sides end at the end of the message under way. */
  expire(): void {
    const now = this.#deps.clock.now();
    this.tunnel.expire(now);
    this.#pump(now);
  }

  /** No more time: both sides end behind what is queued. */
  finish(): void {
    this.tunnel.finish();
    this.#pump(this.#deps.clock.now());
  }

  /** Both sockets are destroyed at once. */
  destroy(): void {
    this.#client.socket.destroy();
    this.#upstream.socket.destroy();
  }

  onChunk(from: TunnelSocket, chunk: Uint8Array): void {
    const now = this.#deps.clock.now();
    const to = from === this.#client ? this.#upstream : this.#client;
    try {
      this.tunnel.receive(from.side.name, chunk, now);
    } catch (error) {
      this.#deps.log.error({ err: error, id: this.info.id }, 'internal error, connection closed');
      this.tunnel.fail(now);
    }
    this.#pass(from, to, now);
    // While nothing has ended the tunnel, a chunk can only produce output for the other side.
    if (this.tunnel.facts !== null) this.#pump(now);
  }

  onWritten(tunnelSocket: TunnelSocket): void {
    this.#noteQueue(tunnelSocket);
    if (tunnelSocket.hasQueue) this.#afterBacklog(this.#other(tunnelSocket), tunnelSocket);
  }

  onFlushed(tunnelSocket: TunnelSocket, marks: number): void {
    const now = this.#deps.clock.now();
    this.tunnel.flushed(tunnelSocket.side.name, marks, now);
    this.#pump(now);
  }

  onDrain(tunnelSocket: TunnelSocket): void {
    tunnelSocket.hasQueue = false;
    tunnelSocket.side.keepalive.drained();
    this.#other(tunnelSocket).resume(this.#deps.clock.now());
    this.#deps.scheduler.update(this);
  }

  onEnd(tunnelSocket: TunnelSocket): void {
    const now = this.#deps.clock.now();
    this.tunnel.end(tunnelSocket.side.name, now);
    this.#pump(now);
  }

  onFinish(tunnelSocket: TunnelSocket): void {
    const now = this.#deps.clock.now();
    this.tunnel.finished(tunnelSocket.side.name, now);
    this.#pump(now);
  }

  onClose(tunnelSocket: TunnelSocket): void {
    const now = this.#deps.clock.now();
    this.tunnel.reset(tunnelSocket.side.name, now);
    this.#pump(now);
  }

  answered(side: Side, ping: OutstandingPing, now: number): void {
    this.#deps.observer.ponged(this.info, side, Math.max(0, now - ping.sentAt));
    // With room for another tag the next Ping may be due sooner than the scheduler knows.
    this.#deps.scheduler.update(this);
  }

  bridged(gap: number): void {
    this.#deps.observer.bridged(this.info, gap);
  }

  outlived(silence: number): void {
    this.#deps.observer.outlived(this.info, silence);
  }

  nextDeadline(): number {
    return this.tunnel.nextDeadline();
  }

  handleTimer(now: number): boolean {
    const needsJudgement = this.tunnel.handleTimer(now);
    this.#write(this.#client, now);
    this.#write(this.#upstream, now);
    return needsJudgement;
  }

  judge(now: number): void {
    this.#client.noteProgress(now);
    this.#upstream.noteProgress(now);
    this.tunnel.judge(now);
    this.#pump(now);
  }

  refresh(lost: number, now: number): void {
    this.tunnel.refresh(lost, now);
  }

  #other(tunnelSocket: TunnelSocket): TunnelSocket {
    return tunnelSocket === this.#client ? this.#upstream : this.#client;
  }

  /** What a chunk has led to is written when the batch ends, where that can wait. */
  #pass(from: TunnelSocket, to: TunnelSocket, now: number): void {
    const bytes = to.defer();
    if (bytes > 0) {
      this.tunnel.wrote(to.side.name, bytes, now);
      this.#deps.batch.defer(to);
      return;
    }
    this.#write(to, now);
    if (to.hasQueue) this.#afterBacklog(from, to);
  }

  #write(tunnelSocket: TunnelSocket, now: number): void {
    if (tunnelSocket.side.out.count === 0) return;
    const bytes = tunnelSocket.write();
    this.tunnel.wrote(tunnelSocket.side.name, bytes, now);
    this.#noteQueue(tunnelSocket);
  }

  #noteQueue(tunnelSocket: TunnelSocket): void {
    const { keepalive } = tunnelSocket.side;
    if (!tunnelSocket.hasQueue) keepalive.drained();
    else {
      if (tunnelSocket.holdsChunk) this.#deps.batch.keep();
      keepalive.queueing(flushedBytes(tunnelSocket.socket), this.#deps.clock.now());
    }
  }

  /** What was passed on did not go out whole: reading stops once too much of it waits. */
  #afterBacklog(from: TunnelSocket, to: TunnelSocket): void {
    const { socket, side } = to;
    const isFull = socket.writableLength >= this.#deps.buffer(this.info.route) && !side.outgoing.discarding;
    // Only where Node will emit `drain`: nothing else makes the other side be read again.
    if (isFull && socket.writableNeedDrain) from.pause(this.#deps.clock.now());
    this.#deps.scheduler.update(this);
  }

  /** After anything that may have ended a side. */
  #pump(now: number): void {
    if (Number.isNaN(this.#lastMessageAt) && this.tunnel.facts !== null) this.#lastMessageAt = this.tunnel.activeAt;
    for (const tunnelSocket of [this.#client, this.#upstream]) {
      this.#write(tunnelSocket, now);
      tunnelSocket.applyAction();
      // What comes from the other side is discarded, so it need not wait for this one.
      if (tunnelSocket.side.outgoing.discarding) this.#other(tunnelSocket).resume(now);
    }
    if (this.tunnel.isOver) this.#end();
    else this.#deps.scheduler.update(this);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deps.scheduler.remove(this);
    this.#deps.openConnections.remove(this);
    this.#deps.observer.closed(closeReport(this.info, this.tunnel, this.openedAt, this.#lastMessageAt));
  }
}
