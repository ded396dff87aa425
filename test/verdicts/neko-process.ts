/** The scripted Neko in a process of its own, so that it can be killed and suspended. Run as a program it prints its port. */
import { fileURLToPath } from 'node:url';
import type { Cleanup } from '../support/cleanup.ts';
import { type Child, startChild } from '../support/process.ts';
import { Scope } from '../support/scope.ts';
import { startNeko } from './rig.ts';

const SELF = fileURLToPath(import.meta.url);

export async function startNekoProcess(cleanup: Cleanup): Promise<{ readonly port: number; readonly child: Child }> {
  const child = startChild(cleanup, process.execPath, ['--import', 'tsx', SELF]);
  const [, port] = await child.until(() => /^(\d+)\n/.exec(child.stdout), 'its port');
  return { port: Number(port), child };
}

if (process.argv[1] === SELF) process.stdout.write(`${(await startNeko(new Scope())).port}\n`);
