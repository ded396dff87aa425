/**
 * The short texts the proxy itself answers with: plain text, or a small page for browsers. Nothing in them names an upstream,
 * an address or a version, and nothing is loaded from anywhere.
 */
import { STATUS_CODES } from 'node:http';
import { headerPairs } from './headers.ts';

export interface ErrorResponse {
  readonly status: number;
  /** Flat `[name, value, …]`, as `writeHead` takes it. */
  readonly headers: string[];
  readonly body: Buffer;
}

/** How long a browser waits before it tries again, in seconds. */
const RETRY_SECONDS = 5;

const EXPLANATIONS: Readonly<Record<number, string>> = {
  400: 'The request could not be understood.',
  403: 'This request is not allowed.',
  404: 'There is nothing at this address.',
  405: 'This method is not served here.',
  408: 'The request took too long to arrive.',
  426: 'This address speaks WebSocket only.',
  429: 'There are too many connections from your address.',
  431: 'The headers of the request are too large. Clearing the cookies of this site may help.',
  500: 'Something went wrong in the proxy.',
  501: 'The body of the request is encoded in a way that is not served here.',
  502: 'The server behind this address could not be reached.',
  503: 'There is no room for another connection just now.',
  504: 'The server behind this address did not answer in time.',
};

/** Conditions that pass by themselves: their pages try again. */
const TRANSIENT: ReadonlySet<number> = new Set([502, 503, 504]);

const STYLE =
  ':root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:20vh auto;max-width:32rem;padding:0 1rem}' +
  'h1{font-size:1.25rem}p{opacity:.8}';

/**
 * @param accept value of the request's Accept header; a page is made when it asks for text/html
 * @param detail a sentence in place of the standard one; it reaches the client, so it must name no internals
 */
export function errorResponse(
  status: number,
  accept: string | undefined,
  detail?: string,
  extraHeaders: Readonly<Record<string, string>> = {},
): ErrorResponse {
  const html = accept?.toLowerCase().includes('text/html') ?? false;
  const text = detail ?? EXPLANATIONS[status] ?? 'The request failed.';
  const body = Buffer.from(html ? htmlPage(status, text) : `${title(status)}\n${text}\n`);
  const headers = [
    'Content-Type',
    `${html ? 'text/html' : 'text/plain'}; charset=utf-8`,
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
  ];
  if (html) headers.push('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
  headers.push(...Object.entries(extraHeaders).flat());
  return { status, headers, body };
}

/** A whole HTTP/1.1 response for a bare socket. It says `Connection: close`: end the socket after it. */
export function renderRawResponse(
  status: number,
  accept?: string,
  detail?: string,
  extraHeaders: Readonly<Record<string, string>> = {},
): Buffer {
  const { headers, body } = errorResponse(status, accept, detail, extraHeaders);
  let head = `HTTP/1.1 ${title(status)}\r\n`;
  for (const [name, value] of headerPairs(headers)) head += `${name}: ${value}\r\n`;
  // With a Connection of the caller's own (Upgrade, beside a 426) there are two: such lines add up, RFC 9110 5.3.
  const fields = `Date: ${new Date().toUTCString()}\r\nConnection: close`;
  return Buffer.concat([Buffer.from(`${head}${fields}\r\n\r\n`, 'latin1'), body]);
}

function title(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
}

function htmlPage(status: number, text: string): string {
  const retry = TRANSIENT.has(status);
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width">',
    ...(retry ? [`<meta http-equiv="refresh" content="${RETRY_SECONDS}">`] : []),
    `<title>${title(status)}</title>`,
    `<style>${STYLE}</style>`,
    `<h1>${escapeHtml(text)}</h1>`,
    `<p>${retry ? `Trying again every ${RETRY_SECONDS} seconds. ` : ''}<small>${title(status)}</small></p>`,
    '</html>',
    '',
  ].join('\n');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
