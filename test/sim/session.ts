import { Connection, type ConnectionDeps } from '../../src/tunnel/connection.ts';
import type { ChunkReader } from '../../src/tunnel/dial.ts';
import { SocketReader } from '../../src/tunnel/socket-reader.ts';
import type { CloseReport, ConnectionInfo, Side } from '../../src/core/events.ts';
import { MESSAGE_PATIENCE } from '../../src/core/side.ts';
import { checkReport } from './books.ts';
import { Checker } from './checker.ts';
import { Ledger } from './ledger.ts';
import { Link } from './link.ts';
import type { Loop } from './loop.ts';
import { Peer } from './peer.ts';
import type { Habits } from './habits.ts';
import type { Random } from './random.ts';
import type { WorldSettings } from './settings.ts';
import { SimSocket } from './sim-socket.ts';
import type { Tap } from './tap.ts';
import { Watch } from './watch.ts';

const NEVER = Number.POSITIVE_INFINITY;
const READ_CHUNK = 65_536;
/** For so long after a suspend, in ms. */
const UNCERTAIN = 300_000;
/** Pongs of one side that may wait behind an upload. */
const MOST_QUEUED = 6;
/** Frames of the proxy's own, and what is held back, in bytes. */
const SMALL_CHANGE = 4096;

/** One end of a simulated connection: the peer, the way to it, the proxy's socket, and the checker of what goes there. */
export interface SimEnd {
  readonly side: Side;
  readonly peer: Peer;
  readonly link: Link;
  readonly socket: SimSocket;
  readonly ledger: Ledger;
  /** Of the direction towards the peer. */
  readonly checker: Checker;
  /** The front cut the connection, in ms; `Infinity`: it did not. */
  cutAt: number;
  /** The proxy's socket was lost to the peer's reset. */
  isLost: boolean;
}

/** What the sessions of a world share. */
export interface SessionWorld {
  readonly loop: Loop;
  readonly random: Random;
  readonly settings: WorldSettings;
  readonly deps: ConnectionDeps;
  /** The proxy was told to stop. */
  isDraining: boolean;
  /** It has cut what was left. */
  isCut: boolean;
  complain(session: Session, what: string): void;
}

/** One connection through the proxy, and everything that is checked about it. */
export class Session {
  readonly id: string;
  readonly world: SessionWorld;
  readonly client: SimEnd;
  readonly upstream: SimEnd;
  readonly connection: Connection;
  readonly openedAt: number;

  readonly #watch: Watch;
  #complaints = 0;

  constructor(id: string, world: SessionWorld, habits: Record<Side, Habits>) {
    this.id = id;
    this.world = world;
    this.openedAt = world.loop.time;
    const ledgers = { client: new Ledger(), upstream: new Ledger() };
    this.client = this.#createEnd('client', habits.client, ledgers);
    this.upstream = this.#createEnd('upstream', habits.upstream, ledgers);
    const reader = new SocketReader(world.deps.batch);
    const clientReader = world.settings.clientReader ? new SocketReader(world.deps.batch) : null;
    const clientSocket = this.#createSocket(this.client, this.upstream, clientReader);
    const upstreamSocket = this.#createSocket(this.upstream, this.client, reader);
    const parts = {
      info: this.#info(),
      client: clientSocket.asSocket,
      clientHead: Buffer.alloc(0),
      upstream: upstreamSocket.asSocket,
      upstreamReader: reader,
      upstreamRest: Buffer.alloc(0),
    };
    const { stall, limits } = world.settings;
    const options = { keepalive: world.settings.keepalives[0], stall, limits };
    this.connection = new Connection(world.deps, parts, parts.client, options);
    this.#watch = new Watch(this);
    this.connection.start(parts, clientReader);
    for (const { socket, side } of this.ends) if (!socket.isKeptAlive) this.complain(`no SO_KEEPALIVE to the ${side}`);
    this.client.peer.start();
    this.upstream.peer.start();
  }

