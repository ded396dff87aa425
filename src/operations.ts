/** What operators get: log lines, metrics, the status page and health, put together around an {@link App}. */
import type { Server } from 'node:http';
import type { App } from './app.ts';
import { AdaptiveInterval } from './core/adaptive.ts';
import type { ConnectionInfo, Log, Observer, TrafficObserver, UpgradeFailure } from './core/report.ts';
import type { Address, Settings } from './core/settings.ts';
import { type AdminAnswer, type AdminPage, createAdminServer, textAnswer } from './io/admin.ts';
import { systemClock } from './io/clock.ts';
import { viewOf } from './io/connection-view.ts';
import { ReadinessCheck } from './io/readiness.ts';
import { listen } from './io/server.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { createObserver, type FlushableObserver } from './observe/observer.ts';
import { Feed } from './observe/status/feed.ts';
import { Ledger } from './observe/status/ledger.ts';
import { PAGE, PAGE_POLICY } from './observe/status/page.ts';
import { smallestIntervals, type StatusOptions, statusReport } from './observe/status/report.ts';
import type { StatusSource } from './observe/status/view.ts';
import type { Build } from './version.ts';

/** How often open connections are given back what was forgotten of the learned intervals, in ms. */
const FORGET_EVERY_MS = 3_600_000;
/** Longest probe of an upstream, in ms: who asks for readiness waits for it. */
const MAX_PROBE_MS = 5_000;
const LIVE_PATH = '/live';

export interface OperationsOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly build: Build;
}

/** Made before the app, which reports to `observer` and asks `adaptive`; then given the app with `attach`. */
export class Operations {
  readonly adaptive = new AdaptiveInterval();
  readonly observer: Observer & TrafficObserver;

  readonly #options: OperationsOptions;
  readonly #metrics: Metrics;
  readonly #judge: FlushableObserver;
  readonly #readiness: ReadinessCheck;
  readonly #status: StatusOptions;
  readonly #feed: Feed;
  #app: App | null = null;
  #server: Server | null = null;
  #stopForgetting: () => void = () => {};

  constructor(options: OperationsOptions) {
    this.#options = options;
    const { build, log, settings } = options;
    const ledger = new Ledger({ now: () => systemClock.now(), wallClock: Date.now });
    this.#metrics = createMetrics(build);
    this.#judge = createObserver({
      log,
      metrics: this.#metrics,
      timing: systemClock,
      adaptive: this.adaptive,
      isAdaptive: (route) => this.#isAdaptive(route),
      onClosed: (report) => ledger.closed(report),
      onLearned: () => this.#app?.applyIntervals(),
    });
    this.#readiness = new ReadinessCheck({
      clock: systemClock,
      isDraining: () => this.#app?.isDraining ?? false,
      upstreams: () => this.#settings.routes.map((route) => route.upstream.address),
      connectTimeoutMs: () => Math.min(this.#settings.timeouts.connect, MAX_PROBE_MS),
    });
    // Without a listener nobody could look at what would be noted.
    const noted = settings.admin.listen === null ? this.#judge : ledger.noting(this.#judge);
    this.observer = tellingOfUpstreams(noted, this.#readiness);
    this.#status = { version: build.version, ledger, source: this.#source(), startedAt: systemClock.now() };
    this.#feed = new Feed({ ...this.#status, timing: systemClock, wallClock: Date.now });
  }

  attach(app: App): void {
    this.#app = app;
    const pingIntervals = () =>
      [...smallestIntervals(this.#status.source)].map(([route, intervalMs]) => ({ route, intervalMs }));
    this.#metrics.attach({ openConnections: () => app.openConnections(), pingIntervals });
    this.#forgetLater();
  }

  /**
   * Starts the admin listener.
   *
   * @returns its address; null when it is off
   * @throws the system's error when the address cannot be had
   */
  async listen(): Promise<Address | null> {
    const { log, settings } = this.#options;
    if (settings.admin.listen === null) return null;
    this.#server = createAdminServer({
      hosts: () => this.#settings.admin.hosts,
      pages: this.#pages(),
      livePath: LIVE_PATH,
      onLive: this.#feed.handleUpgrade,
      log,
    });
    try {
      return await listen(this.#server, settings.admin.listen);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`admin.listen: ${reason}; choose another address, or off`, { cause: error });
    }
  }

  /** Writes what still waits, and stops listening. To be called when the app has stopped. */
  async close(): Promise<void> {
    this.#stopForgetting();
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
      connections: () => [...(this.#app?.registry ?? [])].map((connection) => viewOf(connection)),
      routes: () =>
        this.#settings.routes.map(({ name, keepalive }) => ({
          name,
          intervalMs: keepalive.client.interval,
          adaptive: keepalive.adaptive,
        })),
      lessons: () => this.adaptive.learned(systemClock.now()).filter(({ route }) => this.#isAdaptive(route)),
      isDraining: () => this.#app?.isDraining ?? false,
    };
  }

  #pages(): Map<string, AdminPage> {
    const page: AdminAnswer = {
      status: 200,
      contentType: 'text/html; charset=utf-8',
      body: PAGE,
      headers: PAGE_POLICY,
    };
    const status = (): AdminAnswer => {
      const body = JSON.stringify(statusReport(this.#status, systemClock.now()));
      return { status: 200, contentType: 'application/json', body };
    };
    const metrics = async (accept: string | undefined): Promise<AdminAnswer> => {
      return { status: 200, ...(await this.#metrics.exposition(accept)) };
    };
    const ready = async (): Promise<AdminAnswer> => {
      const { ready: isReady, detail } = await this.#readiness.check();
      return textAnswer(isReady ? 200 : 503, detail);
    };
    return new Map([
      ['/', { anyHost: false, answer: () => page }],
      ['/status', { anyHost: false, answer: status }],
      ['/metrics', { anyHost: false, answer: metrics }],
      ['/healthz', { anyHost: true, answer: () => textAnswer(200, 'alive') }],
      ['/readyz', { anyHost: true, answer: ready }],
    ]);
  }
}

/** What traffic tells about the upstreams: they were reached whenever one has answered, whatever it said. */
function tellingOfUpstreams(next: Observer & TrafficObserver, readiness: ReadinessCheck): Observer & TrafficObserver {
  return {
    ...next,
    opened(info: ConnectionInfo) {
      readiness.reached();
      next.opened(info);
    },
    upgradeFailed(failure: UpgradeFailure) {
      if (failure.reason === 'upstream_refused' || failure.reason === 'upstream_invalid') readiness.reached();
      next.upgradeFailed(failure);
    },
  };
}
