/** Where the parts are put together. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { reloadedSettings } from './config/reload.ts';
import type { AdaptiveInterval } from './core/adaptive.ts';
import { Pieces } from './core/pieces.ts';
import type { RelayLimits } from './core/relay.ts';
import { redactTarget } from './core/redact.ts';
import type { ConnectionInfo, ConnectionTotals, Log, Observer, TrafficObserver } from './core/report.ts';
import { originForm, selectRoute } from './core/route.ts';
import type { Address, KeepaliveSettings, Settings } from './core/settings.ts';
import { Admission } from './io/admission.ts';
import { type Clock, systemClock } from './io/clock.ts';
import type { Connection, ConnectionDeps } from './io/connection.ts';
import { clientsWithin, descriptorLimit, effectiveLimits, warnOfBudget } from './io/descriptors.ts';
import { spreadOver } from './io/drain.ts';
import { renderRawResponse } from './io/error-page.ts';
import { compileTrust, forwardHeaders, peerAddress, resolveClient, type Trust } from './io/forwarded.ts';
import { ForwarderSlot } from './io/forwarder-slot.ts';
import { hasTooManyHeaders } from './io/header-list.ts';
import { answerError, type HttpForwarderOptions } from './io/http-forward.ts';
import { Listeners } from './io/listeners.ts';
import { openTunnel } from './io/open-tunnel.ts';
import { isProbeTarget, ProbeEndpoint } from './io/probe.ts';
import { createRandom } from './io/random.ts';
import { Registry } from './io/registry.ts';
import { Scheduler } from './io/scheduler.ts';
import { isStrippedUpgrade, refuseStrippedUpgrade } from './io/stripped-upgrade.ts';
import type { HeadLimits } from './io/server.ts';
import { Turn } from './io/turn.ts';
import { createUpgradeHandler, type TunnelParts } from './io/upgrade.ts';

/** Close code and reason of a proxy that stops (RFC 6455 section 7.4.1, as registered later: service restart). */
const STOP_CODE = 1012;
const STOP_REASON = 'proxy is stopping';
/** Shares of `timeouts.drain`: Closes go out over the first; the rest is for the answers; what is left then is cut. */
const CLOSING_SHARE = 0.75;
const CUT_SHARE = 0.95;

export interface AppOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly observer: Observer & TrafficObserver;
  readonly clock?: Clock;
  /** The limit on file descriptors. Default: that of this process. */
  readonly descriptors?: number;
  /** What is learned about idle limits on the way. Without it, every interval is the configured one. */
  readonly adaptive?: Pick<AdaptiveInterval, 'intervalFor'>;
}

