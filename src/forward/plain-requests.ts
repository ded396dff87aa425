/** What becomes of a plain request: refused with a reason, or forwarded by one of the routes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log, Observer, RequestIdentity, RequestRefusal } from '../core/events.ts';
import type { Route, Settings } from '../core/settings.ts';
import { errorResponse } from '../http/error-page.ts';
import { originForm, selectRoute } from '../http/route.ts';
import type { Clock } from '../runtime/clock.ts';
import { rateLimited } from '../runtime/rate-limited.ts';
import type { RequestLimits } from '../server/descriptors.ts';
import { networkOf, Places, RETRY_AFTER } from '../server/places.ts';
import { type LoggedRequest, logWhenOver } from './access-log.ts';
import { dropUpload } from './bodies.ts';
import type { HttpForwarder } from './forwarder.ts';
import { faultOf, type Refusal } from './heads.ts';
import { isStrippedUpgrade, refuseStrippedUpgrade, STRIPPED } from './stripped-upgrade.ts';

export interface PlainRequestsOptions {
  /** Asked for each request, so that a reload counts for the next one. */
  readonly settings: () => Pick<Settings, 'routes'> & { readonly log: Pick<Settings['log'], 'requests'> };
  readonly limits: () => RequestLimits;
  /** Is this the path of the doctor's endpoint? It is served to WebSockets alone. */
  readonly isProbe: (req: IncomingMessage) => boolean;
  /** The client's address. */
  readonly resolveClient: (req: IncomingMessage) => string;
  /** What a request says of itself, fit to be shown. */
  readonly identify: (req: IncomingMessage) => RequestIdentity;
  /** Makes a request target safe to show. */
  readonly redact: (target: string) => string;
  readonly forwarder: Pick<HttpForwarder, 'handle'>;
  readonly observer: Pick<Observer, 'httpRequest' | 'upgradeFailed'>;
  readonly log: Log;
  readonly clock: Clock;
}

export class PlainRequests {
  readonly #options: PlainRequestsOptions;
  readonly #places = new Places();
  readonly #noteFull: () => void;

  constructor(options: PlainRequestsOptions) {
    this.#options = options;
    const { clock, log } = options;
    this.#noteFull = rateLimited(clock, (times) =>
      log.warn(
        { times, requests: this.#places.size },
        'no room for plain requests; see limits.requests, requests_per_ip',
      ),
    );
  }

  /** Requests under way. */
  get size(): number {
    return this.#places.size;
  }

  /** For the server's 'request'. */
  handle(req: IncomingMessage, res: ServerResponse): void {
    const isProbe = this.#options.isProbe(req);
    const target = originForm(req.url ?? '', req.method);
    const route = isProbe ? null : selectRoute(this.#options.settings().routes, req.headers.host, target ?? '/');
    const name = route?.name ?? 'none';
    const about = this.#options.settings().log.requests ? this.#describe(req, name) : undefined;
    if (about !== undefined) logWhenOver(req, res, about, this.#options.clock, this.#options.log);
    const fault = faultOf(req);
    if (fault !== null) this.#refuse(req, res, name, fault);
    else if (target === null) this.#refuse(req, res, name, { status: 400, reason: 'bad_request' });
    else if (isStrippedUpgrade(req)) this.#refuseStripped(req, res, name);
    else if (isProbe) this.#refuse(req, res, name, { status: 426, reason: 'websocket_only' });
    else if (route === null) this.#refuse(req, res, name, { status: 404, reason: 'no_route' });
    else this.#forward(req, res, route, target, about);
  }

  #forward(req: IncomingMessage, res: ServerResponse, route: Route, target: string, about?: RequestIdentity): void {
    const { limits, resolveClient, forwarder } = this.#options;
    const { requests, requestsPerIp } = limits();
    // The client is resolved only where there is a limit for each.
    const network = requestsPerIp === Infinity ? '' : networkOf(resolveClient(req));
    if (this.#places.size >= requests) this.#refuseFull(req, res, route.name, { status: 503, reason: 'limit' });
    else if (this.#places.of(network) >= requestsPerIp)
      this.#refuseFull(req, res, route.name, { status: 429, reason: 'limit_per_ip' });
    else {
      this.#places.take(network);
      forwarder.handle(req, res, route, target, () => this.#places.giveBack(network), about);
    }
  }

  #refuseFull(req: IncomingMessage, res: ServerResponse, route: string, refusal: Refusal): void {
    this.#noteFull();
    this.#refuse(req, res, route, refusal);
  }

  #refuseStripped(req: IncomingMessage, res: ServerResponse, route: string): void {
    this.#count(res, route, 426);
    const { client, path, ...request } = this.#describe(req, route);
    this.#options.observer.upgradeFailed({ ...STRIPPED, route, client, path, request });
    refuseStrippedUpgrade(req, res);
  }

  #refuse(req: IncomingMessage, res: ServerResponse, route: string, { status, reason, detail }: Refusal): void {
    this.#options.log.debug({ status, reason, route }, 'request refused');
    this.#count(res, route, status, reason);
    const isFull = status === 429 || status === 503;
    // Two servers may see the end of an invalid request in different places, so nothing may follow it.
    const isInvalid = status === 400 || status === 501 || status === 505;
    const { headers, body } = errorResponse(status, req.headers.accept, detail, {
      ...(isFull ? { 'Retry-After': String(RETRY_AFTER) } : {}),
      ...(isInvalid ? { Connection: 'close' } : {}),
    });
    res.writeHead(status, headers).end(body);
    dropUpload(req);
  }

  #describe(req: IncomingMessage, route: string): LoggedRequest {
    const { identify, resolveClient, redact } = this.#options;
    const url = req.url ?? '';
    return { ...identify(req), route, client: resolveClient(req), path: redact(originForm(url, req.method) ?? url) };
  }

  #count(res: ServerResponse, route: string, status: number, reason?: RequestRefusal): void {
    res.once('close', () => this.#options.observer.httpRequest(route, status, reason));
  }
}
