import { ChunkList } from '../../src/core/direction.ts';
import type { CloseReport } from '../../src/core/events.ts';
import type { Connection, ConnectionDeps } from '../../src/tunnel/connection.ts';
import { OpenConnections } from '../../src/tunnel/open-connections.ts';
import { Scheduler } from '../../src/tunnel/scheduler.ts';
import { ReadBatch } from '../../src/tunnel/read-batch.ts';
import { CHATTY, drawHabits, type Habits } from './habits.ts';
import { Loop } from './loop.ts';
import { Random } from './random.ts';
import { Session, type SessionWorld } from './session.ts';
import { drawSettings, type WorldSettings } from './settings.ts';

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const AUDIT_EVERY = 4000;
/** After the drain nothing may be left, in ms. */
const AFTERMATH = 5 * MINUTE;
const KIB = 1024;

/** A promise that was not kept. */
export interface Violation {
  readonly world: number;
  readonly connection: string;
  /** ms since the world began. */
  readonly at: number;
  readonly what: string;
}

export interface WorldResult {
  /** Time for which connections were open, added up. */
  readonly hours: number;
  readonly connections: number;
  readonly events: number;
  readonly causes: ReadonlyMap<string, number>;
  readonly violations: readonly Violation[];
}

/** An hour in the life of a proxy, with some hundred connections, a reload now and then, and a drain at its end. */
export class World implements SessionWorld {
  readonly random: Random;
  readonly loop: Loop;
  readonly settings: WorldSettings;
  readonly deps: ConnectionDeps;
  isDraining = false;
  isCut = false;

  readonly #seed: number;
  readonly #stopsAtFirst: boolean;
  readonly #openConnections = new OpenConnections<Connection>();
  readonly #scheduler: Scheduler;
  readonly #sessions = new Map<string, Session>();
  readonly #violations: Violation[] = [];
  readonly #causes = new Map<string, number>();
  #opened = 0;
  #closed = 0;
  #openFor = 0;
  #reloads = 0;

  /** @param stopsAtFirst the first violation ends it */
  constructor(seed: number, stopsAtFirst: boolean) {
    this.#seed = seed;
    this.#stopsAtFirst = stopsAtFirst;
    this.random = new Random(seed);
    this.loop = new Loop(this.random.fork());
    this.settings = drawSettings(this.random);
    this.#scheduler = new Scheduler(this.loop);
    this.deps = {
      clock: this.loop,
      scheduler: this.#scheduler,
      batch: new ReadBatch(this.loop),
      openConnections: this.#openConnections,
      observer: {
        opened: () => void this.#opened++,
        closed: (report) => this.#onClosed(report),
        ponged: (info, side, rtt) => {
          if (!(rtt >= -1)) this.#note(info.id, `a round trip of ${rtt} ms to the ${side}`);
        },
        outlived: () => {},
        stoodStill: () => {},
        bridged: () => {},
      },
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: (fields) => this.#onError(fields) },
      random: this.random.fork().int32,
      toClient: new ChunkList(),
      toUpstream: new ChunkList(),
      buffer: () => this.settings.buffer,
    };
  }

  /** @param connections how many are open at a time */
  run(connections: number): WorldResult {
    try {
      this.#live(connections);
    } catch (error) {
      this.#note('-', error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    return {
      hours: this.#openFor / HOUR,
      connections: this.#opened,
      events: this.loop.events,
      causes: this.#causes,
      violations: this.#violations,
    };
  }

  complain(session: Session, what: string): void {
    this.#note(session.id, what);
  }

  #live(connections: number): void {
    for (let i = 0; i < connections; i++) this.loop.plan(this.random.between(0, MINUTE), () => this.#open());
    this.#every(AUDIT_EVERY, () => this.#audit());
    this.#every(20 * SECOND, () => this.loop.block(this.random.between(20, 950)));
    this.#every(20 * MINUTE, () => this.loop.block(this.random.between(950, 8000)));
    this.#every(20 * MINUTE, () => this.loop.suspend(this.random.between(2200, 3 * MINUTE)));
    this.#every(15 * MINUTE, () => this.loop.enter(() => this.#reload()));
    this.loop.run(HOUR);
    this.loop.enter(() => this.#drain());
    this.loop.run(HOUR + AFTERMATH);
    this.#closeBooks();
  }

  #every(mean: number, act: () => void): void {
    const wait = mean === AUDIT_EVERY ? mean : this.random.waiting(mean);
    this.loop.plan(wait, () => {
      if (this.loop.time > HOUR) return;
      act();
      this.#every(mean, act);
    });
  }

