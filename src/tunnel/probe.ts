/**
 * The doctor's endpoint: a WebSocket that says nothing until it is spoken to, and then says the same. Whoever leaves it
 * alone for N seconds and is then answered knows that nothing on the way cuts what is silent for N seconds.
 *
 * It is told apart from whatever else may answer at its path by its subprotocol. `?silent=45s` says how long the
 * client means to be silent; the socket ends a little later, whatever happens. Nothing here reaches an upstream.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../runtime/clock.ts';
import { renderRawResponse } from '../http/error-page.ts';
import { checkRequest } from './handshake.ts';
import { endClient } from './refusal.ts';

/** Request paths that end so are the probe's, so that it is found under every prefix a front may use. */
export const PROBE_PATH = '/.well-known/ws-keepalive/probe';
export const PROBE_PROTOCOL = 'ws-keepalive-probe';
/** Longest silence that can be asked for, in ms. */
const MAX_SILENCE_MS = 900_000;
/** Sockets that one client address may have open. */
export const MAX_PROBES_PER_CLIENT = 16;

const MAX_PROBES = 64;
/** New sockets in a minute. */
const MAX_PER_CLIENT_AND_MINUTE = 32;
const MAX_PER_MINUTE = 128;
const MINUTE_MS = 60_000;
const DEFAULT_SILENCE_MS = 60_000;
/** What a socket has on top of its silence: the way there, the echo, the way back. */
const GRACE_MS = 15_000;
/** How long a refusal may take to be read. */
const REFUSAL_MS = 5_000;
const MAX_MESSAGES = 8;
const MAX_MESSAGE_BYTES = 125;

const TRY_LATER = 1013;
const GOING_DOWN = 1012;
const POLICY = 1008;

export interface ProbeOptions {
  readonly clock: Clock;
  /** The client's address, through trusted proxies. */
  readonly resolveClient: (req: IncomingMessage) => string;
}

/** Is this request target the probe's, under any prefix? */
export function isProbeTarget(target: string): boolean {
  return target.split('?', 1)[0]?.endsWith(PROBE_PATH) ?? false;
}

/** Serves the handshakes for which {@link isProbeTarget} holds. */
export class ProbeEndpoint {
  readonly #options: ProbeOptions;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: (offered) => offered.has(PROBE_PROTOCOL) && PROBE_PROTOCOL,
  });
  /** Open sockets and whose they are. */
  readonly #open = new Map<WebSocket, string>();
  /** Those of the last minute, oldest first; never more than the limit for a minute. */
  #recent: { readonly client: string; readonly at: number }[] = [];

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  /** The listener for an http server's `upgrade`. */
  readonly handle = (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', ignoreError);
    const silence = silenceOf(req.url ?? '');
    const client = this.#options.resolveClient(req);
    const fault = checkRequest(req);
    if (fault !== null) refuse(socket, fault.status, fault.detail, fault.headers);
    else if (silence === null)
      refuse(socket, 400, `silent must be a time such as 45s, at most ${MAX_SILENCE_MS / 1000}s`);
    else if (!this.#admit(client))
      refuse(socket, 429, 'Too many probes. Try again in a minute.', { 'Retry-After': '60' });
    else this.#sockets.handleUpgrade(req, socket, head, (probe) => this.#serve(probe, client, silence));
  };

  /** Sends every probe a Close; {@link destroy} does not wait for the answers. */
  close(): void {
    for (const probe of this.#open.keys()) probe.close(GOING_DOWN, 'proxy is stopping');
  }

  destroy(): void {
    for (const probe of this.#open.keys()) probe.terminate();
  }

  #admit(client: string): boolean {
    const now = this.#options.clock.now();
    this.#recent = this.#recent.filter(({ at }) => at > now - MINUTE_MS);
    const open = [...this.#open.values()].filter((other) => other === client).length;
    const recent = this.#recent.filter((other) => other.client === client).length;
    if (this.#open.size >= MAX_PROBES || this.#recent.length >= MAX_PER_MINUTE) return false;
    if (open >= MAX_PROBES_PER_CLIENT || recent >= MAX_PER_CLIENT_AND_MINUTE) return false;
    this.#recent.push({ client, at: now });
    return true;
  }

  #serve(probe: WebSocket, client: string, silence: number): void {
    let messages = 0;
    const spent = (): boolean => {
      messages += 1;
      if (messages > MAX_MESSAGES) probe.close(POLICY, 'a probe is asked a few times only');
      return messages > MAX_MESSAGES;
    };
    const disarm = this.#options.clock.after(silence + GRACE_MS, () => endProbe(probe));
    this.#open.set(probe, client);
    probe.on('error', ignoreError);
    probe.on('ping', spent);
    probe.on('message', (data, isBinary) => {
      if (!spent()) probe.send(data, { binary: isBinary });
    });
    probe.on('close', () => {
      disarm();
      this.#open.delete(probe);
    });
  }
}

/** For peers that broke the protocol or vanished: `close` follows. */
function ignoreError(): void {}

/** A peer that was silent for so long may be gone: no answer is waited for. */
function endProbe(probe: WebSocket): void {
  probe.close(TRY_LATER, 'the time of this probe is over');
  probe.terminate();
}

function refuse(socket: Duplex, status: number, detail: string, headers: Readonly<Record<string, string>> = {}): void {
  socket.write(renderRawResponse(status, undefined, detail, headers));
  // The http server's sockets are of node:net.
  endClient(socket as Socket, REFUSAL_MS);
}

/** Milliseconds, or null for what is no time or too long a one. */
function silenceOf(target: string): number | null {
  const asked = new URLSearchParams(target.split('?')[1] ?? '').get('silent');
  if (asked === null) return DEFAULT_SILENCE_MS;
  const [, amount, unit] = /^(\d{1,7}(?:\.\d{1,3})?)(ms|s)$/.exec(asked) ?? [];
  const milliseconds = Number(amount) * (unit === 'ms' ? 1 : 1000);
  return amount !== undefined && milliseconds <= MAX_SILENCE_MS ? milliseconds : null;
}
