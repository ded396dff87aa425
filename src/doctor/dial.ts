/** Opens a WebSocket as a browser would, and tells a refusal from a fault. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type ClientOptions, WebSocket } from 'ws';
import type { Answer } from './answers.ts';
import { connectTo, endpointOf } from './network.ts';

const HANDSHAKE_TIMEOUT_MS = 20_000;
const BODY_LIMIT = 4096;
const BODY_TIMEOUT_MS = 2_000;
/** Far beyond what a room says to a client that says nothing. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface DialOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly insecure: boolean;
  /** Subprotocols beside those of the headers. */
  readonly protocols?: readonly string[];
  /** Gets the socket before anything can have arrived on it. */
  readonly onSocket?: (socket: WebSocket) => void;
  readonly signal: AbortSignal;
}

export type DialOutcome =
  | { readonly kind: 'open'; readonly socket: WebSocket; readonly head: Answer; readonly ms: number }
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'error'; readonly error: NodeJS.ErrnoException };

const NO_ANSWER = Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' });

/** Never rejects. An open socket is the caller's to end. */
export function dial(options: DialOptions): Promise<DialOutcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const socket = createSocket(options);
    const { signal } = options;
    const timer = setTimeout(() => giveUp(NO_ANSWER), HANDSHAKE_TIMEOUT_MS);
    let head: Answer | null = null;
    const onAbort = (): void => giveUp(signal.reason as Error);
    function settle(outcome: DialOutcome): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(outcome);
    }
    function giveUp(error: Error): void {
      settle({ kind: 'error', error });
      socket.terminate();
    }
    // Stays: the end of a handshake that was given up is told as an error, too.
    socket.on('error', (error) => settle({ kind: 'error', error }));
    socket.on('upgrade', (response) => {
      head = answerOf(response, '');
    });
    socket.on('open', () => {
      const ms = Math.round(performance.now() - started);
      if (head !== null) settle({ kind: 'open', socket, head, ms });
    });
    socket.on('unexpected-response', (request, response) => {
      const { socket: connection } = response;
      readBody(response, (body) => {
        settle({ kind: 'answer', answer: answerOf(response, body) });
        // A request that has its whole answer lets go of its connection without an end.
        request.destroy();
        connection.destroy();
      });
    });
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    options.onSocket?.(socket);
  });
}

function createSocket({ url, headers, insecure, protocols = [] }: DialOptions): WebSocket {
  const { named, rest } = takeProtocols(headers);
  let cancel = (): void => {};
  // Node's form with a callback, which the types of `ws` lack.
  function connectLater(_: unknown, onSocket: (error: Error | null, socket?: Socket) => void): void {
    cancel = connectTo(endpointOf(url), {
      timeoutMs: HANDSHAKE_TIMEOUT_MS,
      tls: { rejectUnauthorized: !insecure },
      onConnect: (connection) => onSocket(null, connection),
      onError: onSocket,
    });
  }
  const socket = new WebSocket(url, [...named, ...protocols], {
    headers: { Origin: url.origin.replace(/^ws/, 'http'), 'User-Agent': 'ws-keepalive-proxy doctor', ...rest },
    maxPayload: MAX_MESSAGE_BYTES,
    createConnection: connectLater as unknown as NonNullable<ClientOptions['createConnection']>,
  });
  return socket.on('close', () => cancel());
}

/** `ws` checks the answer against the subprotocols it was told of, not against headers. */
function takeProtocols(headers: Readonly<Record<string, string>>): { named: string[]; rest: Record<string, string> } {
  const entries = Object.entries(headers);
  const isProtocol = (name: string): boolean => name.toLowerCase() === 'sec-websocket-protocol';
  const value = entries.find(([name]) => isProtocol(name))?.[1] ?? '';
  return {
    named: value
      .split(',')
      .map((protocol) => protocol.trim())
      .filter((protocol) => protocol !== ''),
    rest: Object.fromEntries(entries.filter(([name]) => !isProtocol(name))),
  };
}

function answerOf(response: IncomingMessage, body: string): Answer {
  const pairs = Object.entries(response.headers).map(([name, value]) => [name, [value ?? []].flat().join(', ')]);
  return {
    version: response.httpVersion,
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? '',
    headers: Object.fromEntries(pairs) as Record<string, string>,
    body,
  };
}

/** Calls back once with the beginning of a body, as far as it comes soon. */
function readBody(response: IncomingMessage, callback: (body: string) => void): void {
  let body = '';
  const timer = setTimeout(finish, BODY_TIMEOUT_MS);
  function finish(): void {
    clearTimeout(timer);
    response.off('data', take);
    response.off('close', finish);
    callback(body.slice(0, BODY_LIMIT));
  }
  function take(chunk: string): void {
    body += chunk;
    if (body.length >= BODY_LIMIT) finish();
  }
  response.setEncoding('utf8');
  // `close` follows.
  response.on('error', () => {});
  response.on('data', take);
  response.on('close', finish);
}
