/** Takes the PROXY head off each new connection before the http server sees it. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { setAddressFromHead, tcpPeer, type Trust, UNKNOWN_PEER } from '../http/client-address.ts';
import { after } from '../runtime/limit-timer.ts';
import { parseProxyHead, type ProxyHead, ProxyHeadError } from './proxy-head.ts';

export interface ProxyHeadOptions {
  /** Asked for each connection, so that a reload counts at once. */
  readonly trusted: () => Trust;
  /** How long a head may take, in ms. */
  readonly timeoutMs: () => number;
  /** A connection was ended because of its head. @param peer address of the TCP peer, empty on a unix socket @param detail what was wrong with it */
  readonly onRefused: (peer: string, detail: string) => void;
}

/**
 * Puts itself before the server's own listeners for `connection`, which get a socket once its head was read. To be called when all of
 * them are there.
 *
 * @returns what ends the connections whose head has not come yet
 */
export function expectProxyHeads(server: Server, options: ProxyHeadOptions): () => void {
  const listeners = server.listeners('connection') as ((socket: Socket) => void)[];
  const waiting = new Set<Socket>();
  server.removeAllListeners('connection');
  server.on('connection', function serverOnConnection(socket: Socket) {
    // A socket that comes a second time (an Upgrade that is ignored) has had its head.
    if (known.has(socket)) return pass(socket);
    known.add(socket);
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    new HeadReader(socket, options, () => {
      waiting.delete(socket);
      pass(socket);
    }).start();
  });
  const known = new WeakSet<Socket>();
  function pass(socket: Socket): void {
    for (const listener of listeners) listener.call(server, socket);
  }
  return () => {
    for (const socket of waiting) socket.destroy();
  };
}

class HeadReader {
  readonly #socket: Socket;
  readonly #options: ProxyHeadOptions;
  readonly #onRead: () => void;
  readonly #peer: string;
  readonly #disarm: () => void;
  #received: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, options: ProxyHeadOptions, onRead: () => void) {
    this.#socket = socket;
    this.#options = options;
    this.#onRead = onRead;
    this.#peer = tcpPeer(socket);
    this.#disarm = after(options.timeoutMs(), () => this.#refuse('its PROXY head did not come in time'));
  }

  start(): void {
    this.#socket.on('error', socketOnError);
    this.#socket.on('close', this.#disarm);
    // Reset before it was accepted, as some health checks do: it has no address any more.
    if (this.#peer === UNKNOWN_PEER) this.#socket.destroy();
    else if (this.#peer !== '' && !this.#options.trusted()(this.#peer)) {
      this.#refuse('it is not in trusted_proxies, so it may not say whose connection this is');
    } else {
      this.#socket.on('data', this.#onData);
      this.#socket.on('end', this.#onEnd);
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received = Buffer.concat([this.#received, chunk]);
    try {
      const head = parseProxyHead(this.#received);
      if (head !== null) this.#finish(head);
    } catch (error) {
      if (!(error instanceof ProxyHeadError)) throw error;
      this.#refuse(error.message);
    }
  };

  /** Balancers check that a port is open by connecting and ending at once: an end without a byte is not reported. */
  readonly #onEnd = (): void => {
    if (this.#received.length === 0) this.#socket.destroy();
    else this.#refuse('it ended inside its PROXY head');
  };

  #finish({ length, source }: ProxyHead): void {
    this.#detach();
    if (source !== null) setAddressFromHead(this.#socket, source);
    this.#socket.unshift(this.#received.subarray(length));
    this.#onRead();
  }

  #refuse(detail: string): void {
    this.#detach();
    this.#socket.on('error', socketOnError);
    this.#socket.destroy();
    this.#options.onRefused(this.#peer, detail);
  }

  #detach(): void {
    this.#disarm();
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('error', socketOnError);
    this.#socket.off('close', this.#disarm);
  }
}

/** `close` follows. */
function socketOnError(): void {}
