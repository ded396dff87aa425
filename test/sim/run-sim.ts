import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top folder of the project. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const TSX = import.meta.resolve('tsx');
/** For one run that hangs, in ms; what it has to do is bounded by connection-hours. */
const PATIENCE = 1_800_000;

/** Runs the simulation of the project in `folder` in a process of its own. @returns what it says */
export async function runSim(folder: string, args: readonly string[]): Promise<string> {
  const main = join(folder, 'test', 'sim', 'main.ts');
  // What is covered has to be covered by tests of its own.
  const { NODE_V8_COVERAGE: _, ...env } = process.env;
  const options = { stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'], timeout: PATIENCE, env };
  const child = spawn(process.execPath, ['--import', TSX, main, ...args], options);
  const texts: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => texts.push(text));
  await once(child, 'close');
  return texts.join('');
}
