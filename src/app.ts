/** Where the parts are put together. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { reloadedSettings } from './config/reload.ts';
import type { AdaptiveInterval } from './core/adaptive.ts';
import { NO_HEALTH, type UpstreamHealth } from './core/failover.ts';
import { ChunkList, type DirectionLimits } from './core/direction.ts';
import { redactTarget } from './http/redact.ts';
import type { ConnectionInfo, Log, Observer, TrafficObserver } from './core/events.ts';
import { identify } from './http/request-identity.ts';
import type { Address, KeepaliveSettings, Route, Settings } from './core/settings.ts';
import { Admission } from './tunnel/admission.ts';
import { AgeLimit } from './tunnel/age-limit.ts';
import { DialQueues } from './runtime/dial-queue.ts';
import { type Clock, systemClock } from './runtime/clock.ts';
import { type Connection, type ConnectionDeps, openTunnel, type TunnelParts } from './tunnel/connection.ts';
import {
  type Budget,
  budgetHere,
  clientsWithin,
  effectiveLimits,
  handshakesWithin,
  requestLimits,
  warnOfBudget,
} from './server/descriptors.ts';
import { spreadOver } from './server/drain.ts';
import { renderRawResponse } from './http/error-page.ts';
import {
  compileTrust,
  forwardHeaders,
  isTrustedPeer,
  peerAddress,
  resolveClient,
  type Trust,
} from './http/client-address.ts';
import { ReloadableForwarder } from './forward/reloadable-forwarder.ts';
import type { HttpForwarderOptions } from './forward/forwarder.ts';
import { PlainRequests } from './forward/plain-requests.ts';
import { Listeners } from './server/listeners.ts';
import type { ProxyHeadOptions } from './server/proxied-connections.ts';
import { isProbeTarget, ProbeEndpoint } from './tunnel/probe.ts';
import { createRandom } from './runtime/random.ts';
import { OpenConnections } from './tunnel/open-connections.ts';
import { Scheduler } from './tunnel/scheduler.ts';
import { reportRefusedInput } from './server/refused-input.ts';
import type { HeadLimits } from './server/server.ts';
import { ReadBatch } from './tunnel/read-batch.ts';
import { createUpgradeHandler } from './tunnel/upgrade.ts';

/** Reason of the Close with which a proxy stops, where `drain_code` asks for one. */
const STOP_REASON = 'proxy is stopping';
/** Shares of `timeouts.drain`: connections end over the first; the rest is for the answers; what is left then is cut. */
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
  /** What is remembered of upstreams. Without it, every request begins with the first of its route. */
  readonly health?: UpstreamHealth;
}

/** A proxy that can be started and stopped. */
export class App {
  readonly connections = new OpenConnections<Connection>();
  readonly admission = new Admission(() => effectiveLimits(this.#settings.limits, this.#budget));

  readonly #log: Log;
  readonly #observer: Observer & TrafficObserver;
  readonly #clock: Clock;
  readonly #adaptive: Pick<AdaptiveInterval, 'intervalFor'> | undefined;
  readonly #health: UpstreamHealth;
  readonly #deps: ConnectionDeps;
  readonly #probe: ProbeEndpoint;
  readonly #budget: Budget;
  readonly #listeners: Listeners;
  readonly #forwarder: ReloadableForwarder;
  readonly #plain: PlainRequests;
  #settings: Settings;
  /** By route. */
  #limits: ReadonlyMap<string, TunnelLimits>;
  #trust: Trust;
  #isDraining = false;
  /** Opened while stopping, by handshakes that another instance can no longer take. */
  readonly #late: Connection[] = [];
  readonly #ages: AgeLimit;

  constructor(options: AppOptions) {
    this.#log = options.log;
    this.#observer = options.observer;
    this.#clock = options.clock ?? systemClock;
    this.#adaptive = options.adaptive;
    this.#health = options.health ?? NO_HEALTH;
    this.#settings = withCertificates(options.settings);
    this.#limits = limitsByRoute(this.#settings);
    this.#deps = {
      clock: this.#clock,
      scheduler: new Scheduler(this.#clock, (ms) => this.#observer.stoodStill(ms)),
      // Sockets go by the loop, whatever the clock.
      batch: new ReadBatch(systemClock),
      openConnections: this.connections,
      observer: this.#observer,
      log: this.#log,
      random: createRandom(),
      toClient: new ChunkList(),
      toUpstream: new ChunkList(),
      buffer: (route) => this.#limits.get(route)?.buffer ?? this.#settings.limits.buffer,
    };
    this.#trust = compileTrust(this.#settings.trustedProxies);
    this.#forwarder = new ReloadableForwarder(this.#forwarderOptions());
    this.#budget = {
      ...budgetHere(),
      ...(options.descriptors === undefined ? {} : { descriptors: options.descriptors }),
    };
    this.#plain = this.#createPlainRequests();
    this.#listeners = this.#createListeners();
    this.#ages = new AgeLimit({
      clock: this.#clock,
      connections: this.connections,
      ageOf: (route) => this.#settings.routes.find(({ name }) => name === route)?.limits.age ?? Infinity,
    });
    this.#limitAges();
    this.connections.onRemoved = ({ info }) => this.admission.leave(info.client, info.route);
    warnOfBudget(this.#settings.limits, this.#budget, this.#log);
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

  /** Another instance may accept from the same socket: who got through to this one just before it stopped is served by it. */
  get #sharesListener(): boolean {
    return this.#settings.listen.some(({ kind }) => kind === 'fd');
  }

