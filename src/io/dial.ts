/**
 * Opens a bare socket to an upstream: TCP, unix or TLS. The tunnel reads it through `onread`, so no HTTP client may own it.
 *
 *     DialError
 *       ERR_CONNECT_TIMEOUT  not connected (TLS: not secured) within the limit
 */

import { connect as connectNet, isIP } from 'node:net';
import type { OnReadOpts, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { Address, Settings, UpstreamTarget } from '../core/settings.ts';
import { after } from './limit-timer.ts';

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

/** Reads on and forgets. */
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

function dialNet(address: Address, options: DialOptions): Socket {
  return connectNet({ ...place(address), allowHalfOpen: true, noDelay: true, onread: options.reader.onread });
}

function dialTls(address: Address, options: DialOptions): Socket {
  const { reader, tls } = options;
  // allowHalfOpen is documented, but missing in the types.
  const settings: ConnectionOptions & { allowHalfOpen: boolean } = {
    ...place(address),
    allowHalfOpen: true,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: tls.verify,
    ...(tls.ca === 'system' ? {} : { ca: tls.ca }),
    // RFC 6066 3: an address is no server name.
    ...(address.kind === 'tcp' && isIP(address.host) === 0 ? { servername: address.host } : {}),
  };
  const socket = connectTls(settings).setNoDelay(true);
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
