/** Kept-alive connections to the upstreams, one pool for each, with a limit on how long connecting may take. */
import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Address, Route, Settings, UpstreamTarget } from '../core/settings.ts';
import { connect } from '../runtime/connect.ts';

declare module 'node:http' {
  interface Agent {
    /** What a request calls on the agent that it was given, in every version of Node; not documented. See the two classes below. */
    addRequest(request: http.ClientRequest, options: object): void;
  }
}

/** `ca` is `system` or certificates in PEM here, not the name of a file. */
export type UpstreamTls = Settings['upstreamTls'];

/** What decides how connections are made, and which of them are alike. */
type AgentRoute = Pick<Route, 'timeouts' | 'limits'>;

export interface AgentPool {
  readonly agentFor: (upstream: UpstreamTarget, route: AgentRoute) => http.Agent;
  /** Ends every connection, those in use included. */
  readonly close: () => void;
}

interface AgentOptions {
  readonly address: Address;
  /** Milliseconds until connected, TLS included; `Infinity`: no limit. */
  readonly connectTimeoutMs: number;
  /** Longest head of an answer, in bytes. */
  readonly headerBytes: number;
}

export function createAgentPool(upstreamTls: UpstreamTls): AgentPool {
  const agents = new Map<string, http.Agent>();

  function agentFor({ address, tls }: UpstreamTarget, { timeouts, limits }: AgentRoute): http.Agent {
    const options = { address, connectTimeoutMs: timeouts.connect, headerBytes: limits.headerBytes };
    const key = JSON.stringify([tls, options]);
    const agent = agents.get(key) ?? (tls ? new TlsAgent(options, upstreamTls) : new PlainAgent(options));
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
 * All responses are read into this and passed to the listener that Node has put on the socket for `data`, which nothing documents: without
 * one no plain request would be answered. Node's parser copies what it keeps. Otherwise each read takes 64 KiB from the C library, and V8, which
 * counts them, looks through its whole heap for them. 128 KiB pass large bodies a third faster than 64; 256 add little, and a client that
 * stops reading holds what was read last.
 */
const readBuffer = Buffer.allocUnsafeSlow(128 * 1024);

/**
 * Node's names for how the answer to a request is read; it looks when a connection is there, and has them in no other place for agents. The
 * first is documented as an option only: without it, heads of answers are limited to Node's 16 KiB.
 */
function limitHead(request: http.ClientRequest, headerBytes: number): void {
  // Without a limit on their number Node drops none of the fields in silence; their bytes are limited.
  Object.assign(request, { maxHeaderSize: headerBytes, maxHeadersCount: 0 });
}

class PlainAgent extends http.Agent {
  readonly #options: AgentOptions;
  readonly #place: object;
  constructor(options: AgentOptions) {
    super({ keepAlive: true });
    this.#options = options;
    const { address } = options;
    const place = address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port };
    // Without a name for TLS, Node would look for one in the Host field.
    this.#place = { ...place, servername: '' };
  }
  override createConnection(...[, done]: Parameters<http.Agent['createConnection']>): undefined {
    let socket: Socket | null = null;
    function callback(length: number, bytes: Uint8Array): boolean {
      // RFC 9112 9.2: what comes while no request is outstanding is no answer.
      if (socket?.emit('data', bytes.subarray(0, length)) === false) socket.destroy();
      return true;
    }
    connect(this.#options.address, {
      timeoutMs: this.#options.connectTimeoutMs,
      socket: { noDelay: true, onread: { buffer: readBuffer, callback } },
      onConnect: (connected) => done?.(null, (socket = connected)),
      onError: (error) => done?.(error, undefined as never),
    });
  }
  /**
   * All requests go to one place, so Node need not copy the options of each: a tenth of the rate of small requests (docs/benchmarks.md,
   * "What mattered"). Where Node does not call this, it copies them, and the connection is made all the same.
   */
  override addRequest(request: http.ClientRequest): void {
    limitHead(request, this.#options.headerBytes);
    super.addRequest(request, this.#place);
  }
  /** Of the list of idle connections. There is one. */
  override getName(): string {
    return 'upstream';
  }
}

class TlsAgent extends https.Agent {
  readonly #options: AgentOptions;
  constructor(options: AgentOptions, { ca, verify }: UpstreamTls) {
    super({ keepAlive: true, rejectUnauthorized: verify, ...(ca === 'system' ? {} : { ca }) });
    this.#options = options;
  }
  override createConnection(...[options, done]: Parameters<https.Agent['createConnection']>): undefined {
    connect(this.#options.address, {
      timeoutMs: this.#options.connectTimeoutMs,
      socket: { noDelay: true },
      // As it does itself, with sessions that are used again.
      secure: (socket) => super.createConnection({ ...options, socket } as typeof options) as TLSSocket,
      onConnect: (connected) => done?.(null, connected),
      onError: (error) => done?.(error, undefined as never),
    });
  }
  override addRequest(request: http.ClientRequest, options: object): void {
    limitHead(request, this.#options.headerBytes);
    super.addRequest(request, options);
  }
}
