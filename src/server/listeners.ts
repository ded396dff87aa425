/** The public listeners: the http server on each address, limits of what they take, and how they stop. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Log } from '../core/events.ts';
import type { Address, ListenAddress } from '../core/settings.ts';
import type { Clock } from '../runtime/clock.ts';
import { RunningResponses } from './drain.ts';
import { rateLimited } from '../runtime/rate-limited.ts';
import { expectProxyHeads, type ProxyHeadOptions } from './proxied-connections.ts';
import { createFrontServer, listen, type HeadLimits, type ServerOptions } from './server.ts';

/** While stopping, a request that is on its way gets this long to arrive, in ms. */
const LATE_REQUEST_MS = 1000;

export interface ListenersOptions extends ServerOptions {
  /** Every connection begins with a PROXY head. Left out: none does. */
  readonly proxyHeads?: ProxyHeadOptions;
  /** How many clients each listener takes at a time; `Infinity`: no limit. Further ones are disconnected at once. */
  readonly maxClients: number;
  readonly clock: Clock;
  readonly log: Log;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #servers: Server[] = [];
  /** What ends the connections that still wait for their PROXY head. */
  readonly #cuts: (() => void)[] = [];
  readonly #running = new RunningResponses();
  readonly #noteDrop: () => void;
  readonly #noteAcceptError: () => void;

  constructor(options: ListenersOptions) {
    this.#options = options;
    const { clock, log } = options;
    const advice = 'raise the limit on file descriptors of this process (ulimit -n)';
    this.#noteDrop = rateLimited(clock, (times) =>
      log.warn({ times, advice }, 'too many clients, connections dropped'),
    );
    this.#noteAcceptError = rateLimited(clock, (times) =>
      log.error({ times, advice }, 'connections cannot be accepted'),
    );
  }

  /**
   * Listens on all of the addresses.
   *
   * @returns the addresses in use
   * @throws ListenError when one of them cannot be had
   */
  async listen(addresses: readonly ListenAddress[]): Promise<Address[]> {
    const bound: Address[] = [];
    for (const address of addresses) {
      const server = this.#createServer();
      this.#servers.push(server);
      bound.push(await listen(server, address, 'listen'));
      server.on('error', () => this.#onAcceptError(server));
    }
    return bound;
  }

  /** New limits for connections from now on. */
  apply(limits: HeadLimits): void {
    for (const server of this.#servers) {
      // Node reads both again for each connection. `maxHeaderSize` is documented as an option only: without it a new limit waits for a restart.
      Object.assign(server, { maxHeaderSize: limits.headerBytes, headersTimeout: limits.headTimeoutMs });
    }
  }

  /**
   * Takes no new connections, ends idle ones, and lets running requests finish. Resolves when no connection is left.
   *
   * @param lateMs how long requests on connections that were just accepted may take to arrive
   */
  async close(lateMs = LATE_REQUEST_MS): Promise<void> {
    const closed = this.#servers.map(closeServer);
    this.#running.drain();
    const stop = this.#options.clock.after(lateMs, () => void this.#running.empty().then(() => this.cut()));
    await Promise.all(closed);
    stop();
  }

  /** Ends every connection that carries plain HTTP. */
  cut(): void {
    for (const server of this.#servers) server.closeAllConnections();
    for (const cut of this.#cuts) cut();
  }

  #createServer(): Server {
    const server = createFrontServer({
      ...this.#options,
      onRequest: (req: IncomingMessage, res: ServerResponse) => {
        this.#running.add(res);
        this.#options.onRequest(req, res);
      },
    });
    if (this.#options.maxClients !== Infinity) server.maxConnections = this.#options.maxClients;
    server.on('drop', this.#noteDrop);
    // Last: it takes the place of all listeners for `connection` that are there now.
    const { proxyHeads } = this.#options;
    if (proxyHeads !== undefined) this.#cuts.push(expectProxyHeads(server, proxyHeads));
    return server;
  }

  /** Out of descriptors: idle connections are closed to free some. */
  #onAcceptError(server: Server): void {
    this.#noteAcceptError();
    server.closeIdleConnections();
  }
}

function closeServer(server: Server): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
