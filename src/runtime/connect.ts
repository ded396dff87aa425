/**
 * Connects to the address of a name that answers first (RFC 8305), or to a unix socket, with or without TLS.
 *
 *     const cancel = connect(target, {
 *       timeoutMs: 5_000,
 *       socket: { allowHalfOpen: true, noDelay: true, onread },
 *       secure: (tcp) => tls.connect({ socket: tcp, servername }),   // only for TLS
 *       onConnect: (socket) => socket.on('error', …),                // attach `error` before returning
 *       onError: (error) => …,
 *     });
 *
 * Of several addresses the next one is tried 250 ms after the one before it, or at once when that one failed; the earlier
 * attempts go on meanwhile. Node's own `autoSelectFamily` gives the earlier attempt up, so that a distant address behind a
 * dead one is never reached. Addresses alternate between IPv6 and IPv4, beginning with what the resolver put first.
 *
 * Exactly one of `onConnect` and `onError` is called, once and never before `connect` has returned; neither is called after `cancel()`.
 * In every case all sockets but the one given to `onConnect` are destroyed. That one has no listener of ours left.
 *
 * Errors: those of the resolver (`ENOTFOUND`), of the kernel (`ECONNREFUSED`) and of TLS, as they come. When several addresses failed,
 * an AggregateError with the code of the one that says most. Over the limit: `ETIMEDOUT`, the code of the kernel's own verdict.
 */
