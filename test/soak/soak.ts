/**
 * Runs round after round: an idle crowd that stays, clients of every kind that come and go, and each time something that
 * is restarted, reloaded or killed under them. At rest between the rounds the books have to balance.
 */
import { setTimeout } from 'node:timers/promises';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { randomFrom } from '../support/ends.ts';
import { Books } from './books.ts';
import { bytesOf, type Fate, SoakClient } from './client.ts';
import { CUT_AFTER, type SoakFront, startHaproxy, startNginx } from './fronts.ts';
import { kindAt } from './kinds.ts';
import type { SoakOptions } from './options.ts';
import { type PlainServer, startPlainServer } from './plain.ts';
import { type Holdings, type SoakProxy, startSoakProxy } from './proxy.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** Clients of a round arrive within this time, in ms. */
const ARRIVAL_MS = 1_500;
const DISTURB_AT_MS = 1_200;
/** How long after it something may still be lost on its account, in ms. */
const AFTERMATH_MS = 1000 * CUT_AFTER + 2_000;
const DOWN_MS = 300;
const BATCH = 50;
/** For closing lines, which wait for a second, and the two that had to find out that somebody is dead. */
const LINE_PATIENCE = 20_000;

export const DISTURBANCES = [
  'nginx reloaded',
  'HAProxy reloaded',
  'upstream restarted',
  'proxy reloaded',
  'half the crowd killed',
] as const;
type DisturbanceName = (typeof DISTURBANCES)[number];

export interface SoakResult {
  readonly books: Books;
  readonly rounds: number;
  readonly disturbances: ReadonlyMap<DisturbanceName, number>;
  /** At rest after each round, with the same crowd. */
  readonly samples: readonly Holdings[];
  readonly exitCode: number | null;
}

/** @param tell gets a line of text after each round */
export async function soak(cleanup: Cleanup, options: SoakOptions, tell: (line: string) => void): Promise<SoakResult> {
  const run = await Run.start(cleanup, options);
  const disturbances = new Map<DisturbanceName, number>();
  const samples: Holdings[] = [];
  const endAt = performance.now() + options.minutes * 60_000;
  for (let round = 0; round < options.rounds || performance.now() < endAt; round += 1) {
    const name = DISTURBANCES[round % DISTURBANCES.length] ?? 'proxy reloaded';
    await run.round(name);
    disturbances.set(name, (disturbances.get(name) ?? 0) + 1);
    const sample = await run.rest();
    samples.push(sample);
    tell(
      `round ${round + 1}: ${name}; ${run.books.logged.closed} closed, ${run.crowd} open, ${run.books.plain.lines} requests, ${inWords(sample)}`,
    );
    if (run.books.faults.length > 0) break;
  }
  const exitCode = await run.finish();
  return { books: run.books, rounds: samples.length, disturbances, samples, exitCode };
}

