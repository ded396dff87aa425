/** What the end of a watched connection means, and what its Pings show. Pure: times are arguments, in ms. */
import { formatDuration } from '../config/duration.ts';
import { isLegacyPath, likelyOwner, seconds } from '../observe/verdict-words.ts';
import { bad, count, type Finding, note, ok, warn } from './findings.ts';
import type { SessionEnd } from './session.ts';

export interface EndFacts extends Omit<SessionEnd, 'at'> {
  /** What Neko said with `system/disconnect`, or null. Safe to show, as is `reason`. */
  readonly disconnect: string | null;
  readonly watchedMs: number;
  readonly path: string;
}

type Words = readonly [text: string, advice: string];

/** Shorter silences before an end tell nothing about idle limits. */
const SHORTEST_IDLE_MS = 1_000;
/** Neko refuses a login within a second; a slow network gets some more. */
const REFUSED_LOGIN_MS = 5_000;
/** Two silences that differ by less may come from the same limit. */
const TOLERANCE_MS = 1_000;
/** Without a Ping in this time nobody pings: the default interval is 10 s. */
const NO_PINGS_MS = 25_000;
const DEFAULT_INTERVAL_MS = 10_000;

const WHO_ENDED = 'If ws-keepalive-proxy is on the way, its log says who ended the connection and why.';

export function explainEnd(end: EndFacts): Finding {
  const { code, reason, disconnect, idleMs, survivedMs, watchedMs, fault } = end;
  const facts = {
    watchedMs: Math.round(watchedMs),
    closed: true,
    code: code === 1006 ? null : code,
    reason,
    idleMs: Math.round(idleMs),
    survivedMs: Math.round(survivedMs),
    disconnect,
    fault: fault?.code ?? null,
  };
  const [text, advice] = wordsForEnd(end);
  return bad('lifetime', text, advice, facts);
}

function wordsForEnd(end: EndFacts): Words {
  const { code, reason, disconnect, watchedMs, fault } = end;
  if (disconnect !== null) return refusedByNeko(end);
  if (fault?.code.startsWith('WS_ERR_') === true) return brokenProtocol(end, fault);
  if (code === 1006) return cutWithoutClose(end);
  const after = `after ${seconds(watchedMs)}`;
  const said = reason === '' ? '' : ` ("${reason}")`;
  if (code === 1005) return [`closed by the server ${after}, without a code`, 'See the log of the server.'];
  return [`closed by the other side ${after} with code ${code}${said}`, adviceFor(code)];
}

const ADVICE_BY_CODE: Readonly<Record<number, string>> = {
  1000: 'The server is done with this client. See its log.',
  1001: 'The server stops, or a proxy on the way was reloaded (Caddy says it like this).',
  1008: 'The server refuses this client: check password, token and Origin.',
  1011: 'The server met an error of its own. See its log.',
  1012: 'The server, or a proxy on the way, is being restarted. Try again.',
  1013: 'The server is overloaded. Try again later.',
};

function adviceFor(code: number): string {
  const known = ADVICE_BY_CODE[code];
  if (known !== undefined) return known;
  // RFC 6455 7.4.2: for applications.
  if (code < 4000) return WHO_ENDED;
  return 'Codes from 4000 on belong to the application. It may expect a message at first, and the doctor sends none.';
}

/** `ws` gave up: what came is not what RFC 6455 allows. Browsers do the same. */
function brokenProtocol({ watchedMs }: EndFacts, { code, message }: { code: string; message: string }): Words {
  const after = `after ${seconds(watchedMs)}`;
  const reserved = /invalid status code (\d+)/i.exec(message)?.[1];
  if (reserved !== undefined) {
    return [
      `closed by the server ${after} with code ${reserved}, which must not be sent`,
      'Neko does so when it kicks somebody (code 1006) and when it stops. See its log.',
    ];
  }
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
    return [
      `ended by the doctor ${after}: it takes no message over 16 MiB, and one came`,
      'Browsers take longer ones.',
    ];
  }
  return [
    `the server broke the WebSocket protocol ${after}: ${message}`,
    'Browsers end the connection then as well. The server is at fault, or something on the way changes the bytes.',
  ];
}

/** Neko's legacy mode says 101 first and looks at the password then. */
function refusedByNeko({ disconnect, path, watchedMs }: EndFacts): Words {
  const said = disconnect === '' ? '' : ` ("${disconnect}")`;
  const after = seconds(watchedMs);
  if (watchedMs > REFUSED_LOGIN_MS) return [`Neko dropped this client after ${after}${said}`, "See Neko's log."];
  const hint = isLegacyPath(path) ? ' In the URL: /ws?password=...&username=...' : '';
  return [
    `Neko accepted the WebSocket and refused the login ${after} later${said}`,
    `A wrong password, a locked room, or a user who is still logged in elsewhere.${hint}`,
  ];
}

