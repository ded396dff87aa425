import type { ConnectionInfo } from '../core/report.ts';
import type { KeepaliveSettings } from '../core/settings.ts';
import type { Connection } from './connection.ts';

/** All open connections. */
export class Registry {
  /** A connection is over. */
  onRemoved: (connection: Connection) => void = () => {};
  readonly #connections = new Set<Connection>();
  readonly #whenEmpty: (() => void)[] = [];

  get size(): number {
    return this.#connections.size;
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#connections.values();
  }

  /** @returns what takes it out again */
  add(connection: Connection): () => void {
    this.#connections.add(connection);
    return () => {
      this.#connections.delete(connection);
      this.onRemoved(connection);
      if (this.#connections.size === 0) for (const callback of this.#whenEmpty.splice(0)) callback();
    };
  }

  /** Resolves as soon as no connection is left. */
  empty(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  /** Gives open connections new keepalive settings. `undefined` leaves what they have, as for a route that is no more. */
  configure(settingsOf: (info: ConnectionInfo) => KeepaliveSettings | undefined): void {
    for (const connection of this.#connections) {
      const settings = settingsOf(connection.info);
      if (settings !== undefined) connection.configure(settings);
    }
  }
}
