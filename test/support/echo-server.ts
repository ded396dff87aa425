import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { atEnd, type Cleanup } from './cleanup.ts';

/** An ordinary echo server made of `ws`. With `compress` it takes permessage-deflate and compresses every answer. */
export async function startEchoServer(cleanup: Cleanup, compress: boolean): Promise<number> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    perMessageDeflate: compress && { threshold: 0 },
    handleProtocols: (offered) => [...offered].at(-1) ?? false,
  });
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await once(server, 'listening');
  atEnd(cleanup, () => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
