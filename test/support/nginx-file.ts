/** A real nginx with server blocks as they stand in a file of `conf.d/`. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import type { Front } from './nginx.ts';
import { startChild, temporaryFolder, untilListening } from './process.ts';
import { requireProgram } from './requirements.ts';

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** `blocks` is what stands inside `http`; its `listen 80` becomes a free port. */
export async function startNginxWith(cleanup: Cleanup, blocks: string): Promise<Front> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  // Without a master process nothing changes user, and one process is all there is to stop.
  const text = `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
  access_log off;
  ${TEMPORARY.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${blocks.replace('listen 80;', `listen 127.0.0.1:${port};`)}
}
`;
  await writeFile(config, text);
  const child = startChild(cleanup, requireProgram('nginx'), ['-p', folder, '-e', 'stderr', '-c', config]);
  await untilListening(child, port);
  return { port, child };
}
