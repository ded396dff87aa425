/**
 * From a client's `Upgrade: websocket` to a tunnel or a refusal: check, route, origin, limits, then the upstream. A client
 * is told 101 only after the upstream has said it.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { valuesOf } from '../core/raw-headers.ts';
import type { RawHeaders } from '../core/raw-headers.ts';
import type { ConnectionInfo, Observer, UpgradeFailureReason } from '../core/report.ts';
import { originAllowed, originForm, selectRoute } from '../core/route.ts';
import type { Route, Settings } from '../core/settings.ts';
import type { ChunkReader } from './dial.ts';
import { peerAddress } from './forwarded.ts';
import { checkRequest, extensionNames, formatSwitchingProtocols } from './handshake.ts';
import { createRandom } from './random.ts';
import { endClient, relayRefusal } from './refusal.ts';
import type { Turn } from './turn.ts';
import { discardSocket, UpstreamHandshake } from './upstream-handshake.ts';
import type { HandshakeFailure, HandshakeOutcome } from './upstream-handshake.ts';

/** What an open tunnel starts from. Both sockets carry no listener of the handshake any more. */
export interface TunnelParts {
  /** The client's socket, paused. */
  readonly socket: Socket;
  /** What the client sent before its 101. */
  readonly clientHead: Buffer;
  /** Being read: chunks go to `reader.sink`, which drops them until it is set. */
  readonly upstream: Socket;
  readonly reader: ChunkReader;
  /** What the upstream sent behind its 101. */
  readonly upstreamRest: Buffer;
  readonly info: ConnectionInfo;
  readonly route: Route;
  /** Were any extensions agreed on? */
  readonly extensions: boolean;
}

/** Why the limits do not let a client in. */
export interface AdmissionRefusal {
  readonly status: number;
  readonly detail: string;
  /** Seconds. */
  readonly retryAfter: number;
}

/** `upstreamTls.ca` holds PEM here, not the name of a file. */
export type UpgradeSettings = Pick<Settings, 'routes' | 'allowedOrigins' | 'upstreamTls'> & {
  readonly timeouts: Pick<Settings['timeouts'], 'connect' | 'handshake' | 'stall'>;
  readonly limits: Pick<Settings['limits'], 'headerBytes'>;
};

export interface UpgradeDeps {
  /** Asked once for each request, so that a reload counts for the next one. */
  readonly settings: () => UpgradeSettings;
  /** End-to-end fields for the upstream, forwarding fields set. `peer` is empty on a unix socket. */
  readonly forwardHeaders: (headers: RawHeaders, peer: string) => readonly string[];
  readonly resolveClient: (peer: string, headers: RawHeaders) => string;
  /** Makes a request target safe to show. */
  readonly redact: (target: string) => string;
  /** Null lets the client (its address) in, on this socket. */
  readonly admit: (client: string, socket: Socket) => AdmissionRefusal | null;
  /** A whole response with `Connection: close`. `accept` is the client's field; without `detail` the status speaks for itself. */
  readonly renderError: (
    status: number,
    accept: string | undefined,
    detail: string | undefined,
    headers: Readonly<Record<string, string>>,
  ) => Buffer;
  readonly turn: Turn;
  /** Takes both sockets over, before it returns. */
  readonly openTunnel: (parts: TunnelParts) => void;
  readonly observer: Pick<Observer, 'upgradeFailed'>;
}

/** The listener for an http server's `upgrade`. Its requests offer `websocket`: others are not for it. */
export function createUpgradeHandler(deps: UpgradeDeps): (req: IncomingMessage, socket: Duplex, head: Buffer) => void {
  return function serverOnUpgrade(req, socket, head) {
    // First of all: an error without a listener would end the process. `close` follows it and does the work.
    socket.on('error', socketOnError);
    // The http server's sockets are of node:net or node:tls.
    new UpgradeAttempt(deps, req, socket as Socket, head).start();
  };
}

function socketOnError(): void {}

/** How much of a client's early input is held before its socket is paused, in bytes. */
const EARLY_LIMIT = 16 * 1024;

/** How long a client should wait when the process is out of descriptors, in seconds. */
const RETRY_AFTER = 5;

interface Refusal {
  readonly reason: UpgradeFailureReason;
  readonly status: number;
  /** For the operator. */
  readonly detail: string;
  /** For the client; undefined: nothing beyond the status. */
  readonly told: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

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
  readonly #settings: UpgradeSettings;
  readonly #req: IncomingMessage;
  readonly #socket: Socket;
  readonly #peer: string;
  readonly #client: string;
  #route: Route | null = null;
  #upstream: UpstreamHandshake | null = null;
  #early: Buffer[] = [];
  #earlyBytes = 0;

  constructor(deps: UpgradeDeps, req: IncomingMessage, socket: Socket, head: Buffer) {
    this.#deps = deps;
    this.#settings = deps.settings();
    this.#req = req;
    this.#socket = socket;
    this.#peer = peerAddress(socket);
    this.#client = deps.resolveClient(this.#peer, req.rawHeaders);
    if (head.length > 0) this.#hold(head);
  }

