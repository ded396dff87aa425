/**
 * Whether the upstreams take connections. Traffic tells most of it: a WebSocket that opens proves that its upstream is
 * up, and one that fails raises a doubt. A connection of our own, which sends no request, settles doubts: at the start,
 * after trouble, while an upstream is down, and when somebody asks for readiness and no traffic has told lately.
 *
 * Routes with several upstreams go by this. There, one that took no connection is down at once, and nobody waits for it
 * again until a connection of our own has got through.
 */
import { connect as connectTls } from 'node:tls';
import type { Log } from '../core/events.ts';
import type { UpstreamHealth } from '../core/failover.ts';
import type { Settings, UpstreamTarget } from '../core/settings.ts';
import type { Clock } from '../runtime/clock.ts';
import { connect } from '../runtime/connect.ts';
import { after } from '../runtime/limit-timer.ts';
import { tlsSettings } from '../tunnel/dial.ts';

/** For so long a success is believed, in ms. */
const FRESH_MS = 10_000;
/** How often an upstream that is down is tried again, in ms. */
const RETRY_MS = 5_000;
/** Doubts that come within this time are settled by one try, in ms. */
const DOUBT_MS = 500;

/** One upstream of one route. */
export interface RouteUpstream {
  readonly route: string;
  /** Its place in the list of its route, from 0. */
  readonly upstream: number;
  readonly target: UpstreamTarget;
}

export interface UpstreamWatchOptions {
  readonly clock: Clock;
  /** ms since 1970. */
  readonly wallClock: () => number;
  readonly log: Log;
  readonly isDraining: () => boolean;
  readonly upstreams: () => readonly RouteUpstream[];
  readonly tls: () => Settings['upstreamTls'];
  /** How long a try may take, in ms. */
  readonly connectTimeoutMs: () => number;
  /** An upstream was lost, or is back. */
  readonly onChange?: (upstream: UpstreamStatus) => void;
}

/** What is known of an upstream. */
export interface UpstreamStatus {
  readonly route: string;
  readonly upstream: number;
  readonly url: string;
  /** Null: not tried yet. */
  readonly isUp: boolean | null;
  /** Since when, in ms since 1970; null: not tried yet. */
  readonly since: number | null;
  /** Why it took no connection the last time that happened; null: it never did. */
  readonly error: string | null;
}

export interface Readiness {
  readonly ready: boolean;
  /** For operators, a line for each upstream that is down. */
  readonly detail: string;
}

interface State {
  isUp: boolean | null;
  since: number | null;
  error: string | null;
  /** When it last took a connection, in ms of the monotonic clock. */
  reachedAt: number;
  trying: Promise<boolean> | null;
}

/** Routes may share an upstream: it is tried once for all of them. */
export class UpstreamWatch implements UpstreamHealth {
  readonly #options: UpstreamWatchOptions;
  readonly #states = new Map<string, State>();
  readonly #doubted = new Set<string>();
  readonly #closing = new AbortController();
  #cancelRetry: (() => void) | null = null;
  #cancelDoubt: (() => void) | null = null;

  constructor(options: UpstreamWatchOptions) {
    this.#options = options;
  }

  /** Tries every upstream once, in the background. To be called at the start and after a reload. */
  tryAll(): void {
    const urls = new Set(this.#options.upstreams().map(({ target }) => target.url));
    for (const url of this.#states.keys()) if (!urls.has(url)) this.#states.delete(url);
    this.#tryThose(() => true);
  }

  isDown(upstream: UpstreamTarget): boolean {
    return this.#states.get(upstream.url)?.isUp === false;
  }

  unreachable(upstream: UpstreamTarget, error: string): void {
    this.#note(upstream, error);
  }

  reached(upstream: UpstreamTarget): void {
    this.#note(upstream, null);
  }

  /** Something went wrong with an upstream of this route. */
  doubt(route: string): void {
    if (this.#closing.signal.aborted) return;
    for (const upstream of this.#options.upstreams())
      if (upstream.route === route) this.#doubted.add(upstream.target.url);
    this.#cancelDoubt ??= this.#options.clock.after(DOUBT_MS, this.#settleDoubts);
  }

  /** Of every upstream, in the order of the configuration. */
  statuses(): UpstreamStatus[] {
    return this.#options.upstreams().map((upstream) => this.#statusOf(upstream));
  }

  /** Ready is who reaches at least one upstream. */
  async check(): Promise<Readiness> {
    if (this.#options.isDraining()) return { ready: false, detail: 'stopping' };
    const isReady = this.#isFresh() || (await this.#reachesAny());
    const down = this.statuses().filter(({ isUp }) => isUp === false);
    const lines = down.map(({ route, url, error }) => `route ${route}: ${url} takes no connections (${error})`);
    const head = isReady ? 'ready' : 'no upstream takes connections; look at the upstream itself';
    return { ready: isReady, detail: [head, ...lines].join('\n') };
  }

  close(): void {
    this.#closing.abort();
    this.#cancelRetry?.();
    this.#cancelDoubt?.();
  }

  #statusOf({ route, upstream, target }: RouteUpstream): UpstreamStatus {
    const { isUp, since, error } = this.#stateOf(target);
    return { route, upstream, url: target.url, isUp, since, error };
  }

  #stateOf({ url }: UpstreamTarget): State {
    const known = this.#states.get(url);
    if (known !== undefined) return known;
    const state: State = { isUp: null, since: null, error: null, reachedAt: -Infinity, trying: null };
    this.#states.set(url, state);
    return state;
  }

  #isFresh(): boolean {
    const oldest = this.#options.clock.now() - FRESH_MS;
    return this.#options.upstreams().some(({ target }) => {
      const { isUp, reachedAt } = this.#stateOf(target);
      return isUp !== false && reachedAt > oldest;
    });
  }

