/** A server that sends back every data frame as it came, ends connections when it is told to, and can be restarted. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { closePayload, OPCODE, type RawFrame } from '../support/frames.ts';
import { acceptRaw } from '../support/raw-websocket.ts';
import { Endpoint } from './endpoint.ts';

/** What a client's text makes the upstream do. */
export const ORDERS = {
  close: 'please close',
  reserved: 'please close with 1006',
  fin: 'please end',
  reset: 'please reset',
} as const;

export interface Upstream {
  readonly port: number;
  /** The upstream's end of this client's connection, once; undefined when it never got here. */
  take(number: number): Endpoint | undefined;
  /** Cuts everything, refuses for a moment, and listens again. */
  restart(downMs: number): Promise<void>;
}

export async function startUpstream(cleanup: Cleanup): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const ends = new Map<number, Endpoint>();
  const welcome = async (socket: Socket): Promise<void> => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const end = new Endpoint(answer);
    const peer = await acceptRaw(socket, { autoPong: end.answers });
    if (peer === null) return;
    end.attach(peer);
    ends.set(numberIn(peer.head), end);
  };
  const listen = async (port: number): Promise<Server> => {
    const server = createServer({ noDelay: true }, (socket) => void welcome(socket));
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
    take(number) {
      const end = ends.get(number);
      ends.delete(number);
      return end;
    },
    async restart(downMs) {
      await stop();
      await new Promise((resolve) => setTimeout(resolve, downMs));
      server = await listen(port);
    },
  };
}

/** The number that stands in the path of a request or a log line. */
export function numberIn(text: string): number {
  return Number(/\/soak\/(\d+)/.exec(text)?.[1] ?? -1);
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
