/**
 * From a client's `Upgrade: websocket` to a tunnel or a refusal: check, route, origin, limits, then the upstream. A client
 * is told 101 only after the upstream has said it.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawHeaders, valuesOf } from '../http/headers.ts';
import type { ConnectionInfo, Observer, RequestIdentity, UpgradeFailureReason } from '../core/events.ts';
import { interned } from '../http/remembering.ts';
import { withRequestId } from '../http/request-identity.ts';
import { originAllowed, originForm, selectRoute } from '../http/route.ts';
import type { UpstreamHealth } from '../core/failover.ts';
import type { Route, Settings, UpstreamTarget } from '../core/settings.ts';
import type { AdmissionRefusal } from './admission.ts';
import type { TunnelParts } from './connection.ts';
import type { DialQueues } from '../runtime/dial-queue.ts';
import { peerAddress, tcpPeer } from '../http/client-address.ts';
import { checkRequest, extensionNames, formatSwitchingProtocols } from './handshake.ts';
import { createRandom } from '../runtime/random.ts';
import { endClient, failureRefusal, limitRefusal, plainRefusal, type Refusal, relayRefusal } from './refusal.ts';
import type { ReadBatch } from './read-batch.ts';
import { type AttemptsFailure, type UpstreamAnswer, UpstreamAttempts } from './upstream-attempts.ts';
import { discardSocket, type HandshakeFailure, type HandshakeOutcome } from './upstream-handshake.ts';

/** `upstreamTls.ca` holds PEM here, not the name of a file. */
export type UpgradeSettings = Pick<Settings, 'routes' | 'allowedOrigins' | 'upstreamTls' | 'timeouts'>;

export interface UpgradeDeps {
  /** Asked once for each request, so that a reload counts for the next one. */
  readonly settings: () => UpgradeSettings;
  /** End-to-end fields for the upstream, forwarding fields set. `peer` is empty on a unix socket. */
  readonly forwardHeaders: (headers: RawHeaders, peer: string) => readonly string[];
  readonly resolveClient: (peer: string, headers: RawHeaders) => string;
  readonly identify: (peer: string, headers: RawHeaders) => RequestIdentity;
  /** Makes a request target safe to show. */
  readonly redact: (target: string) => string;
  /** Null lets the client (its address) in, on this socket. */
  readonly admit: (client: string, socket: Socket, route: Route) => AdmissionRefusal | null;
  /** A whole response with `Connection: close`. `accept` is the client's field; without `detail` the status speaks for itself. */
  readonly renderError: (
    status: number,
    accept: string | undefined,
    detail: string | undefined,
    headers: Readonly<Record<string, string>>,
  ) => Buffer;
  readonly batch: ReadBatch;
  /** Where attempts wait for the upstream, so that only so many are under way at a time. */
  readonly dials: DialQueues;
  readonly health: UpstreamHealth;
  /** Takes both sockets over, before it returns. @param isExtended extensions were agreed on */
  readonly openTunnel: (parts: TunnelParts, route: Route, isExtended: boolean) => void;
  readonly observer: Pick<Observer, 'upgradeFailed' | 'oddHandshake'>;
}

/**
 * What led to the newest tunnel, with all that this consists of, kept when it is over: V8 forgets the shapes of objects of which none is left,
 * and the code that was compiled for them. A crowd that comes back after memory was given back took 1.4 times the CPU (docs/benchmarks.md, "Storms").
 */
interface Specimen {
  opened: UpgradeAttempt | null;
}

/** The listener for an http server's `upgrade`. Its requests offer `websocket`: others are not for it. */
export function createUpgradeHandler(deps: UpgradeDeps): (req: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const specimen: Specimen = { opened: null };
  return function serverOnUpgrade(req, socket, head) {
    // First of all: an error without a listener would end the process. `close` follows it and does the work.
    socket.on('error', socketOnError);
    // The http server's sockets are of node:net or node:tls.
    new UpgradeAttempt(deps, specimen, req, socket as Socket, head).start();
  };
}

