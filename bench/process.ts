/** Child processes, their CPU time and their memory, from Linux's /proc. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const STOP_PATIENCE_MS = 5000;
const LISTEN_PATIENCE_MS = 10_000;
/** Linux counts CPU time in units of 10 ms, whatever the kernel was built with. */
const TICKS_PER_SECOND = 100;

const running = new Set<ChildProcess>();
process.on('exit', killAll);

function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory, and where its output goes. */
  readonly folder: string;
  /** Core it is pinned to; null: the system chooses. */
  readonly core: number | null;
}

/** Runs in its own folder, its output in a file there. */
export class Running {
  readonly #child: ChildProcess;
  readonly #log: string;

  constructor(program: Program, name: string) {
    this.#log = `${program.folder}/${name}.log`;
    const log = openSync(this.#log, 'w');
    this.#child = start(program, ['ignore', log, log]);
    closeSync(log);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** The end of what it has said. */
  output(): string {
    return readFileSync(this.#log, 'utf8').slice(-2000);
  }

  /** Resolves once it accepts connections on 127.0.0.1. */
  async listening(port: number): Promise<void> {
    const until = performance.now() + LISTEN_PATIENCE_MS;
    while (!(await accepts(port))) {
      if (this.#child.exitCode !== null) throw new Error(`it ended (${this.#child.exitCode}): ${this.output()}`);
      if (performance.now() > until) throw new Error(`it does not listen on port ${port}: ${this.output()}`);
      await sleep(20);
    }
  }

  /** CPU time used so far, in seconds. */
  cpu(): number {
    const fields = statFields(`/proc/${this.pid}/stat`);
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** Resident memory in bytes. */
  memory(): number {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes) * 1024;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), STOP_PATIENCE_MS);
    await exited;
    clearTimeout(kill);
  }
}

export function start(program: Program, stdio: ('ignore' | 'pipe' | number)[]): ChildProcess {
  const { command, args, env = {}, folder, core } = program;
  const options = { stdio, cwd: folder, env: { ...cleanEnvironment(), ...env } };
  const child =
    core === null ? spawn(command, args, options) : spawn('taskset', ['-c', String(core), command, ...args], options);
  running.add(child);
  child.on('exit', () => running.delete(child));
  child.on('error', () => running.delete(child));
  return child;
}

/** Seconds that others than this process and its ended children have spent computing since the machine started. */
export function foreignCpu(): number {
  const all = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0] = all;
  const own = statFields('/proc/self/stat');
  // System time would count what the kernel does for loopback connections in nobody's name.
  return (user + nice - Number(own[11]) - Number(own[13])) / TICKS_PER_SECOND;
}

/** The fields behind the program's name, which may hold spaces: the first one is the state. */
function statFields(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Settings of the surroundings must not reach what is measured. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(WSKP_|NODE_|MALLOC_|npm_)/.test(name));
  return Object.fromEntries(kept);
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const accepted = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return accepted;
}
