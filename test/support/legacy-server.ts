/**
 * The quiet legacy-mode room in a process of its own, so that it can be suspended as a hung server is.
 * Run as a program it prints its port.
 */
import { fileURLToPath } from 'node:url';
import { startRoom } from '../../src/demo/room.ts';
import type { Cleanup } from './cleanup.ts';
import { type Child, startChild } from './process.ts';

const SELF = fileURLToPath(import.meta.url);

export interface LegacyServer {
  readonly port: number;
  readonly child: Child;
}

export async function startLegacyServer(cleanup: Cleanup): Promise<LegacyServer> {
  const child = startChild(cleanup, process.execPath, ['--import', 'tsx', SELF]);
  const [, port] = await child.until(() => /^(\d+)\n/.exec(child.stdout), 'its port');
  return { port: Number(port), child };
}

if (process.argv[1] === SELF) {
  const room = await startRoom({ port: 0, host: '127.0.0.1' });
  process.stdout.write(`${room.port}\n`);
  process.once('SIGTERM', () => void room.close());
}
