/** Silent sockets to the probe endpoint, side by side: each asks for an echo, says nothing for its time, and asks again. */
import { setTimeout as delay } from 'node:timers/promises';
import { PROBE_PATH, PROBE_PROTOCOL } from '../tunnel/probe.ts';
import { explainAnswer } from './answers.ts';
import { dial, type DialOutcome } from './dial.ts';
import { explainFault } from './dial-faults.ts';
import { bad, type Finding } from './findings.ts';
import type { Step } from './idle-limit.ts';
import { Session } from './session.ts';

const ECHO_TIMEOUT_MS = 10_000;
/** Between two sockets: an idle limit then cuts them one after the other, and a reload all at once. */
const STAGGER_MS = 500;

export interface LadderOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly insecure: boolean;
  /** ms, shortest first. */
  readonly ladder: readonly number[];
  readonly signal: AbortSignal;
  readonly hide: (text: string) => string;
}

/** @returns how each silence went, or why the endpoint cannot be used */
export async function climb(options: LadderOptions): Promise<readonly Step[] | Finding> {
  const [shortest = 0, ...others] = options.ladder;
  // One alone at first: if this is no probe, it is a WebSocket of somebody else, and one visit is enough.
  const first = await openProbe(options, shortest);
  if (!(first instanceof Session)) return first;
  const started = performance.now();
  const steps = await Promise.all([
    step(first, shortest, started, options.signal),
    ...others.map((silenceMs, at) => laterStep(options, silenceMs, started, (at + 1) * STAGGER_MS)),
  ]);
  return steps.find((result) => 'subject' in result) ?? (steps as Step[]);
}

/** The probe beside the WebSocket at `url`: under the same prefix, without the query, which is for the WebSocket only. */
export function probeUrl(url: URL, silenceMs: number): URL {
  const probe = new URL(url);
  if (!url.pathname.endsWith(PROBE_PATH)) {
    const prefix = url.pathname.replace(/\/(?:(?:api\/)?ws\/|api\/ws|[^/]*)$/, '');
    probe.pathname = prefix + PROBE_PATH;
  }
  probe.search = `?silent=${silenceMs}ms`;
  return probe;
}

async function laterStep(
  options: LadderOptions,
  silenceMs: number,
  started: number,
  waitMs: number,
): Promise<Step | Finding> {
  // Rejects when the signal fires.
  await delay(waitMs, null, { signal: options.signal }).catch(() => {});
  if (options.signal.aborted) return { silenceMs, result: 'aborted', cutAfterMs: null, endedAtMs: null };
  const session = await openProbe(options, silenceMs);
  return session instanceof Session ? step(session, silenceMs, started, options.signal) : session;
}

/** @returns a session that has answered with an echo, so that it is the probe's, or why there is none */
async function openProbe(options: LadderOptions, silenceMs: number): Promise<Session | Finding> {
  let session: Session | null = null;
  const outcome = await dial({
    url: probeUrl(options.url, silenceMs),
    headers: withoutProtocol(options.headers),
    insecure: options.insecure,
    protocols: [PROBE_PROTOCOL],
    signal: options.signal,
    onSocket: (socket) => {
      session = new Session(socket);
    },
  });
  if (outcome.kind !== 'open' || session === null) return explainProbe(outcome, options);
  const probe: Session = session;
  if (await probe.echo('are you the probe?', ECHO_TIMEOUT_MS, options.signal)) return probe;
  outcome.socket.terminate();
  return noProbe(options.url);
}

async function step(session: Session, silenceMs: number, started: number, signal: AbortSignal): Promise<Step> {
  const result = await keepSilence(session, silenceMs, signal);
  const { ended } = session;
  session.socket.terminate();
  const endedAtMs = ended === null ? null : Math.round(ended.at - started);
  const cutAfterMs = result === 'cut' && ended !== null ? Math.round(ended.idleMs) : null;
  return { silenceMs, result, cutAfterMs, endedAtMs };
}

async function keepSilence(session: Session, silenceMs: number, signal: AbortSignal): Promise<Step['result']> {
  const heard = session.messages.length;
  const waited = await session.wait(silenceMs, signal);
  if (waited === 'aborted') return 'aborted';
  if (waited === 'ended') return session.ended?.code === 1006 ? 'cut' : 'closed';
  if (session.pings.length > 0 || session.messages.length > heard) return 'disturbed';
  const echoed = await session.echo('still here?', ECHO_TIMEOUT_MS, signal);
  if (signal.aborted) return 'aborted';
  return echoed ? 'survived' : 'dead';
}

/** The probe has a subprotocol of its own. */
function withoutProtocol(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'sec-websocket-protocol'),
  );
}

function noProbe(url: URL): Finding {
  return bad(
    'timeouts',
    `there is no probe endpoint at ${probeUrl(url, 1000).pathname}`,
    'Set "probe: true" in the configuration of ws-keepalive-proxy and reload it, or WSKP_PROBE=true and restart it.',
  );
}

function explainProbe(outcome: DialOutcome, { url, hide }: LadderOptions): Finding {
  if (outcome.kind === 'answer' && outcome.answer.status === 429) {
    return bad('timeouts', 'the probe endpoint has too many sockets already', 'Try again in a minute.');
  }
  if (outcome.kind === 'open' || isElsewhere(outcome)) return noProbe(url);
  const { text, advice, facts } =
    outcome.kind === 'answer'
      ? explainAnswer(outcome.answer, { url: probeUrl(url, 1000), hide })
      : explainFault(outcome.error, hide);
  return bad('timeouts', `the probe endpoint: ${text}`, advice, facts);
}

/** Answered by somebody who is not the probe. A WebSocket that does not know the probe's subprotocol is somebody else's. */
function isElsewhere(outcome: Exclude<DialOutcome, { kind: 'open' }>): boolean {
  if (outcome.kind === 'error') return /subprotocol/i.test(outcome.error.message);
  return outcome.answer.status < 500 && outcome.answer.status !== 426;
}
