/** What the kinds of ends are made with: the built proxy, real fronts, a server that ends connections as Neko does, clients at addresses of their own. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { freePort } from '../support/free-port.ts';
import { nginxBefore } from '../support/nginx.ts';
import { type Child, startChild, temporaryFolder, untilListening } from '../support/process.ts';
import { requireProgram } from '../support/requirements.ts';

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The TCP connection under a WebSocket of the `ws` library. */
export function socketOf(ws: WebSocket): Socket {
  return (ws as unknown as { readonly _socket: Socket })._socket;
}

export interface Neko {
  readonly port: number;
  /** The server's end of the connection with this path. */
  session(path: string): Promise<WebSocket>;
  readonly all: ReadonlySet<WebSocket>;
}

/** A room that says nothing unasked, repeats what it hears to the sender, and ends connections when it is told to. */
export async function startNeko(cleanup: Cleanup): Promise<Neko> {
  const sessions = new Map<string, WebSocket>();
  const all = new Set<WebSocket>();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (ws: WebSocket, req: IncomingMessage) => {
    sessions.set(req.url ?? '', ws);
    all.add(ws);
    ws.on('error', () => undefined);
    ws.on('close', () => all.delete(ws));
    ws.on('message', (data) => ws.send(data as Buffer));
  });
  await once(server, 'listening');
  atEnd(cleanup, () => {
    for (const ws of all) ws.terminate();
    server.close();
  });
  async function session(path: string): Promise<WebSocket> {
    for (;;) {
      const found = sessions.get(path);
      if (found !== undefined) return found;
      await wait(10);
    }
  }
  return { port: (server.address() as AddressInfo).port, session, all };
}

/** Neko's words before it drops somebody, and the reserved code on the wire. */
export function dropWithReservedCode(ws: WebSocket): void {
  ws.send('{"event":"system/disconnect","message":"kicked"}');
  socketOf(ws).write(Buffer.from([0x88, 0x02, 0x03, 0xee]));
  socketOf(ws).end();
}

/** Neko's words and a bare FIN. */
export function dropWithFin(ws: WebSocket, message: string): void {
  ws.send(JSON.stringify({ event: 'system/disconnect', message }));
  socketOf(ws).end();
}

export async function connectClient(
  cleanup: Cleanup,
  port: number,
  path: string,
  host = 1,
  autoPong = true,
): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, { localAddress: `127.0.0.${host}`, autoPong });
  ws.on('error', () => undefined);
  atEnd(cleanup, () => ws.terminate());
  await once(ws, 'open');
  return ws;
}

/** Something passes each so many ms until the connection ends. */
export function chat(ws: WebSocket, everyMs = 300): void {
  const timer = setInterval(() => ws.send('{"event":"chat/message"}'), everyMs);
  ws.on('close', () => clearInterval(timer));
}

export interface Front {
  readonly port: number;
  readonly child: Child;
}

/** nginx with a master process, so that it can be reloaded. */
export async function startMasterNginx(cleanup: Cleanup, upstreamPort: number, readTimeout: string): Promise<Front> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
  const config = join(folder, 'nginx.conf');
  const server = nginxBefore(upstreamPort, readTimeout);
  const text = `daemon off;\nworker_processes 1;\nworker_shutdown_timeout 1s;\npid ${folder}/nginx.pid;\nerror_log stderr warn;\nevents {}
http {\n  access_log off;\n  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  server { listen 127.0.0.1:${port}; ${server} }\n}\n`;
  await writeFile(config, text);
  const child = startChild(cleanup, requireProgram('nginx'), ['-p', folder, '-e', 'stderr', '-c', config]);
  await untilListening(child, port);
  return { port, child };
}

export async function startForwardingHaproxy(
  cleanup: Cleanup,
  upstreamPort: number,
  tunnelTimeout: string,
): Promise<Front> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
  const config = join(folder, 'haproxy.cfg');
  const timeouts = `timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  timeout tunnel ${tunnelTimeout}`;
  await writeFile(
    config,
    `defaults\n  mode http\n  option forwardfor\n  ${timeouts}\nfrontend front\n  bind 127.0.0.1:${port}\n  default_backend room\nbackend room\n  server room 127.0.0.1:${upstreamPort}\n`,
  );
  const child = startChild(cleanup, requireProgram('haproxy'), ['-db', '-f', config]);
  await untilListening(child, port);
  return { port, child };
}
