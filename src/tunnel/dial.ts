/**
 * Opens a bare socket to an upstream: TCP, unix or TLS. The tunnel reads it through `onread`, so no HTTP client may own it.
 *
 *     DialError
 *       ERR_CONNECT_TIMEOUT  not connected (TLS: not secured) within the limit
 */

import { connect as connectNet, isIP } from 'node:net';
import type { OnReadOpts, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import type { Address, Settings, UpstreamTarget } from '../core/settings.ts';
import { connect, type Network } from '../runtime/connect.ts';
import { after } from '../runtime/limit-timer.ts';

class DialError extends Error {
  readonly code = 'ERR_CONNECT_TIMEOUT';

  constructor(limit: number) {
    super(`not connected within ${limit} ms`);
    this.name = 'DialError';
  }
}

/** Gets what a socket brings. */
export interface ChunkSink {
  /** The chunk is valid during the call alone. False stops reading until the socket's `resume()`. */
  onChunk(chunk: Buffer): boolean;
}

/** What reads an upstream socket from its first byte on. */
export interface ChunkReader {
  /** For sockets of `node:net`. A TLS socket has no such thing: its `data` events end up in `sink` as well. */
  readonly onread: OnReadOpts;
  /** Whoever owns the socket puts itself here. */
  sink: ChunkSink;
  /** The chunk of the call under way is needed after it. */
  keep(): void;
}

export interface DialOptions {
  /** Milliseconds until connected (TLS: until secured); `Infinity`: no limit. */
  readonly connectTimeoutMs: number;
  /** `ca`: `system`, or certificates in PEM that replace Node's own. */
  readonly tls: Settings['upstreamTls'];
  readonly reader: ChunkReader;
}

/** Reads and discards. */
export const dropChunks: ChunkSink = { onChunk: () => true };

/** The event that says that a socket from `dialUpstream` may be written to. Not earlier: the peer is not verified yet. */
export function readyEvent(target: UpstreamTarget): 'connect' | 'secureConnect' {
  return target.tls ? 'secureConnect' : 'connect';
}

/**
 * Starts to connect. The caller attaches `error` at once; whatever fails arrives there, too slow a connect as DialError.
 */
export function dialUpstream(target: UpstreamTarget, options: DialOptions): Socket {
  const socket = target.tls ? dialTls(target.address, options) : dialNet(target.address, options);
  limitConnect(socket, readyEvent(target), options.connectTimeoutMs);
  return socket;
}

/** A name may stand for several addresses. What is none is dialled as it is, which costs less. */
export function isName(address: Address): boolean {
  return address.kind === 'tcp' && isIP(address.host) === 0;
}

export interface RaceOptions extends DialOptions {
  /** The socket may be written to. Attach `error` before returning. */
  readonly onReady: (socket: Socket) => void;
  /** The same errors as of `dialUpstream`. */
  readonly onError: (error: NodeJS.ErrnoException) => void;
  readonly network?: Network | undefined;
}

/** For a name: the address that connects first wins (RFC 8305). @returns what gives up, as `connect` does */
export function raceUpstream(target: UpstreamTarget, options: RaceOptions): () => void {
  const { connectTimeoutMs, reader, onReady, onError, network } = options;
  const { address } = target;
  const shared = { allowHalfOpen: true, noDelay: true };
  return connect(address, {
    timeoutMs: connectTimeoutMs,
    socket: target.tls ? shared : { ...shared, onread: reader.onread },
    ...(target.tls ? { secure: (socket: Socket) => secure(address, options, { socket }) } : {}),
    ...(network === undefined ? {} : { network }),
    onConnect: onReady,
    onError: (error) => onError(error.name === 'ConnectTimeoutError' ? new DialError(connectTimeoutMs) : error),
  });
}

function dialNet(address: Address, options: DialOptions): Socket {
  const { onread } = options.reader;
  // Without a spread, which takes Node 20 some µs when fields follow it.
  if (address.kind === 'unix') return connectNet({ path: address.path, allowHalfOpen: true, noDelay: true, onread });
  return connectNet({ host: address.host, port: address.port, allowHalfOpen: true, noDelay: true, onread });
}

function dialTls(address: Address, options: DialOptions): Socket {
  return secure(address, options, place(address)).setNoDelay(true);
}

/** What TLS towards an upstream is asked for. */
export function tlsSettings(address: Address, tls: Settings['upstreamTls']): ConnectionOptions {
  return {
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: tls.verify,
    ...(tls.ca === 'system' ? {} : { ca: tls.ca }),
    // RFC 6066 3: an address is no server name.
    ...(address.kind === 'tcp' && isName(address) ? { servername: address.host } : {}),
  };
}

function secure(address: Address, { reader, tls }: DialOptions, over: ConnectionOptions): TLSSocket {
  // allowHalfOpen is documented, but missing in the types.
  const settings: ConnectionOptions & { allowHalfOpen: boolean } = {
    ...over,
    ...tlsSettings(address, tls),
    allowHalfOpen: true,
  };
  const socket = connectTls(settings);
  return socket.on('data', function socketOnData(chunk) {
    if (!reader.sink.onChunk(chunk)) socket.pause();
  });
}

function place(address: Address): { path: string } | { host: string; port: number } {
  return address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
}

/** Destroys the socket with a DialError unless `ready` comes in time. Leaves nothing on the socket afterwards. */
function limitConnect(socket: Socket, ready: 'connect' | 'secureConnect', limit: number): void {
  const disarm = after(limit, () => socket.destroy(new DialError(limit)));
  function socketOnSettled(): void {
    disarm();
    socket.off(ready, socketOnSettled);
    socket.off('close', socketOnSettled);
  }
  socket.on(ready, socketOnSettled);
  socket.on('close', socketOnSettled);
}
