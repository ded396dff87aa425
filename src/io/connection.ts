import type { Socket } from 'node:net';
import type { RandomInt32 } from '../core/frame.ts';
import type { Pieces } from '../core/pieces.ts';
import type { OutstandingPing } from '../core/ping-tags.ts';
import type {
  CloseFacts,
  CloseReport,
  ConnectionInfo,
  ConnectionTotals,
  Log,
  Observer,
  Side,
  TrafficObserver,
} from '../core/report.ts';
import type { KeepaliveSettings } from '../core/settings.ts';
import { Tunnel } from '../core/tunnel.ts';
import type { TunnelContext, TunnelOptions } from '../core/tunnel-options.ts';
import type { Clock } from './clock.ts';
import type { ChunkReader } from './dial.ts';
import { Endpoint, type EndpointOwner, flushedBytes } from './endpoint.ts';
import type { Registry } from './registry.ts';
import type { Scheduled, Scheduler } from './scheduler.ts';
import type { Turn } from './turn.ts';

/** What all connections share. */
export interface ConnectionDeps {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly turn: Turn;
  readonly registry: Registry;
  readonly observer: Pick<Observer, 'opened' | 'closed'> & TrafficObserver;
  readonly log: Log;
  readonly random: RandomInt32;
  /** On the way to the sockets; empty between two events. */
  readonly toClient: Pieces;
  readonly toUpstream: Pieces;
  /** How many bytes may wait for one side before the other is no longer read. */
  readonly buffer: () => number;
}

/** The two sockets of a connection. */
export interface ConnectionSockets {
  readonly client: Socket;
  /** Where chunks of the client come from; left out: `data` events. */
  readonly clientReader?: ChunkReader;
  /** What the client sent before its 101. */
  readonly clientHead: Buffer;
  readonly upstream: Socket;
  /** Where chunks of the upstream come from. */
  readonly reader: ChunkReader;
  /** What the upstream sent behind its 101. */
  readonly upstreamRest: Buffer;
}

/** The pump of one tunnel: feeds it from two sockets, writes what comes out, carries out its wishes, keeps its deadline. */
export class Connection implements EndpointOwner, Scheduled, TunnelContext {
  // What every chunk needs comes first, as in the tunnel.
  readonly tunnel: Tunnel;
  readonly #deps: ConnectionDeps;
  readonly #client: Endpoint;
  readonly #upstream: Endpoint;
  readonly info: ConnectionInfo;
  readonly openedAt: number;
  readonly random: RandomInt32;
  readonly toClient: Pieces;
  readonly toUpstream: Pieces;
  deadline = Number.POSITIVE_INFINITY;
  slot = -1;

  readonly #forget: () => void;
  #isOver = false;

  constructor(deps: ConnectionDeps, info: ConnectionInfo, sockets: ConnectionSockets, options: TunnelOptions) {
    this.#deps = deps;
    this.info = info;
    this.random = deps.random;
    this.toClient = deps.toClient;
    this.toUpstream = deps.toUpstream;
    this.openedAt = deps.clock.now();
    this.tunnel = new Tunnel(options, this, this.openedAt);
    this.#client = new Endpoint(this, this.tunnel.client, sockets.client);
    this.#upstream = new Endpoint(this, this.tunnel.upstream, sockets.upstream);
    this.#forget = deps.registry.add(this);
    deps.observer.opened(info);
  }