import { ADDRCONFIG, lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { connect as netConnect, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Address } from '../core/settings.ts';
import { type Clock, systemClock } from './clock.ts';
import { after } from './limit-timer.ts';

/** RFC 8305 section 5 recommends it; browsers use it as well. */
export const ATTEMPT_DELAY_MS = 250;

export interface ConnectOptions {
  /** Until connected (with `secure`: until secured), name lookup included; `Infinity`: no limit. */
  readonly timeoutMs: number;
  /** For the socket of every attempt. Only the winner reads, so they can share one `onread`. */
  readonly socket?: Pick<TcpNetConnectOpts, 'allowHalfOpen' | 'noDelay' | 'onread'>;
  /** Starts TLS on the connection that won. Other addresses are not tried when TLS fails. */
  readonly secure?: (socket: Socket) => TLSSocket;
  readonly onConnect: (socket: Socket) => void;
  readonly onError: (error: NodeJS.ErrnoException) => void;
  readonly network?: Network;
}

/** What tests replace. */
export interface Network {
  readonly lookup: (
    host: string,
    callback: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
  ) => void;
  readonly connect: (options: { host: string; port: number } | { path: string }) => Socket;
  readonly clock: Pick<Clock, 'after' | 'afterPoll'>;
}

class ConnectTimeoutError extends Error {
  /** That of the kernel's own verdict. */
  readonly code = 'ETIMEDOUT';

  constructor(limit: number, earlier: readonly Error[]) {
    const besides = earlier.map(({ message }) => `; ${message}`).join('');
    super(`not connected within ${limit} ms${besides}`);
    this.name = 'ConnectTimeoutError';
  }
}

const system: Network = {
  // As `net.connect` asks: no IPv6 addresses on a machine that has only IPv4.
  lookup: (host, callback) => dnsLookup(host, { all: true, hints: ADDRCONFIG }, callback),
  connect: netConnect,
  clock: systemClock,
};

/** @returns what gives the connection up and destroys its sockets; without effect once there is an outcome */
export function connect(address: Address, options: ConnectOptions): () => void {
  const race = new Race(options);
  race.start(address);
  return () => race.finish();
}

class Race {
  readonly #options: ConnectOptions;
  readonly #network: Network;
  /** Sockets that have neither failed nor won yet. */
  readonly #attempts = new Set<Socket>();
  readonly #errors: NodeJS.ErrnoException[] = [];
  #untried: (() => Socket)[] = [];
  #cancelDelay: () => void = () => {};
  #cancelLimit: () => void = () => {};
  #isOver = false;

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.#network = options.network ?? system;
  }

  start(address: Address): void {
    const { timeoutMs } = this.#options;
    const giveUp = (): void => this.#fail(new ConnectTimeoutError(timeoutMs, this.#errors));
    this.#cancelLimit = after(timeoutMs, giveUp, this.#network.clock);
    if (address.kind === 'unix') this.#try([() => this.#open({ path: address.path })]);
    else this.#resolve(address.host, address.port);
  }

  /** Ends everything that is under way. */
  finish(): void {
    this.#isOver = true;
    this.#cancelDelay();
    this.#cancelLimit();
    for (const socket of this.#attempts) socket.destroy();
  }

  #resolve(host: string, port: number): void {
    // One address needs no race, and the ordinary configuration pays nothing for it.
    if (isIP(host) !== 0) {
      this.#try([() => this.#open({ host, port })]);
      return;
    }
    this.#network.lookup(host, (error, found) => {
      if (this.#isOver) return;
      if (error !== null || found.length === 0) this.#fail(error ?? summarize([]));
      else this.#try(interleave(found).map((address) => () => this.#open({ host: address, port })));
    });
  }

  #open(place: { host: string; port: number } | { path: string }): Socket {
    return this.#network.connect({ ...this.#options.socket, ...place });
  }

  #try(attempts: (() => Socket)[]): void {
    this.#untried = attempts;
    this.#next();
  }

  #next(): void {
    this.#cancelDelay();
    const socket = this.#untried.shift()?.();
    if (socket === undefined) return;
    this.#settle(
      socket,
      'connect',
      () => this.#won(socket),
      (error) => this.#lost(error),
    );
    if (this.#untried.length > 0) this.#cancelDelay = this.#network.clock.after(ATTEMPT_DELAY_MS, () => this.#next());
  }

  #settle(socket: Socket, ready: string, onReady: () => void, onError: (error: NodeJS.ErrnoException) => void): void {
    const attempts = this.#attempts;
    function socketOnReady(): void {
      detach();
      onReady();
    }
    function socketOnError(error: NodeJS.ErrnoException): void {
      detach();
      onError(error);
    }
    function detach(): void {
      attempts.delete(socket);
      socket.off(ready, socketOnReady);
      socket.off('error', socketOnError);
    }
    attempts.add(socket);
    socket.on(ready, socketOnReady);
    socket.on('error', socketOnError);
  }

  #lost(error: NodeJS.ErrnoException): void {
    this.#errors.push(error);
    if (this.#untried.length > 0) this.#next();
    else if (this.#attempts.size === 0) this.#fail(summarize(this.#errors));
  }

  #won(socket: Socket): void {
    const { secure, onConnect } = this.#options;
    this.#cancelDelay();
    this.#untried = [];
    for (const loser of this.#attempts) loser.destroy();
    this.#attempts.clear();
    if (secure === undefined) {
      this.finish();
      onConnect(socket);
      return;
    }
    const secured = secure(socket);
    this.#settle(
      secured,
      'secureConnect',
      () => {
        this.finish();
        onConnect(secured);
      },
      (error) => this.#fail(error),
    );
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#isOver) return;
    this.finish();
    this.#options.onError(error);
  }
}

/** RFC 8305 section 4: families take turns, so that a family without a way costs one attempt at most. */
function interleave(addresses: readonly LookupAddress[]): string[] {
  const first = addresses[0]?.family;
  const one = addresses.filter(({ family }) => family === first);
  const other = addresses.filter(({ family }) => family !== first);
  return addresses.flatMap((_, at) => [one[at], other[at]].flatMap((next) => next?.address ?? []));
}

/** A machine without IPv6 says so for every IPv6 address, which tells nothing about the server. */
const NO_WAY = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL']);

function summarize(errors: readonly NodeJS.ErrnoException[]): NodeJS.ErrnoException {
  const telling = errors.find(({ code = '' }) => !NO_WAY.has(code)) ?? errors[0];
  if (telling === undefined) return Object.assign(new Error('the name has no address'), { code: 'ENOTFOUND' });
  if (errors.length === 1) return telling;
  const all = new AggregateError(errors, errors.map(({ message }) => message).join('; '));
  return Object.assign(all, { code: telling.code });
}
