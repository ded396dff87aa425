/** All clients come at once, send messages for a second, are quiet, and leave at once. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sample, StormLoad } from './loads.ts';
import { type Program, type Running, start } from './process.ts';

/** A program that has just started is looked at after this. */
const START_MS = 2000;
/** How long a quiet crowd is left alone before its memory is looked at: some give room back after a few seconds. */
const SETTLE_MS = 12_000;
/** How long the work for those who left may take. Their ends are judged after a second. */
const LEFT_MS = 3000;

/** What the generator says at the end of a phase. */
interface Phase {
  readonly phase: 'back' | 'echoed' | 'left' | 'gave up';
  readonly seconds: number;
  /** How many were in at a time, at most. */
  readonly most: number;
  readonly died: number;
  /** Attempts after the first ones. */
  readonly again: number;
  readonly p99_us: number;
}

/** The generator. Each phase waits for a word. */
class Crowd {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(tool: Program) {
    this.#child = start(tool, ['pipe', 'pipe', 'inherit']);
    this.#child.stdin?.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  /** @throws Error when it could not do what it was to */
  async next(wanted: Phase['phase']): Promise<Phase> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the generator ended before it was ${wanted}`);
    const phase = JSON.parse(value) as Phase;
    if (phase.phase !== wanted || phase.died > 0) throw new StormError(phase);
    return phase;
  }

  goOn(): void {
    this.#child.stdin?.write('go on\n');
  }

  async end(): Promise<void> {
    const ended = this.#child.exitCode === null ? once(this.#child, 'exit') : null;
    this.#child.stdin?.end();
    await ended;
  }
}

/** Not all got in, or some were lost. */
class StormError extends Error {
  readonly most: number;
  constructor({ most, died, seconds }: Phase) {
    super(`${most} got in within ${seconds} s, ${died} were lost`);
    this.most = most;
  }
}

/** Two storms: one on a program that has just been started, and another one when all come back. */
export async function measureStorms(tool: Program, proxy: Running, load: StormLoad): Promise<Sample> {
  await sleep(START_MS);
  const from = proxy.memory();
  proxy.resetPeak();
  const first = await storm(tool, proxy, load, 0);
  const second = await storm(tool, proxy, load, SETTLE_MS);
  return {
    ...second,
    cold_us: first.in_us as number,
    peak_bytes: (proxy.peak() - from) / load.conns,
    bytes: ((second.bytes as number) - from) / load.conns,
  };
}

/** One storm. Memory is that of the process, not of a connection. */
async function storm(tool: Program, proxy: Running, { conns }: StormLoad, settleMs: number): Promise<Sample> {
  const before = proxy.cpu();
  const crowd = new Crowd(tool);
  try {
    const back = await crowd.next('back');
    const inside = proxy.cpu();
    crowd.goOn();
    await crowd.next('echoed');
    await sleep(settleMs);
    const [bytes, quiet] = [proxy.memory(), proxy.cpu()];
    crowd.goOn();
    await crowd.next('left');
    await sleep(LEFT_MS);
    return {
      back_s: back.seconds,
      again: back.again,
      p99_ms: back.p99_us / 1000,
      in_us: ((inside - before) * 1e6) / conns,
      out_us: ((proxy.cpu() - quiet) * 1e6) / conns,
      bytes,
    };
  } finally {
    await crowd.end();
  }
}

/** One storm on a program that has just been started, and that a limit of memory may kill. */
export async function measureOnce(tool: Program, proxy: Running, load: StormLoad): Promise<Sample> {
  await sleep(START_MS);
  const [from, before] = [proxy.memory(), proxy.cpu()];
  proxy.resetPeak();
  const crowd = new Crowd(tool);
  // The generator says how far it came then.
  void proxy.exited.then(() => crowd.end());
  try {
    const { most, seconds } = await crowd.next('back');
    const cold = ((proxy.cpu() - before) * 1e6) / load.conns;
    crowd.goOn();
    await crowd.next('echoed');
    await sleep(SETTLE_MS);
    const [peak, settled] = [proxy.peak() - from, proxy.memory() - from];
    const memory = { peak_bytes: peak / load.conns, bytes: settled / load.conns };
    return { most, survivors: most, back_s: seconds, cold_us: cold, ...memory };
  } catch (error) {
    if (proxy.hasExited && error instanceof StormError) return { most: error.most, survivors: 0 };
    throw error;
  } finally {
    await crowd.end();
  }
}
