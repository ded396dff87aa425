/**
 * Plain HTTP, passed through by http-proxy: it owns the plumbing (requests, aborts, errors); heads and bodies are passed on here.
 * Its own ideas of a path, of headers and of Expect are bypassed, because they change what passes.
 */
import type { ClientRequest, IncomingMessage, InformationEvent, ServerResponse } from 'node:http';
import { type Duplex, Stream } from 'node:stream';
import httpProxy from 'http-proxy';
import type { Log, Observer, RequestIdentity } from '../core/events.ts';
import { nextUpstream, type UpstreamHealth } from '../core/failover.ts';
import type { UpstreamTarget } from '../core/settings.ts';
import { errorResponse } from '../http/error-page.ts';
import { forwardHeaders, isTrustedPeer, peerAddress, type Trust } from '../http/client-address.ts';
import { applyHead, hasBody, requestHead, UNASKED_SWITCH, writeResponseHead } from './heads.ts';
import { requestIdOf, withRequestId } from '../http/request-identity.ts';
import {
  type Carrier,
  type Exchange,
  type ForwardedRoute,
  giveUpWithClient,
  kExchange,
  sendBody,
  sendResponseBody,
} from './bodies.ts';
import { InterimBudget, relayInformation } from './interim.ts';
import { Stalls } from './stalls.ts';
import { type AgentPool, createAgentPool, type UpstreamTls } from './upstream-agent.ts';

export interface HttpForwarderOptions {
  readonly trusted: Trust;
  /** Those in force: when they change another forwarder takes over, so that pools nobody needs any more are ended. */
  readonly routes: readonly ForwardedRoute[];
  readonly upstreamTls: UpstreamTls;
  readonly health: UpstreamHealth;
  readonly observer: Pick<Observer, 'httpRequest'>;
  readonly log: Log;
}

export interface HttpForwarder {
  /**
   * Serves one request. Wire it to the server's 'request' and 'checkContinue' both: `Expect: 100-continue` goes to the
   * upstream, and it is the upstream's 100 that asks the client for the body.
   *
   * @param target in origin form (see `originForm`)
   * @param onOver called once, when both the response and the upstream request are closed
   * @param identity what the request says of itself, where that was asked already: an id that is made is made once
   */
  handle(
    req: IncomingMessage,
    res: ServerResponse,
    route: ForwardedRoute,
    target: string,
    onOver?: () => void,
    identity?: RequestIdentity,
  ): void;
  /** Ends every connection to upstreams, those in use included. */
  close(): void;
}

export function createHttpForwarder(options: HttpForwarderOptions): HttpForwarder {
  return new Forwarder(options);
}

/** Answers with one of the proxy's own short texts. */
function answerError(res: ServerResponse, status: number, accept: string | undefined): void {
  const { headers, body } = errorResponse(status, accept);
  res.writeHead(status, headers).end(body);
}

/** Given to http-proxy in the place of each body, so that it pipes nothing: #onProxyReq sends the body behind the head, if there is one. */
const sentLater = Object.assign(new Stream(), { pipe: <T>(outgoing: T): T => outgoing });

const NONE: readonly UpstreamTarget[] = [];

type HttpProxy = Pick<ReturnType<typeof httpProxy.createProxyServer>, 'web'>;

/** Its code is that of the kernel's own verdict. */
class UploadStalledError extends Error {
  readonly code = 'ETIMEDOUT';

  constructor(limit: number) {
    super(`the upstream took none of the request for ${limit} ms (timeouts.stall)`);
  }
}

class Forwarder implements HttpForwarder {
  readonly #options: HttpForwarderOptions;
  readonly #agents: AgentPool;
  readonly #stalls: Stalls;
  /** By identity: a route stays the same object until the next reload. Options given with each call take http-proxy longer. */
  readonly #proxies = new WeakMap<ForwardedRoute, ReadonlyMap<UpstreamTarget, HttpProxy>>();