export function inWords({ memory, resident, descriptors }: Holdings): string {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${mebibytes(memory)} in use, ${mebibytes(resident)} resident, ${descriptors} descriptors`;
}

class Run {
  readonly books: Books;
  readonly #options: SoakOptions;
  readonly #proxy: SoakProxy;
  readonly #upstream: Upstream;
  readonly #plainServer: PlainServer;
  readonly #fronts: readonly SoakFront[];
  readonly #random: () => number;
  #numbers = 0;
  #crowd: SoakClient[] = [];
  #passing: SoakClient[] = [];

  private constructor(parts: {
    options: SoakOptions;
    books: Books;
    proxy: SoakProxy;
    upstream: Upstream;
    plainServer: PlainServer;
    fronts: readonly SoakFront[];
  }) {
    this.#options = parts.options;
    this.books = parts.books;
    this.#proxy = parts.proxy;
    this.#upstream = parts.upstream;
    this.#plainServer = parts.plainServer;
    this.#fronts = parts.fronts;
    this.#random = randomFrom(parts.options.seed);
  }

  static async start(cleanup: Cleanup, options: SoakOptions): Promise<Run> {
    const books = new Books();
    const upstream = await startUpstream(cleanup);
    const plainServer = await startPlainServer(cleanup);
    const ports = { upstreamPort: upstream.port, plainPort: plainServer.port };
    const proxy = await startSoakProxy(cleanup, { ...ports, onLine: books.onLine });
    const most = 2 * (options.crowd + options.active);
    const fronts = [await startNginx(cleanup, proxy.port, most), await startHaproxy(cleanup, proxy.port, most)];
    const run = new Run({ options, books, proxy, upstream, plainServer, fronts });
    atEnd(cleanup, () => {
      for (const client of [...run.#crowd, ...run.#passing]) client.kill('fin');
    });
    await run.#gather();
    return run;
  }

  get crowd(): number {
    return this.#crowd.length;
  }

  async round(name: DisturbanceName): Promise<void> {
    const acts = Array.from({ length: this.#options.active }, () => this.#act());
    const plain = Array.from({ length: this.#options.active }, () => this.#ask());
    await setTimeout(DISTURB_AT_MS);
    await this.#disturb(name);
    await Promise.all([...acts, ...plain]);
    const gone = this.#crowd.filter(({ end }) => end.gone);
    this.#crowd = this.#crowd.filter((client) => !gone.includes(client));
    await this.#settle([...this.#passing.splice(0), ...gone]);
  }

  /** Everybody is there and answers, nothing else is open. */
  async rest(): Promise<Holdings> {
    await this.#gather();
    await Promise.all(
      this.#crowd.map(async (client) => {
        await client.say(bytesOf(100));
        await client.echoed();
      }),
    );
    for (const client of this.#crowd) if (client.end.gone) this.books.fault(`client ${client.number} was lost at rest`);
    await this.books.compare(await this.#proxy.metrics(), this.crowd);
    return this.#proxy.holdings();
  }

  /** Closes the crowd, and the books. */
  async finish(): Promise<number | null> {
    await Promise.all(this.#crowd.map((client) => client.close(1001)));
    await this.#settle(this.#crowd.splice(0));
    await this.books.compare(await this.#proxy.metrics(), 0);
    return this.#proxy.stop();
  }

  #newClient(fate: Fate): { client: SoakClient; port: number } {
    this.#numbers += 1;
    const front = this.#frontAt(this.#numbers);
    return { client: new SoakClient(this.#numbers, front.name, fate), port: front.port };
  }

  #frontAt(index: number): SoakFront {
    const front = this.#fronts[index % this.#fronts.length];
    if (front === undefined) throw new Error('there are no fronts');
    return front;
  }

  /** For a client of its own, so that what it does depends on nothing but the seed. */
  #newRandom(): () => number {
    return randomFrom(Math.floor(this.#random() * 2 ** 31));
  }

  async #act(): Promise<void> {
    const random = this.#newRandom();
    const kind = kindAt(random());
    await setTimeout(random() * ARRIVAL_MS);
    const { client, port } = this.#newClient(kind.fate);
    this.#passing.push(client);
    // Whether it had to succeed is judged when it is settled.
    await client.connect(port).catch(() => undefined);
    if (!client.isOpen) return;
    await kind.act(client, random).catch((error: unknown) => this.books.fault(`${kind.name}: ${String(error)}`));
    client.kill('fin');
  }

  /** Plain HTTP beside them. */
  async #ask(): Promise<void> {
    const random = this.#newRandom();
    const front = this.#frontAt(Math.floor(random() * this.#fronts.length));
    await setTimeout(random() * ARRIVAL_MS);
    // Whether it had to succeed is judged when it is settled.
    await this.books.plain.act(front, random).catch(() => undefined);
  }

  /** Fills the crowd up. */
  async #gather(): Promise<void> {
    for (const front of this.#fronts) await front.ready();
    while (this.crowd < this.#options.crowd) {
      const batch = Array.from({ length: Math.min(BATCH, this.#options.crowd - this.crowd) }, async () => {
        const { client, port } = this.#newClient('orderly');
        await client.connect(port);
        return client;
      });
      this.#crowd.push(...(await Promise.all(batch)));
    }
  }

  async #disturb(name: DisturbanceName): Promise<void> {
    if (name === 'proxy reloaded') {
      const { reloads } = this.books;
      this.#proxy.reload(reloads % 2 === 0 ? 700 : 1000);
      await this.books.untilReloaded(reloads + 1);
      return;
    }
    const [nginx, haproxy] = this.#fronts;
    const front = name === 'nginx reloaded' ? nginx : name === 'HAProxy reloaded' ? haproxy : undefined;
    const disturbance = { front: front?.name ?? ('all' as const), from: performance.now(), until: Infinity };
    this.books.disturbances.push(disturbance);
    if (front !== undefined) await front.reload();
    else if (name === 'upstream restarted')
      await Promise.all([this.#upstream.restart(DOWN_MS), this.#plainServer.restart(DOWN_MS)]);
    else for (const [index, client] of this.#crowd.entries()) if (index % 2 === 0) client.kill('reset');
    await setTimeout(AFTERMATH_MS);
    disturbance.until = performance.now();
  }

  async #settle(clients: readonly SoakClient[]): Promise<void> {
    await this.books.untilClosed(clients, LINE_PATIENCE);
    for (const client of clients) this.books.settle(client, this.#upstream.take(client.number));
    await this.books.settlePlain(this.#plainServer.seen);
    await this.#plainServer.idle();
  }
}
