/** Fronts that are reloaded under load: what the old process holds is cut a moment later, as configured. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { freePort } from '../support/free-port.ts';
import { nginxBefore } from '../support/nginx.ts';
import { type Child, startChild, temporaryFolder, untilListening } from '../support/process.ts';
import { requireProgram } from '../support/requirements.ts';

/** How long the old process keeps its connections, in seconds. */
export const CUT_AFTER = 1;

export interface SoakFront {
  readonly name: 'nginx' | 'haproxy';
  readonly port: number;
  reload(): Promise<void>;
  /** Resolves when it takes connections, which after a reload may be a moment later; rejects when its process has ended. */
  ready(): Promise<void>;
}

/** With a master process, as it runs in production. */
export async function startNginx(cleanup: Cleanup, upstreamPort: number, connections: number): Promise<SoakFront> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
  const config = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  await mkdir(join(folder, 'logs'));
  await writeFile(
    config,
    `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
worker_shutdown_timeout ${CUT_AFTER}s;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections ${2 * connections + 64}; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ${nginxBefore(upstreamPort, '60s')}
  }
}
`,
  );
  const child = startChild(cleanup, requireProgram('nginx'), ['-p', folder, '-e', 'stderr', '-c', config]);
  return {
    name: 'nginx',
    port,
    // The master does the rest by itself, and tells nobody.
    reload: async () => void child.process.kill('SIGHUP'),
    ready: () => untilListening(child, port),
  };
}

/** Each reload starts a process that takes the port over from the one before. */
export async function startHaproxy(cleanup: Cleanup, upstreamPort: number, connections: number): Promise<SoakFront> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
  const config = join(folder, 'haproxy.cfg');
  await writeFile(
    config,
    `
global
  maxconn ${connections + 64}
  hard-stop-after ${CUT_AFTER}s
defaults
  mode http
  option http-server-close
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 60s
frontend front
  bind 127.0.0.1:${port}
  default_backend room
backend room
  server room 127.0.0.1:${upstreamPort}
`,
  );
  const start = (old: readonly string[]): Child =>
    startChild(cleanup, requireProgram('haproxy'), ['-db', '-f', config, ...old]);
  let child = start([]);
  atEnd(cleanup, () => child.stop('SIGKILL'));
  return {
    name: 'haproxy',
    port,
    async reload() {
      const old = child;
      child = start(['-sf', String(old.pid)]);
      await old.exited;
    },
    ready: () => untilListening(child, port),
  };
}