  /** True as soon as one upstream takes a connection. */
  #reachesAny(): Promise<boolean> {
    const tries = this.#options.upstreams().map(async ({ target }) => {
      if (!(await this.#try(target))) throw new Error('down');
      return true;
    });
    return Promise.any(tries).catch(() => false);
  }

  /** Those who ask at the same time share one try. */
  #try(target: UpstreamTarget): Promise<boolean> {
    const state = this.#stateOf(target);
    const { signal } = this.#closing;
    if (signal.aborted) return Promise.resolve(false);
    state.trying ??= tryToConnect(target, this.#options, signal).then((error) => {
      state.trying = null;
      this.#note(target, error);
      return error === null;
    });
    return state.trying;
  }

  #note(target: UpstreamTarget, error: string | null): void {
    if (this.#closing.signal.aborted) return;
    const state = this.#stateOf(target);
    const isUp = error === null;
    const wasUp = state.isUp;
    if (isUp) state.reachedAt = this.#options.clock.now();
    else {
      state.error = error;
      this.#cancelRetry ??= this.#options.clock.after(RETRY_MS, this.#retry);
    }
    if (isUp === wasUp) return;
    Object.assign(state, { isUp, since: this.#options.wallClock() });
    // Being up from the start on is no news.
    if (isUp && wasUp === null) return;
    for (const upstream of this.#options.upstreams()) if (upstream.target.url === target.url) this.#tell(upstream);
  }

  #tell(upstream: RouteUpstream): void {
    const { log, onChange } = this.#options;
    const status = this.#statusOf(upstream);
    const fields = { route: status.route, upstream: status.url };
    if (status.isUp === true) log.info(fields, 'upstream is back');
    else log.warn({ ...fields, error: status.error }, 'upstream cannot be reached');
    onChange?.(status);
  }

  readonly #retry = (): void => {
    this.#cancelRetry = null;
    this.#tryThose(({ target }) => this.#stateOf(target).isUp === false);
  };

  readonly #settleDoubts = (): void => {
    this.#cancelDoubt = null;
    this.#tryThose(({ target }) => this.#doubted.has(target.url));
    this.#doubted.clear();
  };

  #tryThose(fits: (upstream: RouteUpstream) => boolean): void {
    for (const upstream of this.#options.upstreams().filter(fits)) void this.#try(upstream.target);
  }
}

/** @returns null when the connection was taken, or why it was not */
function tryToConnect(
  { address, tls: isTls }: UpstreamTarget,
  { clock, connectTimeoutMs, tls }: UpstreamWatchOptions,
  signal: AbortSignal,
): Promise<string | null> {
  const limitMs = connectTimeoutMs();
  return new Promise((resolve) => {
    const cancel = connect(address, {
      timeoutMs: Infinity,
      ...(isTls ? { secure: (socket) => connectTls({ ...tlsSettings(address, tls()), socket }) } : {}),
      onConnect(socket) {
        socket.on('error', () => undefined);
        socket.destroy();
        settle(null);
      },
      onError: (error) => settle(error.message === '' ? (error.code ?? 'unknown error') : error.message),
    });
    const giveUp = (): void => {
      cancel();
      settle(`no connection within ${limitMs} ms`);
    };
    const disarm = after(limitMs, giveUp, clock);
    signal.addEventListener('abort', giveUp);
    function settle(error: string | null): void {
      signal.removeEventListener('abort', giveUp);
      disarm();
      resolve(error);
    }
  });
}
