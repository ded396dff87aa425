/** What operators get: log lines, metrics, the status page and health, put together around the proxy. */
import type { Server } from 'node:http';
import { AdaptiveInterval, type Lesson } from '../core/adaptive.ts';
import type { CloseCause, Log, Observer, TrafficObserver } from '../core/events.ts';
import type { UpstreamHealth } from '../core/failover.ts';
import type { Address, Settings } from '../core/settings.ts';
import { type AdminAnswer, type AdminPage, createAdminServer, textAnswer } from './server.ts';
import { systemClock } from '../runtime/clock.ts';
import { totalsOf } from '../tunnel/close-report.ts';
import type { Connection } from '../tunnel/connection.ts';
import { UpstreamWatch } from './upstreams.ts';
import { listen } from '../server/server.ts';
import { createMetrics, type Metrics } from '../observe/metrics/metrics.ts';
import { createObserver, type FlushableObserver } from '../observe/observer.ts';
import { Feed } from './status/feed.ts';
import { History } from './status/history.ts';
import { statusPages } from './status/page.ts';
import { smallestIntervals, type StatusOptions, statusReport } from './status/report.ts';
import { connectionView, type StatusSource } from './status/view.ts';
import type { Build } from '../version.ts';

/** How often open connections are given back what was forgotten of the learned intervals, in ms. */
const FORGET_EVERY_MS = 3_600_000;
/** Longest try of an upstream, in ms: who asks for readiness waits for it. */
const MAX_TRY_MS = 5_000;
const LIVE_PATH = '/live';

/** What operators want to know of the proxy. */
export interface OperatedProxy {
  readonly connections: Iterable<Connection>;
  readonly settings: Settings;
  /** It was told to stop. */
  readonly isDraining: boolean;
  /** Gives open connections the intervals that follow from what was learned. */
  applyIntervals(): void;
  /** WebSockets that are let in at once; `Infinity`: no limit. */
  readonly connectionsLimit: number;
}

export interface OperationsOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly build: Build;
  /** Log lines that nobody took, since the start. Default: none is ever dropped. */
  readonly droppedLogLines?: () => number;
}

/** Made before the app, which reports to `observer` and asks `adaptive`; then given the app with `attach`. */
export class Operations {
  readonly adaptive = new AdaptiveInterval();
  readonly observer: Observer & TrafficObserver;

  readonly #options: OperationsOptions;
  readonly #history = new History({ now: () => systemClock.now(), wallClock: Date.now });
  readonly #metrics: Metrics;
  readonly #judge: FlushableObserver;
  readonly #upstreams: UpstreamWatch;
  readonly #status: StatusOptions;
  readonly #feed: Feed;
  /** Ends of WebSockets that were judged and reported, which is up to a second after they came. */
  endsTold = 0;
  #app: OperatedProxy | null = null;
  #server: Server | null = null;
  #stopForgetting: () => void = () => {};

