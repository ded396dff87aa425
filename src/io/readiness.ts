/** Whether traffic sent here would arrive: asked by load balancers and orchestrators. */
import { connect } from 'node:net';
import type { Address } from '../core/settings.ts';
import type { Clock } from './clock.ts';

/** For so long a success is believed, in ms. */
const FRESH_MS = 10_000;

export interface ReadinessOptions {
  readonly clock: Clock;
  readonly isDraining: () => boolean;
  /** Where the upstreams are. */
  readonly upstreams: () => readonly Address[];
  /** How long a probe may take, in ms. */
  readonly connectTimeoutMs: () => number;
}

export interface Readiness {
  readonly ready: boolean;
  /** For operators; names no upstream. */
  readonly detail: string;
}

/** Probes only when traffic has not told. */
export class ReadinessCheck {
  readonly #options: ReadinessOptions;
  #reachedAt = Number.NEGATIVE_INFINITY;
  #probing: Promise<boolean> | null = null;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** An upstream took a connection. */
  reached(): void {
    this.#reachedAt = this.#options.clock.now();
  }

  async check(): Promise<Readiness> {
    if (this.#options.isDraining()) return { ready: false, detail: 'stopping' };
    if (this.#isFresh()) return { ready: true, detail: 'ready' };
    this.#probing ??= this.#probe().finally(() => (this.#probing = null));
    if (await this.#probing) this.reached();
    return this.#isFresh()
      ? { ready: true, detail: 'ready' }
      : { ready: false, detail: 'no upstream takes connections; look at the log and at the upstream itself' };
  }

  #isFresh(): boolean {
    return this.#options.clock.now() - this.#reachedAt < FRESH_MS;
  }

  /** True as soon as one upstream takes a TCP connection. */
  #probe(): Promise<boolean> {
    const limit = this.#options.connectTimeoutMs();
    const probes = this.#options.upstreams().map((address) => probe(address, limit, this.#options.clock));
    return Promise.any(probes).catch(() => false);
  }
}

/** Rejects when nobody takes the connection in time. */
function probe(address: Address, limitMs: number, clock: Clock): Promise<true> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port },
    );
    const disarm = clock.after(limitMs, () => socket.destroy(new Error('too slow')));
    socket.on('connect', () => {
      resolve(true);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', disarm);
  });
}