  /** One that ends is followed by another one. */
  #open(): void {
    if (this.loop.time > HOUR - SECOND) return;
    this.loop.enter(() => {
      if (this.isDraining) return;
      const id = String(this.#opened + 1);
      this.#sessions.set(id, new Session(id, this, this.#drawPair()));
    });
  }

  #drawPair(): Record<'client' | 'upstream', Habits> {
    const [first, second] = this.settings.keepalives;
    const draw = (side: 'client' | 'upstream'): Habits =>
      drawHabits(this.random, this.settings, first[side], Math.max(first[side].interval, second[side].interval));
    const pair = { client: draw('client'), upstream: draw('upstream') };
    const client = provoked(pair.client, pair.upstream);
    const upstream = provoked(pair.upstream, pair.client);
    return { client: undoubted(client, upstream), upstream: undoubted(upstream, client) };
  }

  #audit(): void {
    for (const session of this.#sessions.values()) session.audit();
  }

  #reload(): void {
    this.#reloads++;
    const settings = this.settings.keepalives[this.#reloads % 2 === 0 ? 0 : 1];
    this.#openConnections.configure(() => settings);
  }

  #drain(): void {
    this.isDraining = true;
    for (const connection of this.#openConnections) connection.drain(this.settings.drainCode, 'proxy is stopping');
    this.loop.after(this.settings.drain, () => {
      this.isCut = true;
      for (const connection of this.#openConnections) connection.destroy();
    });
  }

  #onClosed(report: CloseReport): void {
    this.#closed++;
    this.#openFor += report.durationMs;
    const key = `${report.cause} (${report.initiator})`;
    this.#causes.set(key, (this.#causes.get(key) ?? 0) + 1);
    const session = this.#sessions.get(report.id);
    this.#sessions.delete(report.id);
    if (session === undefined) this.#note(report.id, 'closed twice, or never opened');
    session?.closed(report);
    this.loop.plan(this.random.waiting(10 * SECOND), () => this.#open());
  }

  #onError(fields: object): void {
    const { err, id } = fields as { err: unknown; id: string };
    this.#note(id, err instanceof Error ? (err.stack ?? err.message) : String(err));
  }

  #closeBooks(): void {
    if (this.#opened !== this.#closed) this.#note('-', `${this.#opened} opened, ${this.#closed} closed`);
    if (this.#openConnections.size !== 0) this.#note('-', `${this.#openConnections.size} left in the registry`);
    if (this.#scheduler.size !== 0) this.#note('-', `${this.#scheduler.size} left in the scheduler`);
    if (this.loop.armed !== 0) this.#note('-', `${this.loop.armed} timers left`);
  }

  #note(connection: string, what: string): void {
    this.#violations.push({ world: this.#seed, connection, at: this.loop.time, what });
    if (this.#stopsAtFirst) this.loop.stop();
  }
}

/**
 * Who shares a connection with a deaf peer sends much, and the deaf one talks on, so that only the stall can tell. Who shares one with
 * a slow reader sends more than the reader's front gets rid of in the time for a Pong.
 */
function provoked(habits: Habits, other: Habits): Habits {
  if (other.ending === 'deaf') return { ...habits, burstEvery: 3 * MINUTE, burst: 512 * KIB, longest: 2000 };
  if (habits.ending === 'deaf') return { ...habits, capacity: 64 * KIB, messageEvery: 5 * SECOND, longest: 100 };
  // Which of the application's Pings a Pong answers that comes twice cannot be told.
  if (habits.readRate !== Infinity) return { ...habits, capacity: 4096 * KIB, replay: 0 };
  // Only where both talk is nothing ever quiet.
  if (other.messageEvery === CHATTY) return { ...habits, messageEvery: CHATTY };
  if (other.readRate !== Infinity) return { ...habits, burstEvery: 8 * MINUTE, burst: 4096 * KIB };
  return habits;
}

/**
 * Slow to read or slow to answer? That cannot be told of those who are sent much, so nobody is late who is. Nor can it of those who
 * answer twice, whose answers are counted.
 */
function undoubted(habits: Habits, other: Habits): Habits {
  if (other.burstEvery < Infinity) return { ...habits, lateAnswers: 0 };
  return habits.lateAnswers > 0 ? { ...habits, replay: 0, pongEvery: Infinity } : habits;
}