function cutWithoutClose({ idleMs, survivedMs, watchedMs, fault }: EndFacts): Words {
  const how = fault?.code === 'ECONNRESET' ? 'reset' : 'cut without a Close frame';
  const whole = seconds(watchedMs);
  const idle = seconds(idleMs);
  if (idleMs < SHORTEST_IDLE_MS) {
    return [
      `${how} after ${whole}, ${Math.round(idleMs)} ms after something had passed, so by no idle limit`,
      `A proxy on the way was reloaded, or the server crashed or dropped this client. ${WHO_ENDED}`,
    ];
  }
  if (survivedMs > idleMs + TOLERANCE_MS) {
    return [
      `${how} after ${whole}, the last ${idle} of them in silence; ${seconds(survivedMs)} of silence were survived before, so it is no idle limit`,
      `A proxy on the way was reloaded, or the server crashed or dropped this client. ${WHO_ENDED}`,
    ];
  }
  const owner = likelyOwner(idleMs);
  const cure = `put ws-keepalive-proxy behind it, or shorten its ping_interval to ${intervalBelow(idleMs)} or less.`;
  if (owner !== null) {
    return [
      `${how} after ${idle} of silence, probably by the idle limit of ${owner}`,
      `Something on the way cuts what is quiet, and no Ping came in time: ${cure}`,
    ];
  }
  return [
    `${how} after ${idle} of silence`,
    `By an idle limit on the way, or by a server that ended it. If a second run ends after the same silence, an idle limit is likely: ${cure}`,
  ];
}

/** Half of an idle limit, as the configuration writes it, rounded down; never more than the default interval. */
export function intervalBelow(limitMs: number): string {
  const half = Math.min(DEFAULT_INTERVAL_MS, limitMs / 2);
  const digit = half >= 1000 ? 1000 : half >= 100 ? 100 : 1;
  return formatDuration(Math.max(1, Math.floor(half / digit) * digit));
}

export interface PingFacts {
  /** When they came. */
  readonly pings: readonly number[];
  /** When the watch began. */
  readonly from: number;
  readonly watchedMs: number;
  /** The longest time in which nothing passed, in either direction. */
  readonly quietestMs: number;
  /** Why the watch was over. */
  readonly until: 'elapsed' | 'ended' | 'aborted';
}

/** @returns the median interval as well; null when it is not known */
export function judgePings(facts: PingFacts): { finding: Finding; intervalMs: number | null } {
  const { pings, from, watchedMs } = facts;
  if (pings.length === 0) return { finding: noPings(facts), intervalMs: null };
  const time = seconds(watchedMs);
  if (pings.length === 1) {
    const firstMs = Math.round((pings[0] ?? from) - from);
    const text = `one in ${time}, after ${seconds(firstMs)}`;
    return { finding: ok('pings', text, { count: 1, intervalMs: null, firstMs }), intervalMs: null };
  }
  const gaps = pings.slice(1).map((at, index) => at - (pings[index] ?? at));
  const intervalMs = Math.round(gaps.toSorted((one, other) => one - other)[Math.floor(gaps.length / 2)] ?? 0);
  const text = `${count(pings.length, 'Ping')} in ${time}, about one every ${seconds(intervalMs)}`;
  return { finding: ok('pings', text, { count: pings.length, intervalMs }), intervalMs };
}

function noPings({ watchedMs, quietestMs, until }: PingFacts): Finding {
  const facts = { count: 0, intervalMs: null, quietestMs: Math.round(quietestMs) };
  const time = seconds(watchedMs);
  if (watchedMs < NO_PINGS_MS) {
    const advice = until === 'ended' ? '' : 'Watch longer: --for 90s';
    return note('pings', `none in ${time}, which is too short to tell`, advice, facts);
  }
  const advice =
    'Nothing keeps this connection alive while nobody says anything. Is ws-keepalive-proxy on the way, and keepalive.ping_interval not off?';
  const quiet = `the longest silence was ${seconds(quietestMs)}`;
  if (quietestMs >= NO_PINGS_MS) return warn('pings', `none in ${time}; ${quiet}`, advice, facts);
  return note('pings', `none in ${time}; messages came meanwhile, ${quiet}`, advice, facts);
}
