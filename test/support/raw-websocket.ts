/** Scripted peers on bare TCP sockets: what they send and when is up to the test, down to the byte. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { atEnd, type Cleanup } from './cleanup.ts';
import { buildFrame, FrameParser, type FrameParts, OPCODE, type RawFrame } from './frames.ts';
import { Watch } from './watch.ts';

export interface PeerOptions {
  /** Which Pings to answer, as a live peer does at its next frame boundary. Default: all. */
  readonly autoPong?: boolean | ((ping: RawFrame) => boolean);
  /** For all frames of a client that bring none of their own. Default: a fresh random one each time. */
  readonly mask?: Uint8Array;
  /** Keep writing after the other side ended. Default false: the end is answered with an end. */
  readonly allowHalfOpen?: boolean;
}

export interface ConnectOptions extends PeerOptions {
  /** Where the connection comes from. */
  readonly localAddress?: string;
  readonly port: number;
  readonly host?: string;
  readonly path?: string;
  /** Further request lines without line ends, e.g. `Origin: http://x`. */
  readonly headers?: readonly string[];
}

export interface ServerOptions extends PeerOptions {
  /** Further lines of the 101, e.g. `Sec-WebSocket-Extensions: permessage-deflate`. */
  readonly headers?: readonly string[];
}

/** One end of a WebSocket whose handshake is done. */
export class RawPeer {
  readonly socket: Socket;
  /** The other side's half of the handshake. */
  readonly head: string;
  readonly role: 'client' | 'server';
  readonly frames: RawFrame[] = [];
  readonly chunks: Buffer[] = [];
  /** How TCP ended, as seen from here. */
  ended: 'fin' | 'reset' | null = null;
  readonly #parser = new FrameParser();
  readonly #watch = new Watch();
  readonly #sent = new FrameParser();
  readonly #answers: (ping: RawFrame) => boolean;
  readonly #mask: Uint8Array | undefined;
  #pongs: Buffer[] = [];
  #read = 0;

