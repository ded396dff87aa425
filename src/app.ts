/** Where the parts are put together. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AdaptiveInterval } from './core/adaptive.ts';
import { Pieces } from './core/pieces.ts';
import { redactTarget } from './core/redact.ts';
import type { ConnectionInfo, ConnectionTotals, Log, Observer, TrafficObserver } from './core/report.ts';
import { selectRoute } from './core/route.ts';
import type { Address, KeepaliveSettings, Settings } from './core/settings.ts';
import { type Clock, systemClock } from './io/clock.ts';
import { Connection, type ConnectionDeps } from './io/connection.ts';
import { renderRawResponse } from './io/error-page.ts';
import { compileTrust, forwardHeaders, peerAddress, resolveClient, type Trust } from './io/forwarded.ts';
import { answerError, createHttpForwarder, type HttpForwarder } from './io/http-forward.ts';
import { isProbeTarget, ProbeEndpoint } from './io/probe.ts';
import { createRandom } from './io/random.ts';
import { Registry } from './io/registry.ts';
import { Scheduler } from './io/scheduler.ts';
import { createFrontServer, listen } from './io/server.ts';
import { isStrippedUpgrade, refuseStrippedUpgrade } from './io/stripped-upgrade.ts';
import { createUpgradeHandler, type TunnelParts } from './io/upgrade.ts';

/** Close code and reason of a proxy that stops (RFC 6455 section 7.4.1, as registered later: service restart). */
const STOP_CODE = 1012;
const STOP_REASON = 'proxy is stopping';

export interface AppOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly observer: Observer & TrafficObserver;
  readonly clock?: Clock;
  /** What is learned about idle limits on the way. Without it, every interval is the configured one. */
  readonly adaptive?: Pick<AdaptiveInterval, 'intervalFor'>;
}

/** A proxy that can be started and stopped. */
export class App {
  readonly registry = new Registry();

  readonly #log: Log;
  readonly #observer: Observer & TrafficObserver;
  readonly #clock: Clock;
  readonly #adaptive: Pick<AdaptiveInterval, 'intervalFor'> | undefined;
  readonly #scheduler: Scheduler;
  readonly #toClient = new Pieces();
  readonly #toUpstream = new Pieces();
  readonly #random = createRandom();
  readonly #settings: Settings;
  readonly #trust: Trust;
  readonly #forwarder: HttpForwarder;
  readonly #probe: ProbeEndpoint;
  readonly #servers: Server[] = [];

