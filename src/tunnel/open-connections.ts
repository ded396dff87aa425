import type { ConnectionInfo } from '../core/events.ts';
import type { KeepaliveSettings } from '../core/settings.ts';

/** What the list uses of a connection. */
interface Member {
  readonly info: ConnectionInfo;
  configure(settings: KeepaliveSettings): void;
}

/** All open connections. */
export class OpenConnections<T extends Member> {
  /** A connection is over. */
  onRemoved: (connection: T) => void = () => {};
  /** In the order in which they came: that in which a stop ends them. */
  readonly #connections = new Set<T>();
  readonly #whenEmpty: (() => void)[] = [];
  /** How many there have been. */
  total = 0;

  get size(): number {
    return this.#connections.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#connections.values();
  }

  add(connection: T): void {
    this.#connections.add(connection);
    this.total++;
  }

  /** Once for each that was added. */
  remove(connection: T): void {
    this.#connections.delete(connection);
    this.onRemoved(connection);
    if (this.#connections.size === 0) for (const callback of this.#whenEmpty.splice(0)) callback();
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