  start(): void {
    this.#socket.setTimeout(0);
    this.#socket.setNoDelay(true);
    this.#socket.on('data', this.#onData);
    this.#socket.on('end', this.#onGone);
    this.#socket.on('close', this.#onGone);
    const refusal = this.#findRefusal();
    if (refusal !== null) this.#refuse(refusal);
    else this.#dial();
  }

  /** In this order: a request that is none is not routed, and an upstream is dialled for nobody who may not have it. */
  #findRefusal(): Refusal | null {
    const { rawHeaders } = this.#req;
    const fault = checkRequest(this.#req);
    if (fault !== null) return { reason: 'bad_request', told: fault.detail, ...fault };
    const host = this.#header('host');
    this.#route = selectRoute(this.#settings.routes, host, this.#target());
    if (this.#route === null) return refusal('no_route', 404, 'no route fits this host and path');
    const origins = valuesOf(rawHeaders, 'origin');
    const origin = origins.length > 1 ? undefined : origins[0];
    if (!originAllowed(this.#settings.allowedOrigins, origin, host)) {
      return refusal('origin', 403, 'pages of this origin may not connect here; see allowed_origins');
    }
    const full = this.#deps.admit(this.#client, this.#socket);
    return full === null ? null : fullHouse(full);
  }

  #dial(): void {
    const route = this.#route;
    if (route === null) return;
    const { timeouts, limits, upstreamTls } = this.#settings;
    this.#upstream = new UpstreamHandshake(
      {
        target: route.upstream,
        path: this.#target(),
        headers: this.#deps.forwardHeaders(this.#req.rawHeaders, this.#peer),
        tls: upstreamTls,
        connectTimeoutMs: timeouts.connect,
        handshakeTimeoutMs: timeouts.handshake,
        headLimit: limits.headerBytes,
        turn: this.#deps.turn,
      },
      (outcome) => this.#settle(route, outcome),
    );
  }

  #settle(route: Route, outcome: HandshakeOutcome): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    if (this.#socket.destroyed) {
      // Its `close` has not been told yet, but nobody is there any more.
      discardSocket(upstream.socket);
      this.#onGone();
    } else if (outcome.kind === 'accepted') {
      this.#open(route, upstream, outcome);
    } else if (outcome.kind === 'refused') {
      this.#passRefusal(route, upstream, outcome);
    } else this.#fail(outcome);
  }

  #fail({ reason, detail }: HandshakeFailure): void {
    const status = reason === 'upstream_timeout' ? 504 : 502;
    if (reason === 'limit') this.#refuse(fullHouse({ status: 503, detail, retryAfter: RETRY_AFTER }));
    else this.#refuse({ reason, status, detail, told: undefined });
  }

  #open(route: Route, upstream: UpstreamHandshake, answer: HandshakeOutcome & { kind: 'accepted' }): void {
    const { rawHeaders } = answer.head;
    const parts: TunnelParts = {
      socket: this.#socket,
      clientHead: Buffer.concat(this.#early),
      upstream: upstream.socket,
      reader: upstream.reader,
      upstreamRest: answer.rest,
      info: this.#info(route),
      route,
      extensions: extensionNames(valuesOf(rawHeaders, 'sec-websocket-extensions')).length > 0,
    };
    this.#detach();
    this.#socket.pause();
    this.#socket.off('error', socketOnError);
    this.#socket.write(formatSwitchingProtocols(rawHeaders, this.#header('sec-websocket-key') ?? ''), 'latin1');
    this.#deps.openTunnel(parts);
  }

  #passRefusal(route: Route, upstream: UpstreamHandshake, answer: HandshakeOutcome & { kind: 'refused' }): void {
    const { status } = answer.head;
    const detail = `upstream ${route.upstream.url}: it answered ${status} instead of 101; its answer was passed on`;
    this.#report('upstream_refused', status, detail);
    this.#detach();
    const { socket, reader } = upstream;
    relayRefusal({ client: this.#socket, upstream: socket, reader, stallMs: this.#settings.timeouts.stall, ...answer });
  }

  #refuse(refusal: Refusal): void {
    this.#report(refusal.reason, refusal.status, refusal.detail);
    this.#detach();
    const { accept } = this.#req.headers;
    this.#socket.write(this.#deps.renderError(refusal.status, accept, refusal.told, refusal.headers ?? {}));
    endClient(this.#socket, this.#settings.timeouts.stall);
  }

  readonly #onGone = (): void => {
    this.#report('client_gone', 0, 'the client left before it had an answer');
    this.#detach();
    this.#upstream?.cancel();
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
    const { client, path } = this.#info(this.#route);
    this.#deps.observer.upgradeFailed({ reason, route: this.#route?.name ?? 'none', client, path, status, detail });
  }

  #info(route: Route | null): ConnectionInfo {
    return {
      id: newId(),
      route: route?.name ?? 'none',
      client: this.#client,
      front: this.#peer === '' ? 'unix' : this.#peer,
      path: this.#deps.redact(this.#target()),
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

/** The limits are for the operator to know. */
function fullHouse({ status, detail, retryAfter }: AdmissionRefusal): Refusal {
  return { reason: 'limit', status, detail, told: undefined, headers: { 'Retry-After': String(retryAfter) } };
}

/** A refusal whose words are fit for both the operator and the client. */
function refusal(reason: UpgradeFailureReason, status: number, detail: string): Refusal {
  return { reason, status, detail, told: detail };
}
