/**
 * The admin listener: what operators and their tools read. It has no write operation. It answers to addresses, loopback
 * names and the names it was given: a page of another site that has its own name point here (DNS rebinding) sends that
 * name, and is turned away. Health may be asked under any name.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Log } from '../core/events.ts';
import { renderRawResponse } from '../http/error-page.ts';
import { offersWebSocket } from '../http/headers.ts';
import { serveAsPlainHttp } from '../server/ignored-upgrade.ts';

const HEAD_TIMEOUT_MS = 10_000;
const MAX_CONNECTIONS = 256;
const TEXT = 'text/plain; charset=utf-8';

const HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

export interface AdminAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Further fields, in place of those that every answer has. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface AdminPage {
  /** Whether it answers under any host name. */
  readonly anyHost: boolean;
  /** @param accept the request's Accept field */
  readonly answer: (accept: string | undefined) => AdminAnswer | Promise<AdminAnswer>;
}

export interface AdminOptions {
  /** Further host names to answer to, lower case; asked for each request. */
  readonly hosts: () => readonly string[];
  /** By path. */
  readonly pages: ReadonlyMap<string, AdminPage>;
  /** Where the live feed is; its WebSockets are handed to `onLive` once the host was checked. */
  readonly livePath: string;
  readonly onLive: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly log: Log;
}

export function textAnswer(status: number, text: string): AdminAnswer {
  return { status, contentType: TEXT, body: `${text}\n` };
}

export function createAdminServer(options: AdminOptions): Server {
  const server = createServer({ requestTimeout: HEAD_TIMEOUT_MS, headersTimeout: HEAD_TIMEOUT_MS });
  server.maxConnections = MAX_CONNECTIONS;
  // What offers another upgrade is served again as plain HTTP, and must be whole for that.
  server.maxHeadersCount = 0;
  server.on('request', (req, res) => void serve(options, req, res));
  server.on('upgrade', function adminOnUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer) {
    socket.on('error', socketOnError);
    if (!offersWebSocket(req.rawHeaders)) serveAsPlainHttp(server, req, socket, head);
    else if (pathOf(req) !== options.livePath) socket.end(renderRawResponse(404));
    else if (answersTo(req.headers.host, options.hosts())) options.onLive(req, socket, head);
    else socket.end(renderRawResponse(403, undefined, FOREIGN_HOST));
  });
  return server;
}

/** Whether a `Host` field is an address, a loopback name or one of these names, whatever its port. */
export function answersTo(host: string | undefined, hosts: readonly string[]): boolean {
  const [, v6, name = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d*)?$/.exec(host ?? '') ?? [];
  if (isIP(v6 ?? name) !== 0) return true;
  const lower = name.toLowerCase().replace(/\.$/, '');
  return lower === 'localhost' || lower.endsWith('.localhost') || hosts.includes(lower);
}

const FOREIGN_HOST =
  'This listener answers to IP addresses and localhost only. To use it under another name, add the name to admin.hosts.';

function socketOnError(): void {}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? '').split('?', 1)[0] ?? '';
}

async function serve(options: AdminOptions, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const path = pathOf(req);
  const page = options.pages.get(path);
  try {
    send(res, refusal(options, req, page) ?? (await (page as AdminPage).answer(req.headers.accept)));
  } catch (error) {
    options.log.error({ err: error, path }, 'admin page failed');
    send(res, textAnswer(500, 'This page failed; the log says why.'));
  }
}

/** Files of a page are for the page to ask for. */
function isOfTheTop(path: string): boolean {
  return path.lastIndexOf('/') === 0;
}

/** Null for a request that a page may answer. */
function refusal(
  { hosts, pages }: AdminOptions,
  req: IncomingMessage,
  page: AdminPage | undefined,
): AdminAnswer | null {
  const isOpen = page?.anyHost === true || answersTo(req.headers.host, hosts());
  if (!isOpen) return textAnswer(403, FOREIGN_HOST);
  if (page === undefined)
    return textAnswer(404, `There is nothing here. Try ${[...pages.keys()].filter(isOfTheTop).join(', ')}.`);
  if (req.method === 'GET' || req.method === 'HEAD') return null;
  // Whatever body comes is not read.
  return { ...textAnswer(405, 'Nothing can be changed here.'), headers: { Allow: 'GET, HEAD', Connection: 'close' } };
}

/** Node leaves the body out where the request was HEAD. */
function send(res: ServerResponse, { status, contentType, body, headers }: AdminAnswer): void {
  const length = Buffer.byteLength(body);
  res.writeHead(status, { ...HEADERS, 'Content-Type': contentType, 'Content-Length': length, ...headers });
  res.end(body);
}