function socketOnError(): void {}

/** How much of a client's early input is held before its socket is paused, in bytes. */
const EARLY_LIMIT = 16 * 1024;

const random = createRandom();

/** 40 random bits in hexadecimal: a name for a connection in the log. */
function newId(): string {
  return hex(random()) + hex(random()).slice(-2);
}

function hex(bits: number): string {
  return (bits >>> 0).toString(16).padStart(8, '0');
}

/** One request, until it has become a tunnel or an answer. */
class UpgradeAttempt {
  readonly #deps: UpgradeDeps;
  readonly #specimen: Specimen;
  readonly #settings: UpgradeSettings;
  readonly #req: IncomingMessage;
  readonly #socket: Socket;
  readonly #peer: string;
  /** Address of the TCP peer, about which idle limits are learned. A PROXY head speaks for another one: `#peer`. */
  readonly #front: string;
  readonly #client: string;
  readonly #identity: RequestIdentity;
  #route: Route | null = null;
  #attempts: UpstreamAttempts | null = null;
  #early: Buffer[] = [];
  #earlyBytes = 0;

  constructor(deps: UpgradeDeps, specimen: Specimen, req: IncomingMessage, socket: Socket, head: Buffer) {
    this.#deps = deps;
    this.#specimen = specimen;
    this.#settings = deps.settings();
    this.#req = req;
    this.#socket = socket;
    this.#peer = peerAddress(socket);
    this.#front = tcpPeer(socket);
    this.#client = deps.resolveClient(this.#peer, req.rawHeaders);
    this.#identity = deps.identify(this.#peer, req.rawHeaders);
    if (head.length > 0) this.#hold(head);
  }

