/** A real HAProxy with a file as people have it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import type { Front } from './nginx.ts';
import { startChild, temporaryFolder, untilListening } from './process.ts';
import { requireProgram } from './requirements.ts';

/** `bind :80` becomes a free port. */
export async function startHaproxyWith(cleanup: Cleanup, text: string): Promise<Front> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
  const config = join(folder, 'haproxy.cfg');
  await writeFile(config, text.replace('bind :80', `bind 127.0.0.1:${port}`));
  const child = startChild(cleanup, requireProgram('haproxy'), ['-db', '-f', config]);
  await untilListening(child, port);
  return { port, child };
}
