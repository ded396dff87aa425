/** Servers that can be killed and started again on the same port. */
import { once } from 'node:events';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { freePort } from '../support/free-port.ts';
import { startChild, untilListening } from '../support/process.ts';
import { PEERS, PYTHON } from './clients.ts';

export interface Server {
  readonly port: number;
  /** Ends all its connections as a process does that is killed, and comes back. */
  restart(): Promise<void>;
}

export type StartServer = (cleanup: Cleanup) => Promise<Server>;

const SCHEMA = buildSchema('type Query { word: String } type Subscription { word: String }');

function echo(server: WebSocketServer): void {
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
}

/** One word for each subscription, which then stays open. */
async function* oneWord(): AsyncGenerator<{ word: string }> {
  yield { word: 'hello' };
  await new Promise(() => undefined);
}

function speakGraphql(server: WebSocketServer): void {
  useServer({ schema: SCHEMA, roots: { subscription: { word: oneWord } } }, server);
}

function inProcess(behave: (server: WebSocketServer) => void): StartServer {
  return async (cleanup) => {
    const port = await freePort(cleanup);
    const open = async (): Promise<WebSocketServer> => {
      const server = new WebSocketServer({ host: '127.0.0.1', port });
      behave(server);
      await once(server, 'listening');
      return server;
    };
    const kill = async (server: WebSocketServer): Promise<void> => {
      for (const socket of server.clients) socket.terminate();
      server.close();
      await once(server, 'close');
    };
    let current = await open();
    atEnd(cleanup, () => kill(current));
    return {
      port,
      restart: async () => {
        await kill(current);
        current = await open();
      },
    };
  };
}

function python(library: string): StartServer {
  return async (cleanup) => {
    const port = await freePort(cleanup);
    const open = async (): Promise<ReturnType<typeof startChild>> => {
      const child = startChild(cleanup, PYTHON, [PEERS, library, 'server', String(port)]);
      await untilListening(child, port);
      return child;
    };
    let current = await open();
    return {
      port,
      restart: async () => {
        await current.stop('SIGKILL');
        current = await open();
      },
    };
  };
}

export const startEcho = inProcess(echo);
export const startGraphqlServer = inProcess(speakGraphql);

export const SERVERS = [
  { name: 'ws', start: startEcho, needs: [] },
  { name: 'python3-websockets', start: python('websockets'), needs: ['python3-websockets'] },
  { name: 'python3-tornado', start: python('tornado'), needs: ['python3-tornado'] },
  { name: 'python3-aiohttp', start: python('aiohttp'), needs: ['python3-aiohttp'] },
] as const;
