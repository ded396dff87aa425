/** Kept-alive connections to the upstreams, one pool for each, with a limit on how long connecting may take. */
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { Address, Settings, UpstreamTarget } from '../core/settings.ts';
import { after } from './limit-timer.ts';

declare module 'node:http' {
  interface Agent {
    /** What a request calls on the agent that it was given, in every version of Node. */
    addRequest(request: http.ClientRequest, options: object): void;
  }
}

/** `ca` is `system` or certificates in PEM here, not the name of a file. */
export type UpstreamTls = Settings['upstreamTls'];

/** A connection that took longer than allowed, TLS included. Its code is that of the kernel's own verdict. */
class ConnectTimeoutError extends Error {
  readonly code = 'ETIMEDOUT';
  constructor() {
    super('the upstream took too long to accept the connection');
  }
}

export interface AgentPool {
  readonly agentFor: (upstream: UpstreamTarget) => http.Agent;
  /** Ends every connection, those in use included. */
  readonly close: () => void;
}

/** @param connectTimeout in milliseconds; `Infinity`: no limit */
export function createAgentPool(connectTimeout: number, upstreamTls: UpstreamTls): AgentPool {
  const agents = new Map<string, http.Agent>();

  function agentFor({ address, tls }: UpstreamTarget): http.Agent {
    const key = JSON.stringify([address, tls]);
    const agent =
      agents.get(key) ??
      (tls ? new LimitedTlsAgent(connectTimeout, upstreamTls) : new LimitedAgent(connectTimeout, address));
    agents.set(key, agent);
    return agent;
  }

  function close(): void {
    for (const agent of agents.values()) agent.destroy();
    agents.clear();
  }

  return { agentFor, close };
}

/**
 * All responses are read into this: Node's parser copies what it keeps. Else each read takes 64 KiB from the C library, and V8, which
 * counts them, looks through its whole heap for them. 128 KiB pass large bodies a third faster than 64; 256 add little, and a client that
 * stops reading holds what was read last.
 */
const readBuffer = Buffer.allocUnsafeSlow(128 * 1024);

class LimitedAgent extends http.Agent {
  readonly #limit: number;
  readonly #place: object;
  constructor(limit: number, address: Address) {
    super({ keepAlive: true });
    this.#limit = limit;
    const place = address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port };
    // Without a name for TLS, Node would look for one in the Host field.
    this.#place = { ...place, servername: '' };
  }
  override createConnection(...[options, done]: Parameters<http.Agent['createConnection']>): Duplex | null | undefined {
    function callback(length: number, bytes: Uint8Array): boolean {
      // RFC 9112 9.2: what comes while no request is outstanding is no answer.
      if (socket?.emit('data', bytes.subarray(0, length)) === false) socket.destroy();
      return true;
    }
    const onread = { buffer: readBuffer, callback };
    const socket = super.createConnection({ ...options, onread } as typeof options, done);
    return limitConnect(socket, 'connect', this.#limit);
  }
  /** All requests go to one place. Node would copy what was asked for with each, and that takes longer than all else that it does here. */
  override addRequest(request: http.ClientRequest): void {
    super.addRequest(request, this.#place);
  }
  /** Of the list of idle connections. There is one. */
  override getName(): string {
    return 'upstream';
  }
}

class LimitedTlsAgent extends https.Agent {
  readonly #limit: number;
  constructor(limit: number, { ca, verify }: UpstreamTls) {
    super({ keepAlive: true, rejectUnauthorized: verify, ...(ca === 'system' ? {} : { ca }) });
    this.#limit = limit;
  }
  override createConnection(...args: Parameters<https.Agent['createConnection']>): Duplex | null | undefined {
    return limitConnect(super.createConnection(...args), 'secureConnect', this.#limit);
  }
}

function limitConnect<T extends Duplex | null | undefined>(
  socket: T,
  ready: 'connect' | 'secureConnect',
  limit: number,
): T {
  const disarm = after(limit, () => socket?.destroy(new ConnectTimeoutError()));
  socket?.once(ready, disarm);
  socket?.once('close', disarm);
  return socket;
}
