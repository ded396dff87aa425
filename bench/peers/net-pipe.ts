/** The least a proxy in Node can do: two sockets, piped together. It knows neither HTTP nor WebSocket. */
import { connect, createServer, type Socket } from 'node:net';
import { ports } from './arguments.ts';

const { listen, upstream } = ports();

function onConnection(client: Socket): void {
  const server = connect({ port: upstream, host: '127.0.0.1', noDelay: true });
  client.setNoDelay(true);
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}

createServer(onConnection).listen({ port: listen, host: '127.0.0.1', backlog: 4096 });