  /** True from the moment the program was told to stop. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /**
   * Stops in order: no new connections, an end for the open ones spread over most of `timeouts.drain`, and what is left
   * shortly before its end is cut.
   */
  async close(): Promise<void> {
    this.#isDraining = true;
    this.#ages.stop();
    const { drain, handshake } = this.#settings.timeouts;
    const shares = this.#sharesListener;
    if (!shares) this.admission.close();
    // Nobody can tell these clients from those of the next instance: they get as much time as ever.
    const closed = this.#listeners.close(shares ? handshake : undefined);
    this.#probe.close();
    const drainOne = (connection: Connection): void => this.#drain(connection);
    const stopClosing = spreadOver([...this.connections], drain * CLOSING_SHARE, this.#clock, drainOne);
    const stopLate = this.#clock.after(drain * CLOSING_SHARE, () => this.#late.forEach(drainOne));
    const stopCut = this.#clock.after(drain * CUT_SHARE, () => this.#cut());
    // Handshakes under way may still open tunnels, until the last of their sockets is gone.
    await closed;
    await this.connections.empty();
    stopClosing();
    stopLate();
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
    this.#limits = limitsByRoute(settings);
    this.#forwarder.apply(this.#forwarderOptions());
    this.#listeners.apply(headLimits(settings));
    this.applyIntervals();
    this.#limitAges();
    warnOfBudget(settings.limits, this.#budget, this.#log);
    return fixed;
  }

  #limitAges(): void {
    this.#ages.apply(this.#settings.routes.some(({ limits }) => limits.age !== Infinity));
  }

  /** WebSockets that are let in at once; `Infinity`: no limit. */
  get connectionsLimit(): number {
    return effectiveLimits(this.#settings.limits, this.#budget).connections;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Gives open connections the intervals that follow from what is known by now. */
  applyIntervals(): void {
    const routes = new Map(this.#settings.routes.map((route) => [route.name, route.keepalive]));
    this.connections.configure((info) => {
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
    if (this.connections.size > 0)
      this.#log.warn({ connections: this.connections.size }, 'time is over, the rest is cut');
    for (const connection of this.connections) connection.destroy();
    this.#probe.destroy();
    this.admission.cut();
    this.#listeners.cut();
  }

  #forwarderOptions(): HttpForwarderOptions {
    const { routes, upstreamTls } = this.#settings;
    const options = { trusted: this.#trust, routes, upstreamTls, health: this.#health };
    return { ...options, observer: this.#observer, log: this.#log };
  }

  #createPlainRequests(): PlainRequests {
    return new PlainRequests({
      settings: () => this.#settings,
      limits: () => requestLimits(this.#settings.limits, this.#budget.descriptors),
      isProbe: (req) => this.#isProbe(req),
      resolveClient: (req) => resolveClient(peerAddress(req.socket), req.rawHeaders, this.#trust),
      identify: (req) => identify(req.rawHeaders, isTrustedPeer(peerAddress(req.socket), this.#trust)),
      redact: (target) => redactTarget(target, this.#settings.log.query),
      forwarder: this.#forwarder,
      observer: this.#observer,
      log: this.#log,
      clock: this.#clock,
    });
  }

  #createListeners(): Listeners {
    const tunnelOnUpgrade = this.#createUpgradeHandler();
    return new Listeners({
      ...headLimits(this.#settings),
      maxClients: clientsWithin(this.#budget.descriptors),
      ...(this.#settings.proxyProtocol ? { proxyHeads: this.#proxyHeads() } : {}),
      clock: this.#clock,
      log: this.#log,
      onRequest: (req, res) => this.#plain.handle(req, res),
      onUpgrade: (req, socket, head) => {
        if (this.#isProbe(req)) this.#probe.handle(req, socket, head);
        else {
          // The http server's sockets are of node:net.
          this.admission.begin(socket as Socket);
          tunnelOnUpgrade(req, socket, head);
        }
      },
      onRefused: reportRefusedInput(this.#observer, this.#log, this.#clock),
    });
  }

  #proxyHeads(): ProxyHeadOptions {
    return {
      trusted: () => this.#trust,
      timeoutMs: () => this.#settings.timeouts.handshake,
      onRefused: (peer, detail) => {
        const client = peer === '' ? 'unix' : peer;
        this.#observer.upgradeFailed({ reason: 'bad_request', route: 'none', client, path: '', status: 0, detail });
      },
    };
  }

  #createUpgradeHandler(): ReturnType<typeof createUpgradeHandler> {
    return createUpgradeHandler({
      batch: this.#deps.batch,
      dials: new DialQueues(() => handshakesWithin(this.#settings.limits)),
      health: this.#health,
      settings: () => this.#settings,
      forwardHeaders: (headers, peer) => forwardHeaders(headers, peer, this.#trust),
      resolveClient: (peer, headers) => resolveClient(peer, headers, this.#trust),
      identify: (peer, headers) => identify(headers, isTrustedPeer(peer, this.#trust)),
      redact: (target) => redactTarget(target, this.#settings.log.query),
      admit: (client, socket, route) => this.admission.enter(client, socket, route),
      renderError: renderRawResponse,
      openTunnel: (parts, route, isExtended) => this.#openTunnel(parts, route, isExtended),
      observer: this.#observer,
    });
  }

  /** With the probe off its path is the upstream's, like any other. */
  #isProbe(req: IncomingMessage): boolean {
    return this.#settings.probe && isProbeTarget(req.url ?? '');
  }

  #openTunnel(parts: TunnelParts, route: Route, isExtended: boolean): void {
    this.admission.handOver(parts.client);
    // A route that a reload has taken away meanwhile is not in the map.
    const limits = this.#limits.get(route.name) ?? tunnelLimits(route);
    const connection = openTunnel(this.#deps, parts, {
      keepalive: this.#adapted(route.keepalive, parts.info),
      stall: route.timeouts.stall,
      limits: isExtended ? limits.extended : limits.plain,
    });
    if (!this.#isDraining) return;
    if (this.#sharesListener) this.#late.push(connection);
    else this.#drain(connection);
  }

  #drain(connection: Connection): void {
    connection.drain(this.#settings.drainCode, STOP_REASON);
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

/** Shared by all tunnels of a route. */
interface TunnelLimits {
  readonly buffer: number;
  readonly plain: DirectionLimits;
  /** Where an extension was negotiated. */
  readonly extended: DirectionLimits;
}

function limitsByRoute({ routes }: Settings): ReadonlyMap<string, TunnelLimits> {
  return new Map(routes.map((route) => [route.name, tunnelLimits(route)]));
}

function tunnelLimits({ limits }: Pick<Route, 'limits'>): TunnelLimits {
  const plain = { maxPayload: limits.frame, controlRate: limits.controlFramesPerSecond, extensions: false };
  return { buffer: limits.buffer, plain, extended: { ...plain, extensions: true } };
}
