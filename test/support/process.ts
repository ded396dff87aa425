/** Child processes: programs of the system, and the built program itself. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { atEnd, type Cleanup } from './cleanup.ts';
import { Watch } from './watch.ts';

export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** How long a child may take over an orderly end. */
const STOP_PATIENCE = 60_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child {
  stdout = '';
  stderr = '';
  /** JSON lines on stdout; other lines are left out. */
  readonly logs: Record<string, unknown>[] = [];
  readonly exited: Promise<Exit>;
  exit: Exit | null = null;
  readonly name: string;
  readonly process: ChildProcess;
  readonly #watch = new Watch();
  /** A line that is not whole yet. */
  #begun = '';

  constructor(name: string, process: ChildProcess) {
    this.name = name;
    this.process = process;
    process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#readLogs(text);
      this.#watch.changed();
    });
    process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#watch.changed();
    });
    // 'close' comes after the last output, 'exit' may come before it.
    this.exited = new Promise((resolve, reject) => {
      process.on('error', reject);
      process.on('close', (code, signal) => {
        this.exit = { code, signal };
        resolve(this.exit);
        this.#watch.changed();
      });
    });
    this.exited.catch(() => undefined);
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error(`${this.name} did not start`);
    return this.process.pid;
  }

  /** Waits for a log line with this message whose fields fit. */
  log(msg: string, fits: (line: Record<string, unknown>) => boolean = () => true): Promise<Record<string, unknown>> {
    return this.until(() => this.logs.find((line) => line['msg'] === msg && fits(line)), `the log line "${msg}"`);
  }

  /** Rejects early when the process ends without what was waited for. */
  until<T>(probe: () => T | null | undefined | false, what: string, patience?: number): Promise<T> {
    const look = (): T | null | undefined | false => {
      const value = probe();
      if (!value && this.exit)
        throw new Error(`${this.name} ended (${this.exit.code ?? this.exit.signal}) before ${what}: ${this.#output()}`);
      return value;
    };
    return this.#watch.until(look, () => `${what} of ${this.name}: ${this.#output()}`, patience);
  }

  /** Stands still like a hung server: the kernel goes on accepting and acknowledging. */
  suspend(): void {
    this.process.kill('SIGSTOP');
  }

  resume(): void {
    this.process.kill('SIGCONT');
  }

  /** Ends the process and waits for it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    if (this.exit) return this.exit;
    this.resume();
    this.process.kill(signal);
    const kill = setTimeout(() => this.process.kill('SIGKILL'), STOP_PATIENCE);
    await this.exited;
    clearTimeout(kill);
    return this.exited;
  }

  #readLogs(text: string): void {
    const lines = (this.#begun + text).split('\n');
    this.#begun = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('{"')) this.logs.push(JSON.parse(line) as Record<string, unknown>);
  }

  #output(): string {
    return `${this.stdout.slice(-2000)}${this.stderr.slice(-2000)}` || 'no output';
  }
}

export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Starts a program; it is stopped with the test. */
export function startChild(
  cleanup: Cleanup,
  command: string,
  args: readonly string[],
  options: ChildOptions = {},
): Child {
  const child = new Child(command, spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options }));
  atEnd(cleanup, () => child.stop().catch(() => undefined));
  return child;
}

/** An empty folder that goes away with the test. */
export async function temporaryFolder(cleanup: Cleanup): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'wskp-'));
  atEnd(cleanup, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Resolves once somebody accepts connections there; rejects when the child ends first. */
export async function untilListening(child: Child, port: number): Promise<void> {
  for (;;) {
    if (child.exit)
      throw new Error(`${child.name} ended (${child.exit.code ?? child.exit.signal}): ${child.stdout}${child.stderr}`);
    const socket = connect(port, '127.0.0.1');
    const accepted = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (accepted) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export interface ProgramOptions {
  readonly args?: readonly string[];
  /** Short form of `WSKP_` variables: `{ KEEPALIVE_PING_INTERVAL: '200ms' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** `ulimit -n` of the program. */
  readonly descriptors?: number;
}

export interface Program {
  readonly child: Child;
  /** Of the first listener. */
  readonly port: number;
}

/** The built program, listening on a free port. It is stopped with the test. */
export async function startProgram(cleanup: Cleanup, options: ProgramOptions): Promise<Program> {
  const child = spawnProgram(cleanup, {
    ...options,
    args: ['--listen', '127.0.0.1:0', ...(options.args ?? [])],
    cwd: options.cwd ?? (await temporaryFolder(cleanup)),
  });
  const line = await child.log('listening');
  const port = Number(String(line['address']).split(':').at(-1));
  return { child, port };
}

/** The built program in front of `upstreamPort`, listening on a free port. */
export function startProxy(
  cleanup: Cleanup,
  upstreamPort: number,
  settings: Record<string, string> = {},
): Promise<Program> {
  return startProgram(cleanup, { args: ['--upstream', `http://127.0.0.1:${upstreamPort}`], settings });
}

/** The built program with any arguments; nothing is waited for. Settings of the surroundings do not reach it. */
export function spawnProgram(cleanup: Cleanup, options: ProgramOptions): Child {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('WSKP_'));
  // Programs of several tests run at once, and the default port is there only once.
  const settings = Object.entries({ ADMIN_LISTEN: '127.0.0.1:0', ...options.settings }).map(([name, value]) => [
    `WSKP_${name}`,
    value,
  ]);
  const command = [process.execPath, MAIN, ...(options.args ?? [])];
  const { descriptors } = options;
  const limited =
    descriptors === undefined ? command : ['bash', '-c', `ulimit -n ${descriptors}; exec "$@"`, 'bash', ...command];
  const [program = '', ...args] = limited;
  return startChild(cleanup, program, args, {
    env: Object.fromEntries([...inherited, ...settings]) as NodeJS.ProcessEnv,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}