  start(): void {
    if (this.#socket.destroyed) {
      this.#onGone();
      return;
    }
    this.#socket.setTimeout(0);
    this.#socket.setNoDelay(true);
    this.#socket.on('data', this.#onData);
    this.#socket.on('end', this.#onGone);
    this.#socket.on('close', this.#onGone);
    const refusal = this.#findRefusal();
    if (refusal !== null) this.#refuse(refusal);
    else if (this.#route !== null) this.#ask(this.#route);
  }

  /** Before the upstream is dialled: a client that is refused must not cost an upstream connection. */
  #findRefusal(): Refusal | null {
    const { rawHeaders } = this.#req;
    const fault = checkRequest(this.#req);
    if (fault !== null) return { reason: 'bad_request', told: fault.detail, ...fault };
    const host = this.#header('host');
    this.#route = selectRoute(this.#settings.routes, host, this.#target());
    if (this.#route === null) return plainRefusal('no_route', 404, 'no route fits this host and path');
    const origins = valuesOf(rawHeaders, 'origin');
    const origin = origins.length > 1 ? undefined : origins[0];
    if (!originAllowed(this.#settings.allowedOrigins, origin, host)) {
      return plainRefusal('origin', 403, 'pages of this origin may not connect here; see allowed_origins');
    }
    const full = this.#deps.admit(this.#client, this.#socket, this.#route);
    return full === null ? null : limitRefusal(full);
  }

  #ask(route: Route): void {
    const { batch, dials, forwardHeaders, health } = this.#deps;
    const { rawHeaders } = this.#req;
    this.#attempts = new UpstreamAttempts({
      route,
      client: this.#client,
      dials,
      health,
      request: () => ({
        path: this.#target(),
        headers: withRequestId(forwardHeaders(rawHeaders, this.#peer), this.#identity.requestId),
        tls: this.#settings.upstreamTls,
        batch,
      }),
      onAnswer: (upstream, answer) => this.#settle(route, upstream, answer),
      onFailure: (failure) => this.#fail(failure),
    });
    this.#attempts.start();
  }

  #settle(route: Route, upstream: UpstreamAnswer, answer: Exclude<HandshakeOutcome, HandshakeFailure>): void {
    if (this.#socket.destroyed) {
      discardSocket(upstream.socket);
      this.#onGone();
    } else if (answer.kind === 'accepted') this.#open(route, upstream, answer);
    else this.#passRefusal(route, upstream, answer);
  }

  #fail(failure: AttemptsFailure): void {
    // Its `close` has not been told yet, but nobody is there any more.
    if (this.#socket.destroyed) this.#onGone();
    else this.#refuse(failureRefusal(failure));
  }

  #open(route: Route, upstream: UpstreamAnswer, answer: HandshakeOutcome & { kind: 'accepted' }): void {
    const { rawHeaders } = answer.head;
    const parts: TunnelParts = {
      info: this.#info(route, upstream.target),
      client: this.#socket,
      clientHead: Buffer.concat(this.#early),
      upstream: upstream.socket,
      upstreamReader: upstream.reader,
      upstreamRest: answer.rest,
    };
    const isExtended = extensionNames(valuesOf(rawHeaders, 'sec-websocket-extensions')).length > 0;
    if (answer.oddity !== null)
      this.#deps.observer.oddHandshake(route.name, `upstream ${upstream.target.url}: ${answer.oddity}`);
    this.#detach();
    this.#socket.pause();
    this.#socket.off('error', socketOnError);
    this.#socket.write(formatSwitchingProtocols(rawHeaders, this.#header('sec-websocket-key') ?? ''), 'latin1');
    this.#deps.openTunnel(parts, route, isExtended);
    this.#specimen.opened = this;
  }

  #passRefusal(route: Route, upstream: UpstreamAnswer, answer: HandshakeOutcome & { kind: 'refused' }): void {
    const { status } = answer.head;
    const detail = `upstream ${upstream.target.url}: it answered ${status} instead of 101; its answer was passed on`;
    this.#report('upstream_refused', status, detail);
    this.#detach();
    const { socket, reader } = upstream;
    relayRefusal({ client: this.#socket, upstream: socket, reader, stallMs: route.timeouts.stall, ...answer });
  }

  #refuse(refusal: Refusal): void {
    this.#report(refusal.reason, refusal.status, refusal.detail);
    this.#detach();
    const { accept } = this.#req.headers;
    this.#socket.write(this.#deps.renderError(refusal.status, accept, refusal.told, refusal.headers ?? {}));
    endClient(this.#socket, (this.#route ?? this.#settings).timeouts.stall);
  }

  readonly #onGone = (): void => {
    this.#report('client_gone', 0, 'the client left before it had an answer');
    this.#detach();
    this.#attempts?.cancel();
    this.#socket.destroy();
  };

  readonly #onData = (chunk: Buffer): void => {
    this.#hold(chunk);
  };

  #hold(chunk: Buffer): void {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes >= EARLY_LIMIT) this.#socket.pause();
  }

  #detach(): void {
    this.#early = [];
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onGone);
    this.#socket.off('close', this.#onGone);
  }

  #report(reason: UpgradeFailureReason, status: number, detail: string): void {
    const { client, path, route, request } = this.#info(this.#route);
    this.#deps.observer.upgradeFailed({ reason, route, client, path, request, status, detail });
  }

  #info(route: Route | null, upstream: UpstreamTarget | null = null): ConnectionInfo {
    return {
      id: newId(),
      route: route?.name ?? 'none',
      client: this.#client,
      front: this.#front === '' ? 'unix' : interned(this.#front),
      frontIsKnown: this.#client !== this.#deps.resolveClient(this.#front, []),
      path: interned(this.#deps.redact(this.#target())),
      // With one upstream the route says it.
      upstream: route !== null && route.upstreams.length > 1 ? upstream?.url : undefined,
      request: this.#identity,
    };
  }

  /** Origin form, or as sent when it has none (which is refused). */
  #target(): string {
    const url = this.#req.url ?? '';
    return originForm(url) ?? url;
  }

  #header(name: string): string | undefined {
    return valuesOf(this.#req.rawHeaders, name)[0];
  }
}
