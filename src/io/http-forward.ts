/**
 * Plain HTTP, passed through by http-proxy: it owns the plumbing (requests, aborts, errors); heads and bodies are passed on here.
 * Its own ideas of a path, of headers and of Expect are bypassed, because they change what passes.
 */
import type { ClientRequest, IncomingMessage, InformationEvent, ServerResponse } from 'node:http';
import { type Duplex, Stream } from 'node:stream';
import httpProxy from 'http-proxy';
import { valuesOf } from '../core/raw-headers.ts';
import type { Log, Observer } from '../core/report.ts';
import { originForm } from '../core/route.ts';
import type { UpstreamTarget } from '../core/settings.ts';
import { errorResponse } from './error-page.ts';
import { forwardHeaders, peerAddress } from './forwarded.ts';
import type { Trust } from './forwarded.ts';
import {
  applyHead,
  endToEndTrailers,
  flushHead,
  hasBody,
  relayInformation,
  requestHead,
  writeResponseHead,
} from './http-heads.ts';
import { isStrippedUpgrade, refuseStrippedUpgrade } from './stripped-upgrade.ts';
import { createAgentPool } from './upstream-agent.ts';
import type { AgentPool, UpstreamTls } from './upstream-agent.ts';

export interface HttpForwarderOptions {
  readonly trusted: Trust;
  /** Milliseconds until an upstream must have accepted a connection, TLS included; `Infinity`: no limit. */
  readonly connectTimeoutMs: number;
  readonly upstreamTls: UpstreamTls;
  readonly observer: Pick<Observer, 'httpRequest'>;
  readonly log: Log;
}

export interface HttpForwarder {
  /**
   * Serves one request. Wire it to the server's 'request' and 'checkContinue' both: `Expect: 100-continue` goes to the
   * upstream, and it is the upstream's 100 that asks the client for the body.
   *
   * @param route label for the log and the observer
   */
  handle(req: IncomingMessage, res: ServerResponse, upstream: UpstreamTarget, route: string): void;
  /** Ends every connection to upstreams, those in use included. */
  close(): void;
}

export function createHttpForwarder(options: HttpForwarderOptions): HttpForwarder {
  return new Forwarder(options);
}

/** Answers with one of the proxy's own short texts. */
export function answerError(res: ServerResponse, status: number, accept: string | undefined, detail?: string): void {
  const { headers, body } = errorResponse(status, accept, detail);
  res.writeHead(status, headers).end(body);
}

/** One request on its way. */
interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly upstream: UpstreamTarget;
  readonly route: string;
  readonly target: string;
  /** Flat list for the upstream, framing and Expect included. */
  readonly head: readonly string[];
  readonly hasBody: boolean;
  readonly accept: string | undefined;
  outgoing: ClientRequest | null;
  retried: boolean;
}

/**
 * Listeners are shared by all requests and find their exchange on what they listen to. A WeakMap in its place would keep
 * what is over alive until the next full collection.
 */
const kExchange = Symbol('exchange');

/** What http-proxy is told to send as every body: nothing yet. The true one follows the head; most requests have none, and need no pipe. */
const sentLater = Object.assign(new Stream(), { pipe: <T>(outgoing: T): T => outgoing });

/** Bodies up to this length are not held back when the client is slow: a pipe has more to do than to pass them on. */
const UNPIPED_BYTES = 16_384;

type HttpProxy = Pick<ReturnType<typeof httpProxy.createProxyServer>, 'web'>;
type Carrier<T> = T & { [kExchange]?: Exchange };

class Forwarder implements HttpForwarder {
  readonly #options: HttpForwarderOptions;
  readonly #agents: AgentPool;
  /** By identity: a route's target stays the same object until the next reload. Options given with each call take http-proxy longer. */
  readonly #proxies = new WeakMap<UpstreamTarget, HttpProxy>();

  constructor(options: HttpForwarderOptions) {
    this.#options = options;
    this.#agents = createAgentPool(options.connectTimeoutMs, options.upstreamTls);
  }

  handle(req: IncomingMessage, res: ServerResponse, upstream: UpstreamTarget, route: string): void {
    const { trusted, observer, log } = this.#options;
    res.on('close', () => {
      observer.httpRequest(route, res.headersSent ? res.statusCode : 499);
      const outgoing = (req as Carrier<IncomingMessage>)[kExchange]?.outgoing;
      if (outgoing) giveUpWithClient(req, outgoing);
    });
    if (isStrippedUpgrade(req)) {
      refuseStrippedUpgrade(req, res, route, log);
      return;
    }
    const { accept } = req.headers;
    const target = originForm(req.url ?? '', req.method ?? '');
    // RFC 9112 3.2: several Host lines are several opinions about whom the request is for.
    if (target === null || valuesOf(req.rawHeaders, 'host').length > 1) {
      answerError(res, 400, accept);
      return;
    }
    const head = requestHead(req, forwardHeaders(req.rawHeaders, peerAddress(req.socket), trusted));
    (req as Carrier<IncomingMessage>)[kExchange] = {
      req,
      res,
      upstream,
      route,
      target,
      head,
      hasBody: hasBody(head),
      accept,
      outgoing: null,
      retried: false,
    };
    // http-proxy would copy these, lower-cased and joined, would skip 'proxyReq' when Expect is among them, and Node would ask
    // for the TLS name in Host, which is the client's to choose. The head is written in #onProxyReq instead.
    req.headers = {};
    this.#send(req, res, upstream);
  }

  close(): void {
    this.#agents.close();
  }