/** A proxy that can be started and stopped. */
export class App {
  readonly registry = new Registry();
  readonly admission = new Admission(() => effectiveLimits(this.#settings.limits, this.#descriptors));

  readonly #log: Log;
  readonly #observer: Observer & TrafficObserver;
  readonly #clock: Clock;
  readonly #adaptive: Pick<AdaptiveInterval, 'intervalFor'> | undefined;
  readonly #deps: ConnectionDeps;
  readonly #probe: ProbeEndpoint;
  readonly #descriptors: number;
  readonly #listeners: Listeners;
  readonly #forwarder: ForwarderSlot;
  #settings: Settings;
  #limits: TunnelLimits;
  #trust: Trust;
  #isDraining = false;

  constructor(options: AppOptions) {
    this.#log = options.log;
    this.#observer = options.observer;
    this.#clock = options.clock ?? systemClock;
    this.#adaptive = options.adaptive;
    this.#settings = withCertificates(options.settings);
    this.#limits = tunnelLimits(this.#settings);
    this.#deps = {
      clock: this.#clock,
      scheduler: new Scheduler(this.#clock),
      // Sockets go by the loop, whatever the clock.
      turn: new Turn(systemClock),
      registry: this.registry,
      observer: this.#observer,
      log: this.#log,
      random: createRandom(),
      toClient: new Pieces(),
      toUpstream: new Pieces(),
      buffer: () => this.#settings.limits.buffer,
    };
    this.#trust = compileTrust(this.#settings.trustedProxies);
    this.#forwarder = new ForwarderSlot(this.#forwarderOptions());
    this.#descriptors = options.descriptors ?? descriptorLimit();
    this.#listeners = this.#createListeners();
    this.registry.onRemoved = ({ info }) => this.admission.leave(info.client);
    warnOfBudget(this.#settings.limits, this.#descriptors, this.#log);
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
    try {
      return await this.#listeners.listen(this.#settings.listen);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** True from the moment the program was told to stop. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /**
   * Stops in order: no new connections, Closes for the open ones spread over most of `timeouts.drain`, and what is left
   * shortly before its end is cut.
   */
  async close(): Promise<void> {
    this.#isDraining = true;
    const { drain } = this.#settings.timeouts;
    this.admission.close();
    const closed = this.#listeners.close();
    this.#probe.close();
    const stopClosing = spreadOver([...this.registry], drain * CLOSING_SHARE, this.#clock, drainConnection);
    const stopCut = this.#clock.after(drain * CUT_SHARE, () => this.#cut());
    // Handshakes under way may still open tunnels, until the last of their sockets is gone.
    await closed;
    await this.registry.empty();
    stopClosing();
    stopCut();
    this.#forwarder.close();
  }

  /**
   * Puts another configuration in force: all of it for new connections, its keepalive settings for open ones as well.
   *
   * @returns keys that were changed and need a restart
   * @throws Error when the certificates cannot be read; nothing has changed then
   */
  reload(next: Settings): readonly string[] {
    const { settings, fixed } = reloadedSettings(this.#settings, withCertificates(next));
    if (!isDeepStrictEqual(settings.trustedProxies, this.#settings.trustedProxies)) {
      this.#trust = compileTrust(settings.trustedProxies);
    }
    this.#settings = settings;
    this.#limits = tunnelLimits(settings);
    this.#forwarder.apply(this.#forwarderOptions());
    this.#listeners.apply(headLimits(settings));
    this.applyIntervals();
    warnOfBudget(settings.limits, this.#descriptors, this.#log);
    return fixed;
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
    if (this.registry.size > 0) this.#log.warn({ connections: this.registry.size }, 'time is over, the rest is cut');
    for (const connection of this.registry) connection.destroy();
    this.#probe.destroy();
    this.admission.cut();
    this.#listeners.cut();
  }

  #forwarderOptions(): HttpForwarderOptions {
    const { timeouts, upstreamTls } = this.#settings;
    const [trusted, connectTimeoutMs] = [this.#trust, timeouts.connect];
    return { trusted, connectTimeoutMs, upstreamTls, observer: this.#observer, log: this.#log };
  }

  #createListeners(): Listeners {
    const tunnelOnUpgrade = this.#createUpgradeHandler();
    return new Listeners({
      ...headLimits(this.#settings),
      maxClients: clientsWithin(this.#descriptors),
      clock: this.#clock,
      log: this.#log,
      onRequest: (req, res) => this.#onRequest(req, res),
      onUpgrade: (req, socket, head) => {
        if (this.#isProbe(req)) this.#probe.handle(req, socket, head);
        else {
          // The http server's sockets are of node:net.
          this.admission.begin(socket as Socket);
          tunnelOnUpgrade(req, socket, head);
        }
      },
      onRefused: (status, code) => {
        this.#observer.httpRequest('none', status);
        this.#log.debug({ status, code }, 'request refused');
      },
    });
  }

  #createUpgradeHandler(): ReturnType<typeof createUpgradeHandler> {
    return createUpgradeHandler({
      turn: this.#deps.turn,
      settings: () => this.#settings,
      forwardHeaders: (headers, peer) => forwardHeaders(headers, peer, this.#trust),
      resolveClient: (peer, headers) => resolveClient(peer, headers, this.#trust),
      redact: (target) => redactTarget(target, this.#settings.log.query),
      admit: (client, socket) => this.admission.enter(client, socket),
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
    if (hasTooManyHeaders(req.rawHeaders)) return this.#refuse(req, res, 431);
    const target = originForm(req.url ?? '', req.method);
    // What is no request for an origin server is refused by whoever forwards it.
    const route = selectRoute(this.#settings.routes, req.headers.host, target ?? '/');
    if (route === null) return this.#refuse(req, res, 404);
    this.#forwarder.handle(req, res, route.upstream, route.name);
  }

  #refuse(req: IncomingMessage, res: ServerResponse, status: 404 | 431): void {
    this.#log.debug({ status }, 'request refused');
    res.once('close', () => this.#observer.httpRequest('none', status));
    answerError(res, status, req.headers.accept);
  }

  #openTunnel(parts: TunnelParts): void {
    this.admission.handOver(parts.socket);
    const connection = openTunnel(this.#deps, parts, {
      keepalive: this.#adapted(parts.route.keepalive, parts.info),
      stall: this.#settings.timeouts.stall,
      limits: parts.extensions ? this.#limits.extended : this.#limits.plain,
    });
    if (this.#isDraining) drainConnection(connection);
  }
}

/** The settings name a file; what connects wants its content. */
function withCertificates(settings: Settings): Settings {
  const { ca } = settings.upstreamTls;
  if (ca === 'system') return settings;
  return { ...settings, upstreamTls: { ...settings.upstreamTls, ca: readFileSync(ca, 'utf8') } };
}

function headLimits({ limits, timeouts }: Settings): HeadLimits {
  return { headerBytes: limits.headerBytes, headTimeoutMs: timeouts.handshake };
}

/** Shared by all tunnels. */
interface TunnelLimits {
  readonly plain: RelayLimits;
  /** Where an extension was negotiated. */
  readonly extended: RelayLimits;
}

function tunnelLimits({ limits }: Settings): TunnelLimits {
  const plain = { maxPayload: limits.frame, controlRate: limits.controlFramesPerSecond, extensions: false };
  return { plain, extended: { ...plain, extensions: true } };
}

function drainConnection(connection: Connection): void {
  connection.drain(STOP_CODE, STOP_REASON);
}
