/**
 * Why a handshake got something else than a 101, from what came instead. Pure. The first rule that fits is taken.
 *
 * The answers are those of the servers people put in front of a WebSocket and behind it: this proxy, nginx, HAProxy, Apache,
 * Caddy, Traefik, cloud load balancers, Go's and Node's WebSocket libraries.
 */
import type { Words } from './network-words.ts';
import { bad, type Finding } from './findings.ts';

/** An answer to the handshake. Whatever stands here may carry secrets: `hide` is for what is shown of it. */
export interface Answer {
  /** Of the status line, such as `1.1`. */
  readonly version: string;
  readonly status: number;
  /** Of the status line. */
  readonly reason: string;
  /** Values by lower-case name. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The beginning of the body. */
  readonly body: string;
}

export interface AnswerContext {
  readonly url: URL;
  readonly hide: (text: string) => string;
}

const NGINX_LINES = [
  'proxy_http_version 1.1;',
  'proxy_set_header Upgrade $http_upgrade;',
  'proxy_set_header Connection "upgrade";',
];

interface Case extends AnswerContext {
  readonly answer: Answer;
  /** Who speaks, for a sentence. */
  readonly from: string;
  readonly isOurs: boolean;
}

type Rule = readonly [fits: (it: Case) => boolean, words: (it: Case) => Words];

const RULES: readonly Rule[] = [
  [({ answer }) => /HTTPS port|SSL-enabled server port|HTTP request to an HTTPS/i.test(answer.body), plainHttpOnTls],
  [arrivedAsHttp10, oldVersion],
  [lacksUpgrade, missingUpgrade],
  [({ isOurs }) => isOurs, refusedByUs],
  [({ answer }) => answer.status >= 300 && answer.status < 400, redirect],
  [({ answer }) => answer.status === 401, unauthorized],
  [({ answer }) => answer.status === 403, forbidden],
  [({ answer }) => answer.status === 404, notFound],
  [({ answer }) => answer.status === 429, tooMany],
  [({ answer }) => answer.status >= 500, serverFault],
  [({ answer }) => answer.status >= 200 && answer.status < 300, ordinaryPage],
];

/** The finding for a handshake that was answered with something else than a 101. */
export function explainAnswer(answer: Answer, context: AnswerContext): Finding {
  const it: Case = { ...context, answer, from: speakerOf(answer, context), isOurs: isOurs(answer) };
  const words = RULES.find(([fits]) => fits(it))?.[1] ?? unknownAnswer;
  const [text, advice] = words(it);
  const server = context.hide(answer.headers['server'] ?? '');
  return bad('handshake', text, advice, { status: answer.status, server });
}

/** The texts of this proxy: the status line, then a sentence. */
function isOurs({ status, headers, body }: Answer): boolean {
  const titled = new RegExp(`^${status} [A-Z][A-Za-z ]+\n[^\n<]+\n$`).test(body);
  return titled && headers['cache-control'] === 'no-store' && headers['x-content-type-options'] === 'nosniff';
}

function speakerOf(answer: Answer, { hide }: AnswerContext): string {
  if (isOurs(answer)) return 'ws-keepalive-proxy';
  const { server, via } = answer.headers;
  if (server !== undefined) return hide(server);
  return via === undefined ? 'a server that does not say its name' : `a server behind ${hide(via)}`;
}

function statusOf({ answer, hide }: Case): string {
  return `${answer.status} ${hide(answer.reason)}`.trim();
}

/** Said by this proxy, by Go's and by Python's servers: nginx speaks HTTP/1.0 to what is behind it unless it is told otherwise. */
function arrivedAsHttp10({ answer }: Case): boolean {
  return /needs HTTP\/1\.1|HTTP\/1\.1 or higher|expected HTTP\/1\.1|unsupported protocol|bad protocol version/i.test(
    answer.body,
  );
}

function oldVersion(it: Case): Words {
  return [
    `${statusOf(it)} from ${it.from}: the handshake arrived there as HTTP/1.0`,
    `The proxy in front passes it on in HTTP/1.0. In nginx, in the location for ${it.url.pathname}:\n    ${NGINX_LINES[0]}`,
  ];
}

/** 426 from this proxy and from libraries; gorilla (Neko) says 400 and names the header, and so do others. */
function lacksUpgrade({ answer }: Case): boolean {
  if (answer.status === 426) return !/Sec-WebSocket-Version/i.test(answer.body);
  const { status, body } = answer;
  return (
    status === 400 &&
    /'?upgrade'? (?:token|header)|"?upgrade"? header|not using the websocket protocol|can "?upgrade"? only/i.test(body)
  );
}

function missingUpgrade(it: Case): Words {
  const lines = NGINX_LINES.map((line) => `    ${line}`).join('\n');
  return [
    `${statusOf(it)} from ${it.from}: the Upgrade header was lost on the way`,
    `A proxy in front strips it. In nginx, in the location for ${it.url.pathname}:\n${lines}\n` +
      'Elsewhere: switch on WebSocket support (Apache: ProxyPass with upgrade=websocket; Caddy, Traefik and HAProxy need nothing).',
  ];
}