  constructor(options: HttpForwarderOptions) {
    this.#options = options;
    this.#agents = createAgentPool(options.upstreamTls);
    this.#stalls = new Stalls({
      onClientStall: ({ req }) => req.socket.destroy(),
      onUpstreamStall: ({ outgoing, route }) => outgoing?.destroy(new UploadStalledError(route.timeouts.stall)),
    });
  }

  handle(
    req: IncomingMessage,
    res: ServerResponse,
    route: ForwardedRoute,
    target: string,
    onOver: () => void = () => {},
    identity?: RequestIdentity,
  ): void {
    const { trusted, observer, health } = this.#options;
    const upstream = nextUpstream(route.upstreams, NONE, health);
    if (upstream === undefined) throw new Error(`route ${route.name} has no upstream`);
    const peer = peerAddress(req.socket);
    const requestId = identity?.requestId ?? requestIdOf(req.rawHeaders, isTrustedPeer(peer, trusted));
    const head = requestHead(req, withRequestId(forwardHeaders(req.rawHeaders, peer, trusted), requestId));
    const exchange: Exchange = {
      req,
      res,
      route,
      target,
      head,
      hasBody: hasBody(head),
      accept: req.headers.accept,
      upstream,
      tried: NONE,
      outgoing: null,
      interim: null,
    };
    (req as Carrier<IncomingMessage>)[kExchange] = exchange;
    const watched = this.#stalls.add(exchange);
    res.on('close', () => {
      observer.httpRequest(route.name, res.headersSent ? res.statusCode : 499);
      this.#stalls.remove(watched);
      const { outgoing } = exchange;
      if (outgoing !== null) giveUpWithClient(req, outgoing);
      if (outgoing?.closed === false) outgoing.once('close', onOver);
      else onOver();
    });
    // http-proxy would copy these, lower-cased and joined, would skip 'proxyReq' when Expect is among them, and Node would ask
    // for the TLS name in Host, which is the client's to choose. The head is written in #onProxyReq instead.
    req.headers = {};
    this.#send(exchange);
  }

  close(): void {
    this.#stalls.stop();
    this.#agents.close();
  }

  #send({ req, res, route, upstream }: Exchange): void {
    let proxies = this.#proxies.get(route);
    if (proxies === undefined) {
      proxies = new Map(route.upstreams.map((target) => [target, this.#createProxy(target, route)]));
      this.#proxies.set(route, proxies);
    }
    proxies.get(upstream)?.web(req, res);
  }

  #createProxy(upstream: UpstreamTarget, route: ForwardedRoute): HttpProxy {
    const { address, tls } = upstream;
    const place = address.kind === 'unix' ? { host: 'localhost', port: 80, socketPath: address.path } : address;
    const proxy = httpProxy.createProxyServer({
      target: { ...place, protocol: tls ? 'https:' : 'http:' },
      agent: this.#agents.agentFor(upstream, route),
      ignorePath: true,
      prependPath: false,
      // Without this it parses the URL for a path that is replaced in #onProxyReq.
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
    const { health } = this.#options;
    if (health.isDown(exchange.upstream)) health.reached(exchange.upstream);
    try {
      writeResponseHead(incoming, req, res);
    } catch (error) {
      this.#onError(error as Error, req);
      incoming.destroy();
      return;
    }
    sendResponseBody(incoming, exchange);
  };

  readonly #onError = (error: NodeJS.ErrnoException, req: IncomingMessage): void => {
    const exchange = (req as Carrier<IncomingMessage>)[kExchange];
    if (exchange === undefined) return;
    const { res, route, tried, upstream } = exchange;
    // Once a response has begun its own end tells the client. A client that is gone gets nothing.
    if (res.headersSent || res.destroyed) return;
    if (canRetry(error, exchange)) {
      exchange.outgoing = null;
      this.#sendAgain(exchange);
      return;
    }
    if (this.#goOn(error, exchange)) return;
    const { code, message } = error;
    const status = code === 'ETIMEDOUT' ? 504 : 502;
    this.#options.log.warn(
      {
        route: route.name,
        upstream: [...tried, upstream].map(({ url }) => url).join(', '),
        status,
        code,
        error: message,
      },
      'no answer from the upstream',
    );
    answerError(res, status, exchange.accept);
  };

  /** @returns whether another upstream gets the request, since nothing of it was sent */
  #goOn({ code, message }: NodeJS.ErrnoException, exchange: Exchange): boolean {
    const { health } = this.#options;
    const { route, tried, upstream, outgoing } = exchange;
    const isOurs = code === 'EMFILE' || code === 'ENFILE';
    if (route.upstreams.length === 1 || outgoing !== null || isOurs) return false;
    health.unreachable(upstream, message);
    const upstreams = [...tried, upstream];
    const next = nextUpstream(route.upstreams, upstreams, health);
    if (next === undefined) return false;
    Object.assign(exchange, { tried: upstreams, upstream: next });
    this.#sendAgain(exchange);
    return true;
  }

  /** http-proxy listens to both messages once more with each attempt. */
  #sendAgain(exchange: Exchange): void {
    exchange.req.setMaxListeners(0);
    exchange.res.setMaxListeners(0);
    this.#send(exchange);
  }
}

function outgoingOnInformation(this: ClientRequest, information: InformationEvent): void {
  const exchange = (this as Carrier<ClientRequest>)[kExchange];
  // What one read has brought comes on after an end.
  if (exchange === undefined || this.destroyed) return;
  exchange.interim ??= new InterimBudget();
  if (exchange.interim.take(information)) relayInformation(information, exchange.req, exchange.res);
  else this.destroy(new Error('the upstream sent interim answers (1xx) without end'));
}

/** Only a handshake is answered with 101. Node would end the connection without a word, and the client would wait for ever. */
function outgoingOnUpgrade(this: ClientRequest, _incoming: IncomingMessage, socket: Duplex): void {
  socket.destroy();
  this.emit('error', new Error(UNASKED_SWITCH));
}

/**
 * A kept-alive connection may be closed by the upstream in the moment a request sets out on it (RFC 9112 9.3.1), and then others like it may
 * be, too. Each attempt takes one of them away, so in the end there is a new connection, and what happens to that is the answer.
 */
function canRetry(error: NodeJS.ErrnoException, { req, outgoing, hasBody }: Exchange): boolean {
  const stale = outgoing?.reusedSocket === true && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
  const safe = req.method === 'GET' || req.method === 'HEAD' || req.method === 'OPTIONS';
  return stale && safe && !hasBody;
}
