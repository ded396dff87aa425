/** An open connection, watched: how far away the server is, whether somebody keeps the connection alive, how long it lasts. */
import { seconds } from '../observe/verdict-words.ts';
import { explainEnd, judgePings } from './lifetime.ts';
import { bad, count, type Finding, note, ok, warn } from './findings.ts';
import type { Session, WaitResult } from './session.ts';

const RTT_SAMPLES = 5;
const RTT_PAUSE_MS = 100;
const PONG_TIMEOUT_MS = 5_000;

export interface WatchOptions {
  readonly session: Session;
  readonly forMs: number;
  readonly path: string;
  readonly signal: AbortSignal;
  readonly hide: (text: string) => string;
  readonly found: (finding: Finding) => void;
}

/**
 * Tells what it found as it goes.
 *
 * @returns the interval in ms at which Pings came, or null when that is not known
 */
export async function watch(options: WatchOptions): Promise<number | null> {
  const { session, forMs, signal, found } = options;
  const started = performance.now();
  // Before the watch: Pings of our own would keep the connection alive that is watched.
  const rtt = await measureRtt(session, signal);
  if (rtt !== null) found(rtt);
  const until = await session.wait(Math.max(0, forMs - (performance.now() - started)), signal);
  const now = performance.now();
  const watchedMs = now - started;
  const quietestMs = session.quietestMs(now);
  found(await judgeLifetime(options, until, watchedMs, rtt?.level === 'ok'));
  const pings = judgePings({ pings: session.pings, from: started, watchedMs, quietestMs, until });
  if (session.disconnect === null) found(pings.finding);
  return pings.intervalMs;
}

async function measureRtt(session: Session, signal: AbortSignal): Promise<Finding | null> {
  const samples: number[] = [];
  for (let at = 0; at < RTT_SAMPLES; at += 1) {
    const rtt = await session.ping(PONG_TIMEOUT_MS, signal);
    if (session.ended !== null || signal.aborted) return null;
    if (rtt === null) return unanswered(samples.length);
    samples.push(rtt);
    if ((await session.wait(RTT_PAUSE_MS, signal)) !== 'elapsed') return null;
  }
  const steps = samples.slice(1).map((rtt, at) => Math.abs(rtt - (samples[at] ?? rtt)));
  const rttMs = round(median(samples));
  const jitterMs = round(steps.reduce((sum, step) => sum + step, 0) / steps.length);
  return ok('rtt', `${rttMs} ms to the server and back, jitter ${jitterMs} ms`, { rttMs, jitterMs });
}

function unanswered(answered: number): Finding {
  const time = seconds(PONG_TIMEOUT_MS);
  const facts = { answered };
  if (answered > 0) {
    const advice = 'The server is slow or hangs, or something on the way swallows Pings or Pongs.';
    return warn('rtt', `after ${count(answered, 'answer')} a Ping stayed unanswered for ${time}`, advice, facts);
  }
  const advice =
    'Every WebSocket endpoint has to answer Pings (RFC 6455 5.5.2). Some servers never do, and some only when they are not busy: it works, but nobody can tell by Pings that such a server is gone.';
  return warn('rtt', `no answer to a Ping within ${time}`, advice, facts);
}

/** @param isAnswering whether the server has answered Pings in time */
async function judgeLifetime(
  options: WatchOptions,
  until: WaitResult,
  watchedMs: number,
  isAnswering: boolean,
): Promise<Finding> {
  const { session, forMs, path, signal, hide } = options;
  const facts = { watchedMs: Math.round(watchedMs), forMs, closed: false };
  if (session.ended !== null) return explain(session, watchedMs, path, hide);
  const time = seconds(watchedMs);
  if (until === 'aborted') return note('lifetime', `stopped after ${time}; it was open until then`, '', facts);
  if (!isAnswering) return stillOpen(session, time, facts);
  if ((await session.ping(PONG_TIMEOUT_MS, signal)) !== null) {
    return ok('lifetime', `open and answering after ${time}`, facts);
  }
  if (session.ended !== null) return explain(session, watchedMs, path, hide);
  if (signal.aborted) return note('lifetime', `stopped after ${time}; it was open until then`, '', facts);
  return bad(
    'lifetime',
    `after ${time} a Ping is no longer answered, though nothing said that the connection was over`,
    'Something on the way (a NAT, a firewall) has forgotten the connection: shorten ping_interval. Or the server hangs: see its log.',
    facts,
  );
}

function explain(session: Session, watchedMs: number, path: string, hide: WatchOptions['hide']): Finding {
  const { ended, disconnect } = session;
  if (ended === null) throw new Error('the session has not ended');
  const fault = ended.fault && { ...ended.fault, message: hide(ended.fault.message) };
  const said = disconnect && hide(disconnect);
  return explainEnd({ ...ended, fault, reason: hide(ended.reason), disconnect: said, path, watchedMs });
}

/** For a server that answered no Ping in time: silence proves nothing against it. */
function stillOpen(session: Session, time: string, facts: Finding['facts']): Finding {
  if (session.pongs > 0) return ok('lifetime', `open after ${time}; the server answers Pings, but late`, facts);
  const heardAt = Math.max(session.messages.at(-1) ?? -Infinity, session.pings.at(-1) ?? -Infinity);
  if (performance.now() - heardAt < 2 * PONG_TIMEOUT_MS)
    return ok('lifetime', `open after ${time}, and the server still sends`, facts);
  const text = `no end came within ${time}; whether the server is still there cannot be told, for it answers no Pings`;
  return note('lifetime', text, '', facts);
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