  #send(req: IncomingMessage, res: ServerResponse, upstream: UpstreamTarget): void {
    let proxy = this.#proxies.get(upstream);
    if (proxy === undefined) {
      proxy = this.#createProxy(upstream);
      this.#proxies.set(upstream, proxy);
    }
    proxy.web(req, res);
  }

  #createProxy(upstream: UpstreamTarget): HttpProxy {
    const { address, tls } = upstream;
    const place = address.kind === 'unix' ? { host: 'localhost', port: 80, socketPath: address.path } : address;
    const proxy = httpProxy.createProxyServer({
      target: { ...place, protocol: tls ? 'https:' : 'http:' },
      agent: this.#agents.agentFor(upstream),
      ignorePath: true,
      prependPath: false,
      // Else it parses the URL, for a path that nobody reads.
      toProxy: true,
      buffer: sentLater,
      selfHandleResponse: true,
    });
    proxy.on('proxyReq', this.#onProxyReq);
    proxy.on('proxyRes', this.#onProxyRes);
    proxy.on('error', this.#onError);
    return proxy;
  }

  /** http-proxy calls this when a socket is assigned, before anything is written on it. */
  readonly #onProxyReq = (outgoing: ClientRequest, req: IncomingMessage): void => {
    const exchange = (req as Carrier<IncomingMessage>)[kExchange];
    if (exchange === undefined) return;
    exchange.outgoing = outgoing;
    (outgoing as Carrier<ClientRequest>)[kExchange] = exchange;
    outgoing.path = exchange.target;
    applyHead(outgoing, exchange.head);
    outgoing.on('information', outgoingOnInformation);
    outgoing.on('upgrade', outgoingOnUpgrade);
    if (exchange.hasBody) sendBody(req, outgoing);
    else outgoing.end();
  };

  readonly #onProxyRes = (incoming: IncomingMessage, req: IncomingMessage, res: ServerResponse): void => {
    const exchange = (req as Carrier<IncomingMessage>)[kExchange];
    if (exchange === undefined) return;
    try {
      writeResponseHead(incoming, req, res);
    } catch (error) {
      this.#onError(error as Error, req);
      incoming.destroy();
      return;
    }
    (incoming as Carrier<IncomingMessage>)[kExchange] = exchange;
    incoming.on('close', incomingOnClose);
    sendResponseBody(incoming, res);
  };

  readonly #onError = (error: NodeJS.ErrnoException, req: IncomingMessage): void => {
    const exchange = (req as Carrier<IncomingMessage>)[kExchange];
    if (exchange === undefined) return;
    const { res, upstream, route } = exchange;
    // Once a response has begun its own end tells the client. A client that is gone gets nothing.
    if (res.headersSent || res.destroyed) return;
    if (canRetry(error, exchange)) {
      exchange.retried = true;
      this.#send(req, res, upstream);
      return;
    }
    const { code, message } = error;
    const status = code === 'ETIMEDOUT' ? 504 : 502;
    this.#options.log.warn(
      { route, upstream: upstream.url, status, code, error: message },
      'no answer from the upstream',
    );
    answerError(res, status, exchange.accept);
  };
}

function sendBody(req: IncomingMessage, outgoing: ClientRequest): void {
  // Node would keep the head until the first of the body comes, and the client may be waiting for an answer before that.
  outgoing.flushHeaders();
  // Before the pipe ends the request.
  req.once('end', () => outgoing.addTrailers(endToEndTrailers(req.rawTrailers)));
  // The rest of an upload that the upstream did not want is read and dropped, else the connection gets stuck.
  outgoing.once('close', () => req.unpipe(outgoing).resume());
  req.pipe(outgoing);
}

function sendResponseBody(incoming: IncomingMessage, res: ServerResponse): void {
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

/** A response that was cut off tells neither a pipe nor who listens to its data. */
function incomingOnClose(this: IncomingMessage): void {
  const res = (this as Carrier<IncomingMessage>)[kExchange]?.res;
  if (this.complete || res === undefined) return;
  flushHead(this, res);
  res.destroy();
}

function outgoingOnInformation(this: ClientRequest, information: InformationEvent): void {
  const exchange = (this as Carrier<ClientRequest>)[kExchange];
  if (exchange !== undefined) relayInformation(information, exchange.req, exchange.res);
}

/** Only a handshake is answered with 101. Node would end the connection without a word, and the client would wait for ever. */
function outgoingOnUpgrade(this: ClientRequest, _incoming: IncomingMessage, socket: Duplex): void {
  socket.destroy();
  this.emit('error', new Error('the upstream switched protocols although nobody asked it to'));
}

/**
 * http-proxy lets the upstream go when a client leaves an unfinished response. After an early response, with the upload
 * still under way, Node tells the request nothing either: the socket alone knows.
 */
function giveUpWithClient({ complete, socket }: IncomingMessage, outgoing: ClientRequest): void {
  if (complete || outgoing.destroyed) return;
  function socketOnClose(): void {
    outgoing.destroy();
  }
  socket.once('close', socketOnClose);
  outgoing.once('close', () => socket.off('close', socketOnClose));
}

/** A kept-alive connection may be closed by the upstream in the moment a request sets out on it (RFC 9112 9.3.1). */
function canRetry(error: NodeJS.ErrnoException, { req, retried, outgoing, hasBody }: Exchange): boolean {
  const stale = outgoing?.reusedSocket === true && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
  const safe = req.method === 'GET' || req.method === 'HEAD' || req.method === 'OPTIONS';
  return stale && safe && !hasBody && !retried;
}
