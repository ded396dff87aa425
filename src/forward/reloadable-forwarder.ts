import type { IncomingMessage, ServerResponse } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import type { RequestIdentity } from '../core/events.ts';
import type { ForwardedRoute } from './bodies.ts';
import { createHttpForwarder, type HttpForwarder, type HttpForwarderOptions } from './forwarder.ts';

/** A forwarder and how many requests it serves. */
interface Held {
  readonly forwarder: HttpForwarder;
  running: number;
}

/** The forwarder in use. One that was replaced lives on until its requests are done. */
export class ReloadableForwarder {
  #options: HttpForwarderOptions;
  #current: Held;
  readonly #retired = new Set<Held>();

  constructor(options: HttpForwarderOptions) {
    this.#options = options;
    this.#current = { forwarder: createHttpForwarder(options), running: 0 };
  }

  /** How many forwarders there are. */
  get size(): number {
    return 1 + this.#retired.size;
  }

  /** See {@link HttpForwarder.handle}. */
  handle(
    req: IncomingMessage,
    res: ServerResponse,
    route: ForwardedRoute,
    target: string,
    onOver: () => void,
    identity?: RequestIdentity,
  ): void {
    const held = this.#current;
    held.running++;
    const over = (): void => {
      held.running--;
      this.#release(held);
      onOver();
    };
    held.forwarder.handle(req, res, route, target, over, identity);
  }

  /** Requests from now on are served with these options. The same ones as before change nothing. */
  apply(options: HttpForwarderOptions): void {
    if (isDeepStrictEqual(options, this.#options)) return;
    this.#options = options;
    const old = this.#current;
    this.#current = { forwarder: createHttpForwarder(options), running: 0 };
    this.#retired.add(old);
    this.#release(old);
  }

  /** Ends every connection to upstreams, those in use included. */
  close(): void {
    for (const { forwarder } of [this.#current, ...this.#retired]) forwarder.close();
    this.#retired.clear();
  }

  #release(held: Held): void {
    if (held.running === 0 && this.#retired.delete(held)) held.forwarder.close();
  }
}
