/** What the end of a watched connection means, and what its Pings show. Pure: times are arguments, in ms. */
import { formatDuration } from '../config/duration.ts';
import { isLegacyPath, likelyOwner, seconds } from '../observe/verdict-words.ts';
import { bad, count, type Finding, note, ok, warn } from './findings.ts';

export interface EndFacts {
  readonly code: number;
  /** Safe to show, as is `disconnect`. */
  readonly reason: string;
  /** What Neko said with `system/disconnect`, or null. */
  readonly disconnect: string | null;
  readonly idleMs: number;
  readonly watchedMs: number;
  readonly path: string;
}

/** Shorter silences before an end tell nothing about idle limits. */
const SHORTEST_IDLE_MS = 1_000;
/** Without a Ping in this time nobody pings: the default interval is 10 s. */
const NO_PINGS_MS = 25_000;
const DEFAULT_INTERVAL_MS = 10_000;

export function explainEnd(end: EndFacts): Finding {
  const { code, reason, disconnect, idleMs, watchedMs } = end;
  const facts = {
    watchedMs: Math.round(watchedMs),
    closed: true,
    code: code === 1006 ? null : code,
    reason,
    idleMs: Math.round(idleMs),
    disconnect,
  };
  const [text, advice] = wordsForEnd(end);
  return bad('lifetime', text, advice, facts);
}

function wordsForEnd(end: EndFacts): [text: string, advice: string] {
  const { code, reason, disconnect, idleMs, watchedMs } = end;
  if (disconnect !== null) return refusedByNeko(end);
  if (code === 1006 && idleMs >= SHORTEST_IDLE_MS) return cutWhileIdle(idleMs);
  const after = `after ${seconds(watchedMs)}`;
  if (code === 1006) {
    return [
      `cut ${after} without a Close frame, though it was not idle`,
      'A proxy on the way was reloaded, or the server has crashed or dropped it. The log of ws-keepalive-proxy says who.',
    ];
  }
  const said = reason === '' ? '' : ` ("${reason}")`;
  if (code === 1005) return [`closed by the server ${after}, without a code`, 'See the log of the server.'];
  const advice = ADVICE_BY_CODE[code] ?? 'The log of ws-keepalive-proxy says who closed and why.';
  return [`closed by the other side ${after} with code ${code}${said}`, advice];
}

const ADVICE_BY_CODE: Readonly<Record<number, string>> = {
  1008: 'The server refuses this client: check password, token and Origin.',
  1011: 'The server behind ws-keepalive-proxy failed or dropped the connection. Its log has the verdict.',
  1012: 'The proxy is being restarted. Try again.',
  1013: 'The server is overloaded. Try again later.',
};

/** Neko's legacy mode says 101 first and looks at the password then. */
function refusedByNeko({ disconnect, path, watchedMs }: EndFacts): [text: string, advice: string] {
  const said = disconnect === '' ? '' : ` ("${disconnect}")`;
  if (watchedMs > 5_000) return [`Neko dropped this client after ${seconds(watchedMs)}${said}`, "See Neko's log."];
  const hint = isLegacyPath(path) ? ' In the URL: /ws?password=...&username=...' : '';
  return [`Neko let it in and sent it away at once${said}`, `Check the password: a wrong one looks like this.${hint}`];
}

function cutWhileIdle(idleMs: number): [text: string, advice: string] {
  const owner = likelyOwner(idleMs);
  const whose = owner === null ? '' : `, the idle limit of ${owner}`;
  return [
    `cut without a Close frame after ${seconds(idleMs)} of silence${whose}`,
    `Something on the way cuts what is quiet, and no Ping came in time. Put ws-keepalive-proxy behind it, with ping_interval: ${intervalBelow(idleMs)} or less.`,
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
  /** Did messages come while the doctor was silent? */
  readonly hadMessages: boolean;
}

/** @returns the median interval as well; null when it is not known */
export function judgePings(facts: PingFacts): { finding: Finding; intervalMs: number | null } {
  const { pings, from, watchedMs, hadMessages } = facts;
  if (pings.length === 0) return { finding: noPings(watchedMs, hadMessages), intervalMs: null };
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

function noPings(watchedMs: number, hadMessages: boolean): Finding {
  const facts = { count: 0, intervalMs: null };
  const time = seconds(watchedMs);
  if (watchedMs < NO_PINGS_MS) {
    return note('pings', `none in ${time}, which is too short to tell`, 'Watch longer: --for 90s', facts);
  }
  const advice =
    'Nobody keeps this connection alive while it is quiet. Is ws-keepalive-proxy in the way, and keepalive.ping_interval not off?';
  if (hadMessages) return note('pings', `none in ${time}; messages came, so it was not quiet`, advice, facts);
  return warn('pings', `none in ${time}`, advice, facts);
}