  #info(): ConnectionInfo {
    return {
      id: this.id,
      route: 'sim',
      client: '192.0.2.1',
      front: '192.0.2.2',
      frontIsKnown: true,
      path: '/ws',
      request: { host: '', userAgent: '', requestId: '' },
    };
  }

  get ends(): readonly SimEnd[] {
    return [this.client, this.upstream];
  }

  other(end: SimEnd): SimEnd {
    return end === this.client ? this.upstream : this.client;
  }

  /** The proxy says that the connection is over. */
  closed(report: CloseReport): void {
    for (const complaint of checkReport(this, report)) this.complain(complaint);
  }

  /** What has to hold at any time. */
  audit(): void {
    for (const end of this.ends) {
      end.checker.checkHeld();
      this.#checkMemory(end);
      this.#checkQueue(end);
    }
    for (const complaint of this.#watch.look()) this.complain(complaint);
  }

  complain(what: string): void {
    this.#complaints++;
    if (this.#complaints === 1) this.world.complain(this, what);
  }

  /** The longest or the shortest Ping interval that may be in force towards a side, in ms. */
  interval(side: Side, which: 'min' | 'max'): number {
    const [first, second] = this.world.settings.keepalives;
    return Math[which](first[side].interval, second[side].interval);
  }

  #createEnd(side: Side, habits: Habits, ledgers: Record<Side, Ledger>): SimEnd {
    const { loop, random } = this.world;
    const link = new Link(loop, random.fork(), habits, () => this.#noteCut(end));
    const isUp = side === 'upstream';
    const checker = new Checker(loop, {
      isUp,
      from: isUp ? ledgers.client : ledgers.upstream,
      to: ledgers[side],
      interval: () => this.interval(side, 'min'),
      heardAt: () => end.socket.readAt,
      isBroken: () => this.#isFlooded,
      isDraining: () => this.world.isDraining,
      complain: (what) => this.complain(`towards the ${side}: ${what}`),
    });
    const peer = new Peer(!isUp, habits, loop, random.fork(), link);
    link.peer = peer;
    const end = { side, peer, link, ledger: ledgers[side], checker, cutAt: NEVER, isLost: false } as SimEnd;
    return end;
  }

  #createSocket(end: SimEnd, other: SimEnd, reader: ChunkReader | null): SimSocket {
    const { loop, settings } = this.world;
    const tap: Tap = {
      read: (bytes) => other.checker.read(bytes),
      wrote: (piece) => {
        this.#checkMemory(end);
        end.checker.wrote(piece);
      },
      dropped: (piece) => end.checker.dropped(piece),
      ended: () => end.checker.ended(this.#isInputOver(other)),
      destroyed: (how, waiting, byPeer) => this.#noteDestroyed(end, how, waiting, byPeer),
    };
    const socket = new SimSocket(loop, end.link, tap, settings.highWaterMark, reader);
    end.link.socket = socket;
    Object.assign(end, { socket });
    return socket;
  }

  /** How long the late take cannot be told while the machine sleeps. */
  isUncertain({ peer }: SimEnd): boolean {
    const { lateEnd, time } = this.world.loop;
    return peer.facts.isLate && lateEnd > time - UNCERTAIN;
  }

  /** Nothing more comes from there, and what a limit has stopped does not count. */
  #isInputOver(from: SimEnd): boolean {
    return (from.socket.sawEnd || from.isLost) && !this.#isFlooded;
  }

  /** Bytes that wait are thrown away for a good reason alone. */
  #noteDestroyed(end: SimEnd, how: 'destroy' | 'reset', waiting: number, byPeer: boolean): void {
    const { facts } = end.peer;
    const isGone =
      this.isUncertain(end) || byPeer || end.socket.receivedReset || end.link.refuses || facts.isDead || facts.gotReset;
    // Who passes a limit is reset, and what waits for it goes with that.
    const isReset = how === 'reset' && this.#isFlooded;
    if (waiting > 0 && !isGone && !this.world.isCut && !isReset)
      this.complain(`${waiting} bytes for a healthy ${end.side} were thrown away`);
    if (how === 'reset' && !isGone && !isReset) this.complain(`a healthy ${end.side} was reset`);
    end.isLost = byPeer;
    end.checker.stop();
  }

  /** The other side answers a flood of Pings, and may pass the limit as well. */
  get #isFlooded(): boolean {
    return this.ends.some(({ peer }) => peer.facts.passedLimit);
  }

  /** A front with a limit longer than the interval has no reason to cut what is healthy. */
  #noteCut(end: SimEnd): void {
    end.cutAt = this.world.loop.time;
    const { idleLimit } = end.peer.habits;
    const { lateEnd, time } = this.world.loop;
    const isShort = idleLimit <= this.interval(end.side, 'max') * (1 + MESSAGE_PATIENCE) + 1500;
    const wasLate = lateEnd > time - idleLimit - 1000;
    const isOver = this.connection.tunnel.facts !== null || this.ends.some((each) => each.peer.facts.faultAt <= time);
    if (!isShort && !wasLate && !isOver && end.checker.atBoundary)
      this.complain(`the front of a healthy ${end.side} cut it after ${idleLimit} ms`);
  }

  /** Pongs of the proxy's Pings alone wait behind an upload: four tags, and one that was on its way to each of its ends.
   * A way that pauses may bring nothing for an interval: then the newest Ping goes out once more. */
  #checkQueue({ side, peer, ledger }: SimEnd): void {
    const isSteady = peer.habits.replay === 0 && peer.habits.pause === 0;
    if (peer.facts.queuedPongs > MOST_QUEUED && !ledger.isAskedByOthers && isSteady)
      this.complain(`${peer.facts.queuedPongs} Pongs wait behind an upload of the ${side}`);
  }

  /** Invariant 8. */
  #checkMemory(end: SimEnd): void {
    const bound = this.world.settings.buffer + this.world.settings.highWaterMark + 2 * READ_CHUNK + SMALL_CHANGE;
    if (end.socket.writableLength > bound)
      this.complain(`${end.socket.writableLength} bytes wait for the ${end.side}, more than ${bound}`);
  }
}
