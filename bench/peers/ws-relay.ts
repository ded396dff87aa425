/** A relay of messages: two endpoints of `ws`, each message taken apart and sent again. */
import { WebSocket, WebSocketServer } from 'ws';
import { ports } from './arguments.ts';

const { listen, upstream } = ports();
const server = new WebSocketServer({ port: listen, host: '127.0.0.1', backlog: 4096, perMessageDeflate: false });

function join(from: WebSocket, to: WebSocket): void {
  from.on('message', (data, isBinary) => to.send(data, { binary: isBinary }));
  from.on('close', () => to.terminate());
  from.on('error', () => to.terminate());
}

server.on('connection', (client) => {
  const behind = new WebSocket(`ws://127.0.0.1:${upstream}/`, { perMessageDeflate: false });
  client.pause();
  behind.on('open', () => client.resume());
  join(client, behind);
  join(behind, client);
});
