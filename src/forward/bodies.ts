/** One request on its way, and how the bodies of both its messages pass. */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Route, UpstreamTarget } from '../core/settings.ts';
import { valuesOf } from '../http/headers.ts';
import { endToEndTrailers, flushHead } from './heads.ts';
import type { InterimBudget } from './interim.ts';

/** What plain HTTP needs of a route. `timeouts.connect` is over when the upstream has accepted a connection, TLS included. */
export type ForwardedRoute = Pick<Route, 'name' | 'upstreams' | 'timeouts' | 'limits'>;

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly route: ForwardedRoute;
  readonly target: string;
  /** Flat list for the upstream, framing and Expect included. */
  readonly head: readonly string[];
  readonly hasBody: boolean;
  readonly accept: string | undefined;
  upstream: UpstreamTarget;
  /** Those before it, which could not be reached. */
  tried: readonly UpstreamTarget[];
  /** Null until there is a connection for it: nothing was sent. */
  outgoing: ClientRequest | null;
  interim: InterimBudget | null;
}

/**
 * Listeners are shared by all requests and find their exchange on what they listen to. A WeakMap in its place would keep
 * what is over alive until the next full collection.
 */
export const kExchange = Symbol('exchange');
export type Carrier<T> = T & { [kExchange]?: Exchange };

/** Bodies up to this length are written as they come, without backpressure: a pipe would cost more than they do. */
const UNPIPED_BYTES = 16_384;
/** How long the rest of an upload of no known length is read and dropped, in ms. */
const DROP_MS = 30_000;

export function sendBody(req: IncomingMessage, outgoing: ClientRequest): void {
  // Node would keep the head until the first of the body comes, and the client may be waiting for an answer before that.
  outgoing.flushHeaders();
  // Before the pipe ends the request.
  req.once('end', () => outgoing.addTrailers(endToEndTrailers(req.rawTrailers)));
  // The rest of an upload that the upstream did not want is read and dropped, else the connection gets stuck.
  outgoing.once('close', () => dropUpload(req.unpipe(outgoing)));
  req.pipe(outgoing);
}

/** Reads the rest of an upload, so that the connection can be used again. */
export function dropUpload(req: IncomingMessage): void {
  req.resume();
  if (req.complete || req.destroyed || valuesOf(req.rawHeaders, 'transfer-encoding').length === 0) return;
  const { socket } = req;
  const timer = setTimeout(() => socket.destroy(), DROP_MS);
  function stop(): void {
    clearTimeout(timer);
    socket.off('close', stop);
  }
  req.once('close', stop);
  // Once it was answered Node does not tell the request when the client leaves.
  socket.once('close', stop);
}

export function sendResponseBody(incoming: IncomingMessage, exchange: Exchange): void {
  const { res } = exchange;
  (incoming as Carrier<IncomingMessage>)[kExchange] = exchange;
  incoming.on('close', incomingOnClose);
  if (exchange.hasBody) incoming.on('end', incomingOnEarlyEnd);
  if (Number(valuesOf(incoming.rawHeaders, 'content-length')[0]) <= UNPIPED_BYTES) {
    incoming.on('data', incomingOnData);
    incoming.on('end', incomingOnEnd);
    return;
  }
  // Before the pipe ends the response.
  incoming.on('end', () => res.addTrailers(endToEndTrailers(incoming.rawTrailers)));
  incoming.pipe(res);
}

function incomingOnData(this: IncomingMessage, chunk: Buffer): void {
  const res = (this as Carrier<IncomingMessage>)[kExchange]?.res;
  if (res?.destroyed === false) res.write(chunk);
}

function incomingOnEnd(this: IncomingMessage): void {
  (this as Carrier<IncomingMessage>)[kExchange]?.res.end();
}

/** The answer is whole, and the upload still under way: the upstream has read what it wanted. It may keep its connection and read no more. */
function incomingOnEarlyEnd(this: IncomingMessage): void {
  const outgoing = (this as Carrier<IncomingMessage>)[kExchange]?.outgoing;
  if (outgoing?.writableFinished === false) outgoing.destroy();
}

/** An upstream that cuts its response off ends neither the pipe nor the `data` events: only `close` tells. */
function incomingOnClose(this: IncomingMessage): void {
  const res = (this as Carrier<IncomingMessage>)[kExchange]?.res;
  if (this.complete || res === undefined) return;
  flushHead(this, res);
  res.destroy();
}

/**
 * http-proxy lets the upstream go when a client leaves an unfinished response. After an early response, with the upload
 * still under way, Node tells the request nothing either: the socket alone knows.
 */
export function giveUpWithClient({ complete, socket }: IncomingMessage, outgoing: ClientRequest): void {
  if (complete || outgoing.destroyed) return;
  function socketOnClose(): void {
    outgoing.destroy();
  }
  socket.once('close', socketOnClose);
  outgoing.once('close', () => socket.off('close', socketOnClose));
}
