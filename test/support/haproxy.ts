/** A real HAProxy in front of a port, in the foreground with its file in a temporary folder. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import type { Front } from './nginx.ts';
import { startChild, temporaryFolder, untilListening } from './process.ts';
import { requireProgram } from './requirements.ts';

/** `tunnelTimeout` in HAProxy's unit, e.g. `2s`. */
export async function startHaproxy(cleanup: Cleanup, upstreamPort: number, tunnelTimeout: string): Promise<Front> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
  const config = join(folder, 'haproxy.cfg');
  await writeFile(config, configText(port, upstreamPort, tunnelTimeout));
  const child = startChild(cleanup, requireProgram('haproxy'), ['-db', '-f', config]);
  await untilListening(child, port);
  return { port, child };
}

function configText(port: number, upstreamPort: number, tunnelTimeout: string): string {
  return `
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel ${tunnelTimeout}
frontend front
  bind 127.0.0.1:${port}
  default_backend room
backend room
  server room 127.0.0.1:${upstreamPort}
`;
}
