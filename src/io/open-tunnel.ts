import type { TunnelOptions } from '../core/tunnel-options.ts';
import { Connection, type ConnectionDeps, type ConnectionSockets } from './connection.ts';
import { takeOver } from './take-over.ts';
import type { TunnelParts } from './upgrade.ts';
import { SocketReader } from './socket-reader.ts';

/** Makes a connection of what a handshake has led to, and starts it. */
export function openTunnel(deps: ConnectionDeps, parts: TunnelParts, options: TunnelOptions): Connection {
  const { clientHead, upstream, upstreamRest, reader } = parts;
  const both = { clientHead, upstream, upstreamRest, reader };
  const clientReader = new SocketReader(deps.turn);
  const client = takeOver(parts.socket, clientReader);
  const sockets: ConnectionSockets =
    client === null ? { client: parts.socket, ...both } : { client, clientReader, ...both };
  const connection = new Connection(deps, parts.info, sockets, options);
  connection.start(sockets);
  return connection;
}
