/** A server that sends back every data frame as it came, ends connections when it is told to, and can be restarted. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { closePayload, OPCODE, type RawFrame } from '../support/frames.ts';
import { acceptRaw } from '../support/raw-websocket.ts';
import { Watch } from '../support/watch.ts';
import { Endpoint } from './endpoint.ts';

/** What a client's text makes the upstream do. */
export const ORDERS = {
  close: 'please close',
  reserved: 'please close with 1006',
  fin: 'please end',
  reset: 'please reset',
} as const;

/** A server that can be restarted on its port. */
export interface Restartable {
  readonly port: number;
  /** Cuts everything, refuses for a moment, and listens again. */
  readonly restart: (downMs: number) => Promise<void>;
  /** Resolves when it has no connection. */
  readonly idle: () => Promise<unknown>;
}

export interface Upstream extends Restartable {
  /** The upstream's end of this client's connection, once; undefined when it never got here. */
  take(number: number): Endpoint | undefined;
}

export async function startUpstream(cleanup: Cleanup): Promise<Upstream> {
  const ends = new Map<number, Endpoint>();
  const server = await startRestartable(cleanup, async (socket) => {
    const end = new Endpoint(answer);
    const peer = await acceptRaw(socket, { autoPong: end.answers });
    if (peer === null) return;
    end.attach(peer);
    ends.set(numberIn(peer.head), end);
  });
  return {
    ...server,
    take(number) {
      const end = ends.get(number);
      ends.delete(number);
      return end;
    },
  };
}

export async function startRestartable(cleanup: Cleanup, welcome: (socket: Socket) => unknown): Promise<Restartable> {
  const sockets = new Set<Socket>();
  const watch = new Watch();
  const listen = async (port: number): Promise<Server> => {
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => {
        sockets.delete(socket);
        watch.changed();
      });
      void welcome(socket);
    });
    server.listen({ port, host: '127.0.0.1', backlog: 4096 });
    await once(server, 'listening');
    return server;
  };
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  };
  atEnd(cleanup, stop);
  return {
    port,
    idle: () => watch.until(() => sockets.size === 0, 'the end of its connections'),
    async restart(downMs) {
      await stop();
      await new Promise((resolve) => setTimeout(resolve, downMs));
      server = await listen(port);
    },
  };
}

/** The number that stands in the path of a request or a log line. */
export function numberIn(text: string): number {
  return Number(/\/(?:soak|plain)\/(\d+)/.exec(text)?.[1] ?? -1);
}

function answer(frame: RawFrame, end: Endpoint): void {
  const { peer } = end;
  if (!peer.socket.writable) return;
  if (frame.opcode === OPCODE.close) {
    // The server ends TCP first (RFC 6455 section 7.1.1).
    if (!end.closeSent) end.close(frame.payload);
    peer.end();
  } else if (frame.opcode < OPCODE.close && !end.closeSent && !obey(frame.payload.toString('latin1'), end)) {
    peer.sendFrame({ opcode: frame.opcode, fin: frame.fin, payload: frame.payload });
  }
}

function obey(text: string, end: Endpoint): boolean {
  if (text === ORDERS.close) end.close(closePayload(1000));
  else if (text === ORDERS.reserved) end.close(closePayload(1006));
  else if (text === ORDERS.fin) end.peer.end();
  else if (text === ORDERS.reset) end.peer.reset();
  else return false;
  return true;
}
