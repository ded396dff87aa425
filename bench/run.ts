/** Runs loads on systems, round by round in turn. */
import { mkdirSync } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/support/free-port.ts';
import { Scope } from '../test/support/scope.ts';
import type { Load, Sample, StormLoad } from './loads.ts';
import type { Cores } from './machine.ts';
import { limitMemory, type MemoryLimit } from './memory-limit.ts';
import { type Program, Running, start } from './process.ts';
import type { Results } from './results.ts';
import { measureOnce, measureStorms } from './storm.ts';
import { type Beside, command, type SystemName } from './systems.ts';
import type { Tools } from './tools.ts';

/** A program that has just started is looked at after this. */
const START_MS = 2000;
/** Opened and given up before connections are counted, so that code which runs for the first time does not count as theirs. */
const WARM_CONNECTIONS = 200;
/**
 * The same for programs that give memory back after a crowd, and only then: both looks have to see a heap without garbage. Others keep the
 * room of the first crowd, and it would not be counted for the second.
 */
const WARM_CROWD = 1000;
const GIVES_BACK: ReadonlySet<SystemName> = new Set(['ours', 'other', 'image', 'image-newer']);
/** Connections are looked at this long after they were opened: V8 gives room back in some seconds without work. */
const SETTLE_MS = 12_000;
/** One interval of Pings. */
const IDLE_MS = 10_000;
/** How long memory has to come back. */
const LEFT_MS = 14_000;
/** Idle connections that are held at a time: the echo server has a descriptor for each. */
const MOST_IDLE = 16_000;

export interface Plan extends Beside {
  readonly loads: readonly Load[];
  readonly systems: readonly SystemName[];
  readonly rounds: number;
  /** Measured seconds of each run, and those before. */
  readonly secs: number;
  readonly warm: number;
  readonly cores: Cores;
  readonly folder: string;
  /** No further round: what is measured is enough. */
  readonly isStopped: () => boolean;
}

/** A system that runs, or nothing in front of the echo server. */
interface Stand {
  readonly system: SystemName;
  readonly port: number;
  readonly proxy: Running | null;
}

export class Runner {
  readonly #plan: Plan;
  readonly #tools: Tools;
  readonly #results: Results;
  readonly #report: (line: string) => void;
  readonly #ports = new Scope();

  constructor(plan: Plan, tools: Tools, results: Results, report: (line: string) => void) {
    this.#plan = plan;
    this.#tools = tools;
    this.#results = results;
    this.#report = report;
  }