  /** Passes on what came during the handshake, and reads on. */
  start(sockets: ConnectionSockets): void {
    const { client, clientHead, clientReader, upstream, upstreamRest, reader } = sockets;
    reader.sink = this.#upstream;
    if (clientReader === undefined) this.#client.readData();
    else clientReader.sink = this.#client;
    if (upstreamRest.length > 0) this.onChunk(this.#upstream, upstreamRest);
    if (clientHead.length > 0) this.onChunk(this.#client, clientHead);
    if (!this.#client.isPaused) client.resume();
    if (!this.#upstream.isPaused) upstream.resume();
    // A socket that was lost in between has told nobody.
    for (const endpoint of [this.#client, this.#upstream]) if (endpoint.socket.destroyed) this.onClose(endpoint);
    this.#deps.scheduler.update(this);
  }

  configure(settings: KeepaliveSettings): void {
    this.tunnel.configure(settings);
    this.#deps.scheduler.update(this);
  }

  totals(): ConnectionTotals {
    const { client, upstream } = this.tunnel;
    const [up, down] = [upstream.relay, client.relay];
    return {
      bytesUp: up.bytes,
      bytesDown: down.bytes,
      framesUp: up.scanner.frames,
      framesDown: down.scanner.frames,
      pingsClient: client.keepalive.pings,
      pingsUpstream: upstream.keepalive.pings,
      pongsClient: client.keepalive.pongs,
      pongsUpstream: upstream.keepalive.pongs,
      violationsUp: up.scanner.violations,
      violationsDown: down.scanner.violations,
    };
  }

  /** The proxy stops: a Close with this code both ways. */
  drain(code: number, reason: string): void {
    const now = this.#deps.clock.now();
    this.tunnel.drain(code, reason, now);
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

  onChunk(from: Endpoint, chunk: Uint8Array): void {
    const now = this.#deps.clock.now();
    const to = from === this.#client ? this.#upstream : this.#client;
    try {
      this.tunnel.receive(from.leg.side, chunk, now);
    } catch (error) {
      this.#deps.log.error({ err: error, id: this.info.id }, 'internal error, connection closed');
      this.tunnel.fail(now);
    }
    this.#pass(from, to, now);
    // Until something ends the connection, nothing but the other side's bytes can come of a chunk.
    if (this.tunnel.facts !== null) this.#pump(now);
  }

  onWritten(endpoint: Endpoint): void {
    this.#noteQueue(endpoint);
    if (endpoint.hasQueue) this.#afterBacklog(this.#other(endpoint), endpoint);
  }

  onFlushed(endpoint: Endpoint, marks: number): void {
    const now = this.#deps.clock.now();
    this.tunnel.flushed(endpoint.leg.side, marks, now);
    this.#pump(now);
  }

  onDrain(endpoint: Endpoint): void {
    endpoint.hasQueue = false;
    endpoint.leg.keepalive.drained();
    this.#other(endpoint).resume(this.#deps.clock.now());
  }

  onEnd(endpoint: Endpoint): void {
    const now = this.#deps.clock.now();
    this.tunnel.end(endpoint.leg.side, now);
    this.#pump(now);
  }

  onFinish(endpoint: Endpoint): void {
    const now = this.#deps.clock.now();
    this.tunnel.finished(endpoint.leg.side, now);
    this.#pump(now);
  }

  onClose(endpoint: Endpoint): void {
    const now = this.#deps.clock.now();
    this.tunnel.reset(endpoint.leg.side, now);
    this.#pump(now);
  }

  answered(side: Side, ping: OutstandingPing, now: number): void {
    this.#deps.observer.ponged(this.info, side, Math.max(0, now - ping.sentAt), ping.quiet);
  }

  bridged(gap: number): void {
    this.#deps.observer.bridged(this.info, gap);
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
    this.#noteProgress(this.#client, now);
    this.#noteProgress(this.#upstream, now);
    this.tunnel.judge(now);
    this.#pump(now);
  }

  refresh(now: number): void {
    this.tunnel.refresh(now);
  }

  #other(endpoint: Endpoint): Endpoint {
    return endpoint === this.#client ? this.#upstream : this.#client;
  }

  /** What a chunk has led to is written at the end of the turn, where that can wait. */
  #pass(from: Endpoint, to: Endpoint, now: number): void {
    const bytes = to.defer();
    if (bytes > 0) {
      this.tunnel.wrote(to.leg.side, bytes, now);
      this.#deps.turn.defer(to);
      return;
    }
    this.#write(to, now);
    if (to.hasQueue) this.#afterBacklog(from, to);
  }

  #write(endpoint: Endpoint, now: number): void {
    if (endpoint.leg.out.count === 0) return;
    const bytes = endpoint.write();
    this.tunnel.wrote(endpoint.leg.side, bytes, now);
    this.#noteQueue(endpoint);
  }

  #noteQueue(endpoint: Endpoint): void {
    const { keepalive } = endpoint.leg;
    if (!endpoint.hasQueue) keepalive.drained();
    else {
      if (endpoint.holdsPiece) this.#deps.turn.keep();
      keepalive.queueing(flushedBytes(endpoint.socket), this.#deps.clock.now());
    }
  }

  /** What was passed on did not go out whole. */
  #afterBacklog(from: Endpoint, to: Endpoint): void {
    const { socket } = to;
    // Without `drain` to come nobody would read on.
    if (socket.writableLength >= this.#deps.buffer() && socket.writableNeedDrain && !to.leg.relay.discarding)
      from.pause();
    this.#deps.scheduler.update(this);
  }

  /** After anything that may have ended a side. */
  #pump(now: number): void {
    for (const endpoint of [this.#client, this.#upstream]) {
      this.#write(endpoint, now);
      endpoint.grant();
      // What is discarded need not wait.
      if (endpoint.leg.relay.discarding) this.#other(endpoint).resume(now);
    }
    if (this.tunnel.isOver) this.#end();
    else this.#deps.scheduler.update(this);
  }

  #noteProgress(endpoint: Endpoint, now: number): void {
    const { socket, leg } = endpoint;
    if (socket.writableLength === 0) leg.keepalive.drained();
    else leg.keepalive.progressed(flushedBytes(socket), now);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deps.scheduler.remove(this);
    this.#forget();
    this.#deps.observer.closed(this.#report());
  }

  #report(): CloseReport {
    const { client, upstream, ending } = this.tunnel;
    const { facts, decidedAt, idleAtEnd } = ending;
    const { rtt } = client.keepalive;
    return {
      ...this.info,
      ...(facts as CloseFacts),
      ...this.totals(),
      endedAt: decidedAt,
      durationMs: decidedAt - this.openedAt,
      violation: upstream.relay.scanner.lastViolation ?? client.relay.scanner.lastViolation,
      rttMs: rtt < 0 ? null : rtt,
      idleMs: idleAtEnd,
    };
  }
}
