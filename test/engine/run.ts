/** Commands, and waiting for what they bring about: engines tell nobody when a container is there, so this folder asks again and again. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const MAX_OUTPUT = 64 * 1024 * 1024;
/** Between two questions, in ms. */
const PAUSE = 250;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** In ms. */
  readonly patience?: number;
}

/** @returns stdout. Rejects with the end of both outputs when the exit code is not 0 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { cwd, env = {}, patience = 600_000 } = options;
  try {
    const { stdout } = await execute(command, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
      timeout: patience,
      maxBuffer: MAX_OUTPUT,
    });
    return stdout.trim();
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')}: ${`${stdout}\n${stderr}`.trim().slice(-1500)}`, { cause: error });
  }
}

/** Whether it ends with 0. */
export async function succeeds(command: string, args: readonly string[], options: RunOptions = {}): Promise<boolean> {
  return run(command, args, options).then(
    () => true,
    () => false,
  );
}

/** Asks until the answer comes. @returns the seconds it took; rejects with the last error after `patience` ms */
export async function until(ask: () => Promise<unknown>, patience = 60_000): Promise<number> {
  const begun = performance.now();
  for (;;) {
    try {
      await ask();
      return Math.round((performance.now() - begun) / 100) / 10;
    } catch (error) {
      if (performance.now() - begun > patience) throw error;
      await sleep(PAUSE);
    }
  }
}