  constructor(socket: Socket, head: string, role: 'client' | 'server', options: PeerOptions) {
    this.socket = socket;
    this.head = head;
    this.role = role;
    this.#mask = options.mask;
    const answers = options.autoPong ?? true;
    this.#answers = typeof answers === 'function' ? answers : () => answers;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.#finish('fin'));
    socket.on('error', () => this.#finish('reset'));
    // Paused sockets and those destroyed from here have neither.
    socket.on('close', () => this.#watch.changed());
  }

  /** Everything that came after the handshake. */
  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Bytes of a frame that is not complete. */
  get rest(): Buffer {
    return this.#parser.rest;
  }

  /** The newest frame sent is not complete. */
  get midFrame(): boolean {
    return this.#sent.midFrame;
  }

  /** Any bytes, parts of a frame too. False: the kernel does not take more, and 'drain' follows. */
  send(bytes: Uint8Array): boolean {
    const taken = this.socket.write(bytes);
    this.#sent.push(Buffer.from(bytes));
    this.#sendPongs();
    return taken;
  }

  /** Masked as the role demands, unless the parts say otherwise. */
  sendFrame(parts: FrameParts): boolean {
    return this.send(this.frame(parts));
  }

  frame(parts: FrameParts): Buffer {
    return buildFrame({ mask: this.role === 'client' ? (this.#mask ?? randomBytes(4)) : null, ...parts });
  }

  /** Stops reading: the kernel's buffers fill, TCP stays open, Pings stay unanswered. */
  stopReading(): void {
    this.socket.pause();
  }

  resumeReading(): void {
    this.socket.resume();
  }

  /** TCP FIN. With `allowHalfOpen` the other direction stays. */
  end(): void {
    this.socket.end();
  }

  /** TCP RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** The next frame that was not given out yet. */
  nextFrame(patience?: number): Promise<RawFrame> {
    return this.until(() => this.frames[this.#read], 'a frame', patience).then((frame) => {
      this.#read += 1;
      return frame;
    });
  }

  /** The next frame that is not a Ping. */
  async nextMessage(patience?: number): Promise<RawFrame> {
    for (;;) {
      const frame = await this.nextFrame(patience);
      if (frame.opcode !== OPCODE.ping) return frame;
    }
  }

  untilEnded(patience?: number): Promise<'fin' | 'reset'> {
    return this.until(() => this.ended, 'the end of TCP', patience);
  }

  until<T>(probe: () => T | null | undefined | false, what: string, patience?: number): Promise<T> {
    return this.#watch.until(probe, () => `${what}; the ${this.role} has ${this.#summary()}`, patience);
  }

  #summary(): string {
    const kinds = this.frames.map((frame) => `${frame.opcode.toString(16)}(${frame.payload.length})`);
    return `frames [${kinds.slice(-20).join(' ')}], end ${this.ended ?? 'none'}`;
  }

  #take(chunk: Buffer): void {
    this.chunks.push(chunk);
    for (const frame of this.#parser.push(chunk)) {
      this.frames.push(frame);
      if (frame.opcode === OPCODE.ping && this.#answers(frame))
        this.#pongs.push(this.frame({ opcode: OPCODE.pong, payload: frame.payload }));
    }
    this.#sendPongs();
    this.#watch.changed();
  }

  #sendPongs(): void {
    if (this.#sent.midFrame || !this.socket.writable) return;
    for (const pong of this.#pongs) this.socket.write(pong);
    this.#pongs = [];
  }

  #finish(end: 'fin' | 'reset'): void {
    this.ended ??= end;
    this.#watch.changed();
  }
}

/** Connects and upgrades. Rejects with the answer's head when it is not a 101. */
export async function connectRaw(cleanup: Cleanup, options: ConnectOptions): Promise<RawPeer> {
  const host = options.host ?? '127.0.0.1';
  const { allowHalfOpen = false, localAddress } = options;
  const from = localAddress === undefined ? {} : { localAddress };
  const socket = connect({ host, port: options.port, allowHalfOpen, noDelay: true, ...from });
  atEnd(cleanup, () => socket.destroy());
  const lines = [
    `GET ${options.path ?? '/ws?password=x&username=raw'} HTTP/1.1`,
    `Host: ${host}:${options.port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    ...(options.headers ?? []),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  const head = await readHead(socket);
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`not upgraded: ${head}`);
  return startPeer(socket, head, 'client', options);
}

export interface RawServer {
  readonly port: number;
  /** The next client that has been upgraded, in order. */
  next(patience?: number): Promise<RawPeer>;
}

/** Answers every handshake with a 101. */
export async function startRawServer(cleanup: Cleanup, options: ServerOptions = {}): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const waiting: RawPeer[] = [];
  const watch = new Watch();
  const server = createServer({ allowHalfOpen: options.allowHalfOpen ?? false, noDelay: true }, (socket) => {
    sockets.add(socket);
    void welcome(socket);
  });
  const welcome = async (socket: Socket): Promise<void> => {
    const peer = await acceptRaw(socket, options);
    if (peer) waiting.push(peer);
    watch.changed();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(cleanup, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    next: (patience) => watch.until(() => waiting.shift(), 'a client', patience),
  };
}

/** Answers one handshake with a 101. Null when the client left before its request was complete. */
export async function acceptRaw(socket: Socket, options: ServerOptions): Promise<RawPeer | null> {
  const head = await readHead(socket).catch(() => null);
  if (head === null) return null;
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptKey(head)}`,
    ...(options.headers ?? []),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  return startPeer(socket, head, 'server', options);
}

/** The right answer to the key in a request's head (RFC 6455 4.2.2). */
export function acceptKey(head: string): string {
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? '';
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

function startPeer(socket: Socket, head: string, role: 'client' | 'server', options: PeerOptions): RawPeer {
  const peer = new RawPeer(socket, head, role, options);
  socket.resume();
  return peer;
}

/** Reads up to the empty line and puts back what follows. The socket is left paused. */
function readHead(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const fail = (error?: Error): void => reject(error ?? new Error(`ended inside a head: ${bytes.toString()}`));
    const ended = (): void => fail();
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', take).off('error', fail).off('close', ended).off('end', ended);
      // Until the peer's listeners are there, a microtask later.
      socket.once('error', () => undefined);
      socket.pause();
      if (end + 4 < bytes.length) socket.unshift(bytes.subarray(end + 4));
      resolve(bytes.subarray(0, end + 4).toString('latin1'));
    };
    socket.on('data', take).on('error', fail).on('close', ended).on('end', ended);
  });
}
