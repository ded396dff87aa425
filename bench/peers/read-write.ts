/**
 * The least that a program in Node does to pass bytes on: every socket is read into one buffer, and what was read in a turn of the event
 * loop is written at its end. It looks at nothing and knows no limits, so what it reaches is what any proxy in Node could.
 */
import { connect, createServer, type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { ports } from './arguments.ts';

/** What node:net itself creates accepted sockets with; without it they can only be read through `data` events. */
interface Accepted {
  _handle: object | null;
}
interface Taken {
  readonly onread: OnReadOpts;
  readonly handle: object | null;
}

const ROOM = 256 * 1024;

const { listen, upstream } = ports();
const buffer = Buffer.allocUnsafeSlow(64 * 1024);
let room = Buffer.allocUnsafeSlow(ROOM);
let used = 0;
const sockets: Socket[] = [];
const pieces: Buffer[] = [];

function hold(to: Socket, length: number): void {
  if (used + length > ROOM) flush();
  if (sockets.length === 0) setImmediate(flush);
  buffer.copy(room, used, 0, length);
  sockets.push(to);
  pieces.push(room.subarray(used, (used += length)));
}

function flush(): void {
  let isKept = false;
  for (let i = 0; i < sockets.length; i++) {
    const socket = sockets[i] as Socket;
    socket.write(pieces[i] as Buffer);
    isKept ||= socket.writableLength > 0;
  }
  sockets.length = 0;
  pieces.length = 0;
  if (isKept) room = Buffer.allocUnsafeSlow(ROOM);
  used = 0;
}

function readTo(other: () => Socket): OnReadOpts {
  function callback(length: number): boolean {
    hold(other(), length);
    return true;
  }
  return { buffer, callback };
}

function onConnection(accepted: Socket): void {
  const server: Socket = connect({ port: upstream, host: '127.0.0.1', noDelay: true, onread: readTo(() => client) });
  const holder = accepted as unknown as Accepted;
  const options: SocketConstructorOpts & Taken = { handle: holder._handle, onread: readTo(() => server) };
  const client: Socket = new Socket(options);
  holder._handle = null;
  accepted.destroy();
  client.on('error', () => server.destroy());
  client.on('close', () => server.destroy());
  server.on('error', () => client.destroy());
  server.on('close', () => client.destroy());
  client.resume();
}

createServer({ pauseOnConnect: true, noDelay: true }, onConnection).listen({
  port: listen,
  host: '127.0.0.1',
  backlog: 4096,
});
