/** Both ends of an opening handshake as text on bare sockets, every byte of it up to the test. Latin-1 throughout. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { UpstreamTarget } from '../../src/core/settings.ts';
import type { Cleanup } from './cleanup.ts';
import { Watch } from './watch.ts';

/** A key and its answer from RFC 6455 1.3. */
export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

/** One end of a connection. */
export class RawHttpPeer {
  readonly socket: Socket;
  /** Everything that has arrived. */
  text = '';
  /** How the other side ended. */
  ended: 'fin' | 'reset' | null = null;
  readonly #watch = new Watch();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      this.#watch.changed();
    });
    socket.on('end', () => this.#finish('fin'));
    socket.on('error', () => this.#finish('reset'));
    socket.on('close', () => this.#watch.changed());
  }

  /** Resolves with everything that has arrived as soon as `part` is among it. */
  until(part: string): Promise<string> {
    const missing = (): string => `${JSON.stringify(part)} (${this.ended}) in ${JSON.stringify(this.text)}`;
    return this.#watch.until(() => this.text.includes(part) && this.text, missing);
  }

  /** The head that arrived first, its empty line included. */
  async head(): Promise<string> {
    const text = await this.until('\r\n\r\n');
    return text.slice(0, text.indexOf('\r\n\r\n') + 4);
  }

  /** Resolves with everything that has arrived once the other side has ended or reset. */
  end(): Promise<string> {
    return this.#watch
      .until(
        () => this.ended !== null && { text: this.text },
        () => `the end, after ${JSON.stringify(this.text)}`,
      )
      .then(({ text }) => text);
  }

  /** Resolves once TCP is over on both sides. */
  async gone(): Promise<void> {
    await this.#watch.until(() => this.socket.closed, 'the close');
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  #finish(how: 'fin' | 'reset'): void {
    this.ended ??= how;
    this.#watch.changed();
  }
}

export interface RawUpstream {
  readonly target: UpstreamTarget;
  readonly port: number;
  /** Connections that were made so far. */
  readonly peers: readonly RawHttpPeer[];
  /** The connection number `index`, as soon as it is there. */
  peer(index?: number): Promise<RawHttpPeer>;
}

/**
 * A server that does what the test says, by its first connection or by `script` on each.
 *
 * @param isTried the whole program stands before it, which tries now and then whether connections are taken: those that send nothing do not count
 */
export async function startRawUpstream(
  t: Cleanup,
  script?: (peer: RawHttpPeer) => unknown,
  isTried = false,
): Promise<RawUpstream> {
  const peers: RawHttpPeer[] = [];
  const sockets = new Set<Socket>();
  const watch = new Watch();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const peer = new RawHttpPeer(socket);
    sockets.add(socket);
    const note = (): void => {
      peers.push(peer);
      watch.changed();
    };
    if (isTried) socket.once('data', note);
    else note();
    void script?.(peer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const peer = (index = 0): Promise<RawHttpPeer> => watch.until(() => peers[index], `connection ${index}`);
  return { target: tcpTarget(port), port, peers, peer };
}

export function tcpTarget(port: number, host = '127.0.0.1'): UpstreamTarget {
  return { address: { kind: 'tcp', host, port }, tls: false, url: `http://${host}:${port}` };
}

/** A client that sends `text` as soon as it is connected. */
export async function connectRaw(t: Cleanup, port: number, text = ''): Promise<RawHttpPeer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  const peer = new RawHttpPeer(socket);
  if (text !== '') peer.send(text);
  return peer;
}

export interface RequestParts {
  readonly line?: string;
  /** Lines that take the place of those with the same name; a name with null leaves its line out. */
  readonly set?: Readonly<Record<string, string | null>>;
  /** Further lines, without line ends. */
  readonly add?: readonly string[];
}

/** A proper WebSocket request, with what the test wants to be different. */
export function upgradeRequest(parts: RequestParts = {}): string {
  const fields: Record<string, string | null> = {
    Host: 'rooms.example.com',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
    ...parts.set,
  };
  const lines = Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  return [parts.line ?? 'GET /ws?password=secret HTTP/1.1', ...lines, ...(parts.add ?? []), '', ''].join('\r\n');
}

/** The values of a field in a head, in order. */
export function fieldOf(head: string, name: string): string[] {
  const start = `${name.toLowerCase()}: `;
  return head
    .split('\r\n')
    .filter((line) => line.toLowerCase().startsWith(start))
    .map((line) => line.slice(start.length));
}

/** A proper 101 to a request, with further lines. */
export function switchingProtocols(request: string, lines: readonly string[] = []): string {
  const accept = createHash('sha1')
    .update(`${fieldOf(request, 'sec-websocket-key')[0]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...lines,
    '',
    '',
  ].join('\r\n');
}
