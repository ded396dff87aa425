/** A real nginx in front of a port, in one process of its own with every file in a temporary folder. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import { type Child, startChild, temporaryFolder, untilListening } from './process.ts';
import { requireProgram } from './requirements.ts';

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

export interface Front {
  readonly port: number;
  readonly child: Child;
}

/** nginx as people put it before Neko, with this `proxy_read_timeout` (nginx's unit, e.g. `2s`). */
export function nginxBefore(upstreamPort: number, readTimeout: string): string {
  return `
    location / {
      proxy_pass http://127.0.0.1:${upstreamPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout ${readTimeout};
    }`;
}

/** `server` is what stands inside the server block beside `listen`. */
export function startNginx(cleanup: Cleanup, server: string): Promise<Front> {
  return startNginxWith(cleanup, `server {\n    listen 80;\n    ${server}\n  }`);
}

/** `blocks` is what stands inside `http`; its `listen 80` becomes a free port. */
export async function startNginxWith(cleanup: Cleanup, blocks: string): Promise<Front> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
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
