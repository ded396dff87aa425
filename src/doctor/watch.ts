/** An open connection, watched: how far away the server is, whether somebody keeps the connection alive, how long it lasts. */
import { explainEnd, judgePings } from './lifetime.ts';
import { bad, count, type Finding, ok, warn } from './findings.ts';
import type { Session } from './session.ts';

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
  const quietSince = performance.now();
  const result = await session.wait(Math.max(0, forMs - (quietSince - started)), signal);
  const watchedMs = performance.now() - started;
  found(await judgeLifetime(options, result === 'aborted', watchedMs));
  const pings = judgePings({
    pings: session.pings,
    from: started,
    watchedMs,
    hadMessages: session.messages.some((at) => at > quietSince),
  });
  if (session.disconnect === null) found(pings.finding);
  return pings.intervalMs;
}

async function measureRtt(session: Session, signal: AbortSignal): Promise<Finding | null> {
  const samples: number[] = [];
  for (let at = 0; at < RTT_SAMPLES; at += 1) {
    const rtt = await session.ping(`doctor ${at}`, PONG_TIMEOUT_MS);
    if (rtt === null) return session.ended === null ? deaf(samples.length) : null;
    samples.push(rtt);
    if ((await session.wait(RTT_PAUSE_MS, signal)) !== 'elapsed') return null;
  }
  const steps = samples.slice(1).map((rtt, at) => Math.abs(rtt - (samples[at] ?? rtt)));
  const rttMs = round(median(samples));
  const jitterMs = round(steps.reduce((sum, step) => sum + step, 0) / steps.length);
  return ok('rtt', `${rttMs} ms to the server and back, jitter ${jitterMs} ms`, { rttMs, jitterMs });
}

function deaf(answered: number): Finding {
  return warn(
    'rtt',
    `after ${count(answered, 'answer')} a Ping stayed unanswered for 5 s`,
    'Every WebSocket endpoint must answer Pings (RFC 6455 5.5.2). Something on the way swallows them, or the server hangs.',
  );
}

async function judgeLifetime(options: WatchOptions, isAborted: boolean, watchedMs: number): Promise<Finding> {
  const { session, forMs, path, hide } = options;
  const { ended, disconnect } = session;
  const facts = { watchedMs: Math.round(watchedMs), forMs, closed: ended !== null };
  if (ended !== null) {
    return explainEnd({
      ...ended,
      reason: hide(ended.reason),
      disconnect: disconnect && hide(disconnect),
      path,
      watchedMs,
    });
  }
  if (isAborted) {
    return bad('lifetime', `stopped after ${round(watchedMs / 1000)} s, still open`, 'Let it run to the end.', facts);
  }
  const time = `${round(forMs / 1000)} s`;
  if ((await session.ping('doctor end', PONG_TIMEOUT_MS)) !== null) {
    return ok('lifetime', `open and answering after ${time}`, facts);
  }
  return bad(
    'lifetime',
    `after ${time} nobody answers any more, and nobody said that it was over`,
    'Something on the way (a NAT, a firewall) has forgotten the connection: shorten ping_interval.',
    facts,
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0;
}

function round(value: number): number {
  return Number(value.toFixed(1));
}