function plainHttpOnTls(): Words {
  return ['the port wants TLS', 'Use wss:// instead of ws://.'];
}

function redirect(it: Case): Words {
  const { url, answer, hide } = it;
  const location = answer.headers['location'] ?? '';
  const title = `${statusOf(it)} from ${it.from}: a redirect`;
  if (location === '' || !URL.canParse(location, httpUrl(url))) {
    return [`${title} without a place to go`, 'WebSockets do not follow redirects. Let this address answer itself.'];
  }
  const target = new URL(location, httpUrl(url));
  const scheme = WEBSOCKET_SCHEMES[target.protocol];
  if (scheme === undefined) {
    return [
      `${title} to a ${hide(target.protocol)} address, where no WebSocket can be`,
      'Do not follow it. See the configuration of that server, or whether it is the server that you meant.',
    ];
  }
  const place = hide(`${scheme}//${target.host}${target.pathname}`);
  if (/log-?in|sign-?in|auth|sso|oauth/i.test(target.host + target.pathname)) {
    return [`${title} to a login (${place})`, "Log in with a browser, and pass its cookie: --header 'Cookie: ...'"];
  }
  return [`${title} to ${place}`, `WebSockets do not follow redirects. Use ${place}, with the same query.`];
}

const WEBSOCKET_SCHEMES: Readonly<Record<string, string>> = {
  'http:': 'ws:',
  'ws:': 'ws:',
  'https:': 'wss:',
  'wss:': 'wss:',
};

function httpUrl(url: URL): string {
  return url.href.replace(/^ws/, 'http');
}

function unauthorized(it: Case): Words {
  return [
    `${statusOf(it)} from ${it.from}: it asks for a login`,
    "For a user name and password: wss://user:password@host/... For a token: --header 'Authorization: Bearer ...'",
  ];
}

function forbidden(it: Case): Words {
  return [
    `${statusOf(it)} from ${it.from}: not allowed`,
    "A rule there forbids it: an address list, a firewall for web applications, or a check of Origin (--header 'Origin: ...').",
  ];
}

function notFound(it: Case): Words {
  return [
    `${statusOf(it)} from ${it.from}: there is nothing at ${it.url.pathname}`,
    "Check the path. Neko's is /ws for the page of v2 and legacy mode, /api/ws for v3, behind its path prefix if it has one.",
  ];
}

function tooMany(it: Case): Words {
  return [`${statusOf(it)} from ${it.from}: too many requests`, 'Wait a minute and try again.'];
}

function serverFault(it: Case): Words {
  const title = `${statusOf(it)} from ${it.from}`;
  const { status, headers } = it.answer;
  if (status === 502) {
    return [
      `${title}: what is behind it cannot be reached from there, or does not answer properly`,
      `Is it running? ${SEE_PROXY}`,
    ];
  }
  if (status === 503)
    return [`${title}: it has no server or no room for this just now`, `Is the server running? ${SEE_PROXY}`];
  if (status === 504) return [`${title}: what is behind it does not answer in time`, `Does it hang? ${SEE_PROXY}`];
  if (status >= 520 && headers['server'] === 'cloudflare') {
    return [
      `${title}: Cloudflare cannot talk to your server`,
      'Look the number up at Cloudflare; check address, port and TLS mode.',
    ];
  }
  return [`${title}: something failed there`, 'See its error log.'];
}

const SEE_PROXY =
  'Check the address to which the proxy in front passes requests (nginx: proxy_pass), and the error log of that proxy.';

/** What ws-keepalive-proxy itself refuses it explains in its own words. */
function refusedByUs(it: Case): Words {
  const { status, body } = it.answer;
  const said = it.hide(body.split('\n')[1] ?? '').replace(/\.$/, '');
  const advice = OUR_ADVICE[status] ?? 'The log of ws-keepalive-proxy says more.';
  return [`${statusOf(it)} from ws-keepalive-proxy: ${said}`, advice];
}

const OUR_ADVICE: Readonly<Record<number, string>> = {
  403: "Add this Origin to allowed_origins, or try as the page's own: --header 'Origin: https://...'",
  404: 'Check host and path: no route takes them, and there is no top-level upstream.',
  429: 'limits.connections_per_ip or limits.requests_per_ip is reached. Wait a minute and try again.',
  502: 'Is that server running, and is `upstream` right? The log of ws-keepalive-proxy names the cause.',
  503: 'It is full (see limits in its configuration) or it is stopping. Its log says which.',
  504: 'Is that server running, and is `upstream` right? The log of ws-keepalive-proxy names the cause.',
};

function ordinaryPage(it: Case): Words {
  return [
    `${statusOf(it)} from ${it.from}: an ordinary page, not a WebSocket`,
    `Check the path (Neko: /ws or /api/ws). If it is right, a proxy in front strips the Upgrade header; for nginx:\n${NGINX_LINES.map((line) => `    ${line}`).join('\n')}`,
  ];
}

function unknownAnswer(it: Case): Words {
  const said = it.hide(it.answer.body.replace(/<[^>]*>/g, ' '));
  return [
    `${statusOf(it)} from ${it.from}${said === '' ? '' : `: ${said}`}`,
    'The server refuses the handshake. See its log for the reason.',
  ];
}
