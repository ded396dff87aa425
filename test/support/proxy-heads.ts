/** Real balancers that pass TCP on and say whose connection it is with a PROXY head. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import { type Child, startChild, temporaryFolder, untilListening } from './process.ts';
import { requireProgram, STREAM_MODULE } from './requirements.ts';

export interface Balancer {
  readonly port: number;
  readonly child: Child;
}

/** @param send `send-proxy` for version 1, `send-proxy-v2` */
export async function startTcpHaproxy(cleanup: Cleanup, upstreamPort: number, send: string): Promise<Balancer> {
  const port = await freePort(cleanup);
  const text = `
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:${port}
  default_backend room
backend room
  server room 127.0.0.1:${upstreamPort} ${send} check inter 100ms
`;
  return startBalancer(cleanup, 'haproxy', port, text, (file) => ['-db', '-f', file]);
}

/** nginx knows version 1 only. */
export async function startNginxStream(cleanup: Cleanup, upstreamPort: number): Promise<Balancer> {
  const port = await freePort(cleanup);
  const text = `
load_module ${STREAM_MODULE};
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 64; }
stream {
  server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${upstreamPort};
    proxy_protocol on;
  }
}
`;
  return startBalancer(cleanup, 'nginx', port, text, (file, folder) => ['-p', folder, '-e', 'stderr', '-c', file]);
}

async function startBalancer(
  cleanup: Cleanup,
  program: 'haproxy' | 'nginx',
  port: number,
  text: string,
  args: (file: string, folder: string) => string[],
): Promise<Balancer> {
  const folder = await temporaryFolder(cleanup);
  const file = join(folder, 'balancer.conf');
  await writeFile(file, text);
  const child = startChild(cleanup, requireProgram(program), args(file, folder));
  await untilListening(child, port);
  return { port, child };
}