  constructor(options: AppOptions) {
    this.#log = options.log;
    this.#observer = options.observer;
    this.#clock = options.clock ?? systemClock;
    this.#adaptive = options.adaptive;
    this.#scheduler = new Scheduler(this.#clock);
    this.#settings = withCertificates(options.settings);
    this.#trust = compileTrust(this.#settings.trustedProxies);
    this.#forwarder = createHttpForwarder({
      trusted: this.#trust,
      connectTimeoutMs: this.#settings.timeouts.connect,
      upstreamTls: this.#settings.upstreamTls,
      observer: this.#observer,
      log: this.#log,
    });
    this.#probe = new ProbeEndpoint({
      clock: this.#clock,
      resolveClient: (req) => resolveClient(peerAddress(req.socket), req.rawHeaders, this.#trust),
    });
  }

  /**
   * Listens on every configured address.
   *
   * @returns the addresses in use
   * @throws the system's error when one of them cannot be had; none is in use then
   */
  async listen(): Promise<Address[]> {
    const bound: Address[] = [];
    try {
      for (const address of this.#settings.listen) {
        const server = this.#createServer();
        this.#servers.push(server);
        bound.push(await listen(server, address));
      }
    } catch (error) {
      await this.close();
      throw error;
    }
    return bound;
  }

  /** Stops in order: no new connections, a Close for open ones, and what is left after `timeouts.drain` is cut. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => closeServer(server));
    for (const connection of this.registry) connection.drain(STOP_CODE, STOP_REASON);
    this.#probe.close();
    const stop = this.#clock.after(this.#settings.timeouts.drain, () => this.#cut());
    await Promise.all([...closed, this.registry.empty()]);
    stop();
    this.#forwarder.close();
  }

  /** What open connections have moved so far, for metrics. */
  *openConnections(): Iterable<ConnectionTotals & { readonly route: string }> {
    for (const connection of this.registry) yield { route: connection.info.route, ...connection.totals() };
  }

  /** The ping intervals in force, in ms: those of the routes, and of connections that differ. */
  *pingIntervals(): Iterable<{ readonly route: string; readonly intervalMs: number }> {
    for (const { name, keepalive } of this.#settings.routes)
      yield { route: name, intervalMs: keepalive.client.interval };
    for (const { info, tunnel } of this.registry) {
      yield { route: info.route, intervalMs: tunnel.client.keepalive.settings.interval };
    }
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Gives open connections the intervals that follow from what is known by now. */
  applyIntervals(): void {
    const routes = new Map(this.#settings.routes.map((route) => [route.name, route.keepalive]));
    this.registry.configure((info) => {
      const keepalive = routes.get(info.route);
      return keepalive && this.#adapted(keepalive, info);
    });
  }

  /** The configured settings, with the interval that was learned for the front of this connection. */
  #adapted(keepalive: KeepaliveSettings, { route, front }: ConnectionInfo): KeepaliveSettings {
    const { adaptive, client } = keepalive;
    if (!adaptive || this.#adaptive === undefined) return keepalive;
    const interval = this.#adaptive.intervalFor(route, front, client.interval, this.#clock.now());
    return interval === client.interval ? keepalive : { ...keepalive, client: { ...client, interval } };
  }

  #cut(): void {
    for (const connection of this.registry) connection.destroy();
    this.#probe.destroy();
    for (const server of this.#servers) server.closeAllConnections();
  }

  #createServer(): Server {
    const { limits, timeouts } = this.#settings;
    const tunnelOnUpgrade = this.#createUpgradeHandler();
    return createFrontServer({
      headerBytes: limits.headerBytes,
      headTimeoutMs: timeouts.handshake,
      onRequest: (req, res) => this.#onRequest(req, res),
      onUpgrade: (req, socket, head) => {
        if (this.#isProbe(req)) this.#probe.handle(req, socket, head);
        else tunnelOnUpgrade(req, socket, head);
      },
    });
  }

  #createUpgradeHandler(): ReturnType<typeof createUpgradeHandler> {
    return createUpgradeHandler({
      settings: () => this.#settings,
      forwardHeaders: (headers, peer) => forwardHeaders(headers, peer, this.#trust),
      resolveClient: (peer, headers) => resolveClient(peer, headers, this.#trust),
      redact: (target) => redactTarget(target, this.#settings.log.query),
      admit: () => null,
      renderError: renderRawResponse,
      openTunnel: (parts) => this.#openTunnel(parts),
      observer: this.#observer,
    });
  }

  /** With the probe off its path is the upstream's, like any other. */
  #isProbe(req: IncomingMessage): boolean {
    return this.#settings.probe && isProbeTarget(req.url ?? '');
  }

  #onRequest(req: IncomingMessage, res: ServerResponse): void {
    if (this.#isProbe(req)) {
      res.once('close', () => this.#observer.httpRequest('none', 426));
      if (isStrippedUpgrade(req)) refuseStrippedUpgrade(req, res, 'none', this.#log);
      else answerError(res, 426, req.headers.accept);
      return;
    }
    const route = selectRoute(this.#settings.routes, req.headers.host, req.url ?? '/');
    if (route === null) {
      res.once('close', () => this.#observer.httpRequest('none', 404));
      answerError(res, 404, req.headers.accept);
      return;
    }
    this.#forwarder.handle(req, res, route.upstream, route.name);
  }

  #openTunnel(parts: TunnelParts): void {
    const { limits, timeouts } = this.#settings;
    const deps: ConnectionDeps = {
      clock: this.#clock,
      scheduler: this.#scheduler,
      registry: this.registry,
      observer: this.#observer,
      log: this.#log,
      random: this.#random,
      toClient: this.#toClient,
      toUpstream: this.#toUpstream,
      buffer: limits.buffer,
    };
    const { socket: client, clientHead, upstream, upstreamRest, reader } = parts;
    const sockets = { client, clientHead, upstream, upstreamRest, reader };
    const connection = new Connection(deps, parts.info, sockets, {
      keepalive: this.#adapted(parts.route.keepalive, parts.info),
      stall: timeouts.stall,
      maxFrame: limits.frame,
      controlRate: limits.controlFramesPerSecond,
      extensions: parts.extensions,
    });
    connection.start(sockets);
  }
}

/** The settings name a file; what connects wants its content. */
function withCertificates(settings: Settings): Settings {
  const { ca } = settings.upstreamTls;
  if (ca === 'system') return settings;
  return { ...settings, upstreamTls: { ...settings.upstreamTls, ca: readFileSync(ca, 'utf8') } };
}

function closeServer(server: Server): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
