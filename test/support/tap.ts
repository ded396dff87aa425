/** Stands between two parties and keeps a copy of what passes, so that a test can read what was on the wire. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { atEnd, type Cleanup } from './cleanup.ts';
import { FrameParser, type RawFrame } from './frames.ts';
import { Watch } from './watch.ts';

export interface Tap {
  readonly port: number;
  /** One entry for every connection that asked for an upgrade, in order. */
  readonly upgraded: readonly TappedConnection[];
  until<T>(probe: () => T | null | undefined | false, what: string): Promise<T>;
}

interface TappedConnection {
  readonly up: RawFrame[];
  readonly down: RawFrame[];
}

export async function startTap(cleanup: Cleanup, targetPort: number): Promise<Tap> {
  const watch = new Watch();
  const sockets = new Set<Socket>();
  const upgraded: TappedConnection[] = [];
  const server = createServer((inner) => {
    const outer = connect(targetPort, '127.0.0.1');
    const frames: TappedConnection = { up: [], down: [] };
    sockets.add(inner).add(outer);
    copy(inner, outer, frames.up, (head) => /^upgrade: websocket/im.test(head) && upgraded.push(frames), watch);
    copy(outer, inner, frames.down, () => undefined, watch);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(cleanup, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, upgraded, until: (probe, what) => watch.until(probe, what) };
}

function copy(from: Socket, to: Socket, frames: RawFrame[], onHead: (head: string) => unknown, watch: Watch): void {
  let head: string | null = '';
  const parser = new FrameParser();
  from.on('data', (chunk: Buffer) => {
    to.write(chunk);
    let body = chunk;
    if (head !== null) {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      onHead(head.slice(0, end));
      body = Buffer.from(head.slice(end + 4), 'latin1');
      head = null;
    }
    frames.push(...parser.push(body));
    watch.changed();
  });
  from.on('end', () => to.end());
  from.on('error', () => to.destroy());
}