  async run(): Promise<void> {
    try {
      for (const group of new Set(this.#plan.loads.map((load) => load.group))) {
        await this.#runGroup(this.#plan.loads.filter((load) => load.group === group));
      }
    } finally {
      await this.#ports.undo();
    }
  }

  async #runGroup(loads: readonly Load[]): Promise<void> {
    if (this.#plan.isStopped()) return;
    const upstream = await freePort(this.#ports);
    const echo = new Running(this.#tool(this.#tools.echo, [String(upstream)]), 'echo');
    await echo.listening(upstream);
    const wanted = this.#plan.systems.filter((system) => loads.some((load) => load.systems.includes(system)));
    const isFresh = loads.some(startsFresh);
    const stands = new Map<SystemName, Stand>();
    try {
      if (!isFresh) for (const system of wanted) await this.#keep(stands, system, upstream);
      for (let round = 0; round < this.#plan.rounds && !this.#plan.isStopped(); round++) {
        for (const load of loads) {
          const systems = turned(wanted, round).filter((system) => load.systems.includes(system));
          for (const some of portions(load.kind === 'storm' ? bracketed(systems) : systems, atOnce(load))) {
            await Promise.all(some.map((system) => this.#measure(load, system, round, stands.get(system), upstream)));
          }
        }
        this.#report(`${loads.map((load) => load.name).join(', ')}: round ${round + 1} of ${this.#plan.rounds}`);
      }
    } finally {
      for (const stand of stands.values()) await stand.proxy?.stop();
      await echo.stop();
    }
  }

  async #keep(stands: Map<SystemName, Stand>, system: SystemName, upstream: number): Promise<void> {
    try {
      stands.set(system, await this.#start(system, upstream));
    } catch (error) {
      this.#results.failures.push(`${system} does not start: ${(error as Error).message}`);
    }
  }

  /** A run that fails costs only its own figure. */
  async #measure(
    load: Load,
    system: SystemName,
    round: number,
    kept: Stand | undefined,
    upstream: number,
  ): Promise<void> {
    if (kept === undefined && !startsFresh(load)) return;
    let stand = kept;
    let limit: MemoryLimit | null = null;
    try {
      if (load.kind === 'storm' && load.memory !== null) limit = limitMemory(load.memory);
      stand ??= await this.#start(system, upstream, limit);
      this.#results.add(load.name, system, round, await this.#sample(load, stand));
    } catch (error) {
      this.#results.failures.push(`${load.name} with ${system}: ${(error as Error).message}`);
    } finally {
      if (kept === undefined) await stand?.proxy?.stop();
      limit?.remove();
    }
  }

  async #start(system: SystemName, upstream: number, limit: MemoryLimit | null = null): Promise<Stand> {
    const port = await freePort(this.#ports);
    const folder = `${this.#plan.folder}/${system}`;
    mkdirSync(folder, { recursive: true });
    const place = { port, upstream, admin: await freePort(this.#ports), folder };
    const program = command(system, place, this.#tools.peers, this.#plan);
    if (program === null) return { system, port: upstream, proxy: null };
    const limited = limit === null ? {} : { procs: limit.procs };
    const proxy = new Running({ ...program, ...limited, core: this.#plan.cores.proxy }, system);
    await proxy.listening(port);
    return { system, port, proxy };
  }

  async #sample(load: Load, stand: Stand): Promise<Sample> {
    if (load.kind === 'idle') return this.#hold(load, stand);
    if (load.kind === 'storm') return this.#storm(load, stand);
    const { proxy } = stand;
    let [before, from] = [0, 0];
    // Called again when measuring starts: what opening and warming up cost is left out then.
    function look(): void {
      [before, from] = [proxy?.cpu() ?? 0, performance.now()];
    }
    look();
    const figures = await this.#runTool(load, stand.port, look);
    if (proxy === null) return figures;
    const cores = (proxy.cpu() - before) / ((performance.now() - from) / 1000);
    return {
      ...figures,
      cores,
      ...(figures.rate === undefined || cores === 0 ? {} : { per_core: figures.rate / cores }),
    };
  }

  async #runTool(load: Exclude<Load, { kind: 'idle' | 'storm' }>, port: number, look: () => void): Promise<Sample> {
    const { websocket, http } = this.#tools;
    const times = [`secs=${this.#plan.secs}`, `warm=${this.#plan.warm}`];
    const conns = `conns=${load.conns}`;
    switch (load.kind) {
      case 'messages': {
        const shape = [conns, `size=${load.size}`, `inflight=${load.inflight}`];
        return this.#figures(websocket, ['load', String(port), ...shape, ...times], look);
      }
      case 'setup': {
        const { open_s: seconds } = await this.#figures(
          websocket,
          ['load', String(port), conns, 'secs=0', 'warm=0'],
          look,
        );
        return { rate: load.conns / (seconds as number) };
      }
      case 'requests':
        return this.#figures(http, [String(port), conns, ...times], look);
      case 'download':
        return this.#figures(http, [String(port), conns, 'requests=1', `path=/bytes/${load.bytes}`], look);
    }
  }

  /** Runs a generator to its end. Its first line of two says that measuring starts. @returns what its last line says */
  async #figures(tool: string, args: readonly string[], look: () => void): Promise<Sample & Record<string, number>> {
    const child = start(this.#tool(tool, args), ['ignore', 'pipe', 'pipe']);
    let [output, complaint] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (text === '{}\n') look();
      output += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`the generator ended with ${code}: ${complaint}${output}`);
    return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, number>;
  }

  #storm(load: StormLoad, { port, proxy }: Stand): Promise<Sample> {
    if (proxy === null) return Promise.resolve({});
    const step = load.step === null ? [] : [`step=${load.step}`];
    const tool = this.#tool(this.#tools.storm, [String(port), `conns=${load.conns}`, ...step]);
    const isOnce = load.step !== null || load.memory !== null;
    return isOnce ? measureOnce(tool, proxy, load) : measureStorms(tool, proxy, load);
  }

  /** Connections are opened, left alone, and given up. */
  async #hold(load: Load, { system, port, proxy }: Stand): Promise<Sample> {
    if (proxy === null) return {};
    await sleep(START_MS);
    const started = proxy.memory();
    await (await this.#open(GIVES_BACK.has(system) ? WARM_CROWD : WARM_CONNECTIONS, port))();
    await sleep(SETTLE_MS);
    const fresh = proxy.memory();
    const giveUp = await this.#open(load.conns, port);
    await sleep(SETTLE_MS);
    const before = proxy.cpu();
    await sleep(IDLE_MS);
    const idleCores = (proxy.cpu() - before) / (IDLE_MS / 1000);
    const bytes = (proxy.memory() - fresh) / load.conns;
    await giveUp();
    await sleep(LEFT_MS);
    return { bytes, idle_cores: idleCores, memory_left: proxy.memory() / started };
  }

  /** Opens connections that say nothing. @returns what gives them up */
  async #open(conns: number, port: number): Promise<() => Promise<void>> {
    const tool = this.#tool(this.#tools.websocket, ['hold', String(port), `conns=${conns}`]);
    const child = start(tool, ['pipe', 'pipe', 'ignore']);
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const [first] = (await Promise.race([once(lines, 'line'), once(child, 'exit')])) as [unknown];
    if (typeof first !== 'string') throw new Error(`not all of ${conns} connections opened`);
    return async () => {
      const exited = once(child, 'exit');
      child.stdin?.end();
      const [code] = (await exited) as [number | null];
      if (code !== 0) throw new Error('idle connections died');
    };
  }

  #tool(path: string, args: readonly string[]): Program {
    return { command: path, args, folder: this.#plan.folder, core: this.#plan.cores.load };
  }
}

/** Idle systems do not disturb each other. */
function atOnce(load: Load): number {
  return load.kind === 'idle' ? Math.max(1, Math.floor(MOST_IDLE / load.conns)) : 1;
}

function portions<T>(values: readonly T[], size: number): T[][] {
  const count = Math.ceil(values.length / size);
  return Array.from({ length: count }, (_, index) => values.slice(index * size, (index + 1) * size));
}

/** Memory is compared with that of a fresh start. */
function startsFresh({ kind }: Load): boolean {
  return kind === 'idle' || kind === 'storm';
}

/** This program comes first and last, so that what changes during the round does not look like a difference. */
function bracketed(systems: readonly SystemName[]): SystemName[] {
  if (!systems.includes('ours') || systems.length === 1) return [...systems];
  return ['ours', ...systems.filter((system) => system !== 'ours'), 'ours'];
}

/** No system is always the first. */
function turned<T>(values: readonly T[], by: number): T[] {
  const from = by % Math.max(1, values.length);
  return [...values.slice(from), ...values.slice(0, from)];
}
