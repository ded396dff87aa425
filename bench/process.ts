/** Child processes, their CPU time and their memory, from Linux's /proc. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync, readFileSync, writeFileSync } from 'node:fs';
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
  /** The file of a cgroup that limits it. */
  readonly procs?: string;
}

/** Runs in its own folder, its output in a file there. */
export class Running {
  readonly #child: ChildProcess;
  readonly #log: string;
  /** However it ended. */
  readonly exited: Promise<unknown>;

  constructor(program: Program, name: string) {
    this.#log = `${program.folder}/${name}.log`;
    const log = openSync(this.#log, 'w');
    this.#child = start(program, ['ignore', log, log]);
    this.exited = once(this.#child, 'exit');
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
    return this.#status('VmRSS');
  }

  /** Most resident memory since it was last reset, in bytes. */
  peak(): number {
    return this.#status('VmHWM');
  }

  resetPeak(): void {
    writeFileSync(`/proc/${this.pid}/clear_refs`, '5');
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async stop(): Promise<void> {
    if (this.hasExited) return;
    this.#child.kill('SIGTERM');
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), STOP_PATIENCE_MS);
    await this.exited;
    clearTimeout(kill);
  }

  #status(field: string): number {
    const text = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    return Number(kilobytes) * 1024;
  }
}

export function start(program: Program, stdio: ('ignore' | 'pipe' | 'inherit' | number)[]): ChildProcess {
  const { env = {}, folder } = program;
  const [command, ...args] = commandLine(program);
  const child = spawn(command, args, { stdio, cwd: folder, env: { ...cleanEnvironment(), ...env } });
  running.add(child);
  child.on('exit', () => running.delete(child));
  child.on('error', () => running.delete(child));
  return child;
}

function commandLine({ command, args, core, procs }: Program): [string, ...string[]] {
  const limited: [string, ...string[]] =
    procs === undefined ? [command, ...args] : ['sh', '-c', 'echo $$ > "$0" && exec "$@"', procs, command, ...args];
  return core === null ? limited : ['taskset', '-c', String(core), ...limited];
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