  constructor(options: OperationsOptions) {
    this.#options = options;
    const { build, log, settings } = options;
    const history = this.#history;
    this.#metrics = createMetrics(build, { process: true });
    this.#judge = createObserver({
      log,
      metrics: this.#metrics,
      timing: systemClock,
      adaptive: this.adaptive,
      openConnections: () => this.#app?.connections ?? [],
      keepaliveOf: (route) => this.#settings.routes.find(({ name }) => name === route)?.keepalive,
      onClosed: (report) => {
        this.endsTold++;
        history.closed(report);
      },
      onLearned: (lesson) => this.#learned(lesson),
    });
    this.#upstreams = new UpstreamWatch({
      clock: systemClock,
      wallClock: Date.now,
      log,
      isDraining: () => this.#app?.isDraining ?? false,
      upstreams: () =>
        this.#settings.routes.flatMap(({ name, upstreams }) =>
          upstreams.map((target, upstream) => ({ route: name, upstream, target })),
        ),
      tls: () => this.#settings.upstreamTls,
      connectTimeoutMs: () => Math.min(this.#settings.timeouts.connect, MAX_TRY_MS),
      onChange: ({ route, url, isUp, error }) =>
        isUp === true
          ? history.minutes.mark('upstream back', `${url} of route ${route} takes connections again`)
          : history.minutes.mark('upstream lost', `${url} of route ${route}: ${String(error)}`),
    });
    // Without a listener nobody could look at what would be noted.
    const noted = settings.admin.listen === null ? this.#judge : history.noting(this.#judge);
    this.observer = doubting(noted, this.#upstreams);
    this.#status = { version: build.version, events: history, source: this.#source(), startedAt: systemClock.now() };
    this.#feed = new Feed({ ...this.#status, timing: systemClock, wallClock: Date.now });
  }

  /** What requests are told of upstreams, and tell of them. */
  get health(): UpstreamHealth {
    return this.#upstreams;
  }

  attach(app: OperatedProxy): void {
    this.#app = app;
    const pingIntervals = () =>
      [...smallestIntervals(this.#status.source)].map(([route, intervalMs]) => ({ route, intervalMs }));
    this.#metrics.attach({
      routes: () => this.#settings.routes.map(({ name }) => name),
      openConnections: () => [...app.connections].map((open) => ({ route: open.info.route, ...totalsOf(open.tunnel) })),
      pingIntervals,
      connectionsLimit: () => app.connectionsLimit,
      upstreams: () => this.#upstreams.statuses(),
      droppedLogLines: () => this.#options.droppedLogLines?.() ?? 0,
    });
    this.#forgetLater();
  }

  /** The configuration was read again. @param ok it is in force */
  reloaded(ok: boolean): void {
    this.#metrics.reloaded(ok);
    if (ok) this.#history.minutes.mark('reloaded', 'the configuration was read again');
    else this.#history.minutes.mark('reload failed', 'the configuration has mistakes, the old one stays in force');
    if (ok) this.#upstreams.tryAll();
  }

  /**
   * Tries the upstreams, and starts the admin listener.
   *
   * @returns its address; null when it is off
   * @throws ListenError when the address cannot be had
   */
  async listen(): Promise<Address | null> {
    const { log, settings } = this.#options;
    this.#upstreams.tryAll();
    if (settings.admin.listen === null) return null;
    this.#server = createAdminServer({
      hosts: () => this.#settings.admin.hosts,
      pages: this.#pages(),
      livePath: LIVE_PATH,
      onLive: this.#feed.handleUpgrade,
      log,
    });
    return await listen(this.#server, settings.admin.listen, 'admin.listen');
  }

  /** Writes what still waits, and stops listening. To be called when the app has stopped. */
  async close(): Promise<void> {
    this.#stopForgetting();
    this.#upstreams.close();
    this.#judge.flush();
    this.#feed.close();
    const server = this.#server;
    if (server === null || !server.listening) return;
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  }

  /** Those in force: a reload may have changed them. */
  get #settings(): Settings {
    return this.#app?.settings ?? this.#options.settings;
  }

  #learned({ route, front, cutAfterMs }: Lesson): void {
    const seconds = Number((cutAfterMs / 1_000).toFixed(1));
    this.#history.minutes.mark('learned', `${front} cuts connections of route ${route} after ${seconds} s of silence`);
    this.#app?.applyIntervals();
  }

  #isAdaptive(name: string): boolean {
    return this.#settings.routes.some((route) => route.name === name && route.keepalive.adaptive);
  }

  #forgetLater(): void {
    this.#stopForgetting = systemClock.after(FORGET_EVERY_MS, () => {
      this.#app?.applyIntervals();
      this.#forgetLater();
    });
  }

  #source(): StatusSource {
    return {
      connections: () => [...(this.#app?.connections ?? [])].map((connection) => connectionView(connection)),
      routes: () =>
        this.#settings.routes.map(({ name, keepalive }) => ({
          name,
          intervalMs: keepalive.client.interval,
          adaptive: keepalive.adaptive,
        })),
      lessons: () => this.adaptive.learned(systemClock.now()).filter(({ route }) => this.#isAdaptive(route)),
      isDraining: () => this.#app?.isDraining ?? false,
      upstreams: () => this.#upstreams.statuses(),
      connectionsLimit: () => this.#app?.connectionsLimit ?? Infinity,
    };
  }

  #pages(): Map<string, AdminPage> {
    const status = (): AdminAnswer => {
      const body = JSON.stringify(statusReport(this.#status, systemClock.now()));
      return { status: 200, contentType: 'application/json', body };
    };
    const metrics = async (accept: string | undefined): Promise<AdminAnswer> => {
      return { status: 200, ...(await this.#metrics.exposition(accept)) };
    };
    const ready = async (): Promise<AdminAnswer> => {
      const { ready: isReady, detail } = await this.#upstreams.check();
      return textAnswer(isReady ? 200 : 503, detail);
    };
    return new Map([
      ...statusPages(),
      ['/status', { anyHost: false, answer: status }],
      ['/metrics', { anyHost: false, answer: metrics }],
      ['/healthz', { anyHost: true, answer: () => textAnswer(200, 'alive') }],
      ['/readyz', { anyHost: true, answer: ready }],
    ]);
  }
}

/** What traffic tells against the upstreams. That one was reached is told by the request itself, see UpstreamHealth. */
function doubting(next: Observer & TrafficObserver, upstreams: UpstreamWatch): Observer & TrafficObserver {
  return {
    ...next,
    closed(report) {
      if (report.side === 'upstream' && UPSTREAM_LOST.has(report.cause)) upstreams.doubt(report.route);
      next.closed(report);
    },
    upgradeFailed(failure) {
      const { reason, route } = failure;
      if (reason === 'upstream_unreachable' || reason === 'upstream_timeout') upstreams.doubt(route);
      next.upgradeFailed(failure);
    },
    httpRequest(route, status, refusal) {
      if (status === 502 || status === 504) upstreams.doubt(route);
      next.httpRequest(route, status, refusal);
    },
  };
}

const UPSTREAM_LOST: ReadonlySet<CloseCause> = new Set(['abrupt_end', 'pong_timeout', 'stall']);
