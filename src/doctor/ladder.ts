/** Silent sockets to the probe endpoint, all at once: each says nothing for its time, then asks for an echo. */
import { PROBE_PATH, PROBE_PROTOCOL } from '../io/probe.ts';
import { explainAnswer } from './answers.ts';
import { dial, type DialOutcome } from './dial.ts';
import { explainFault } from './dial-faults.ts';
import type { Finding } from './findings.ts';
import { bad } from './findings.ts';
import type { Step } from './idle-limit.ts';
import { Session } from './session.ts';

const ECHO_TIMEOUT_MS = 10_000;

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
  const steps = await Promise.all(options.ladder.map((silenceMs) => step(options, silenceMs)));
  return steps.find((result) => 'subject' in result) ?? (steps as Step[]);
}

/** The probe beside the WebSocket at `url`: under the same prefix, without the query, which is for the WebSocket alone. */
export function probeUrl(url: URL, silenceMs: number): URL {
  const probe = new URL(url);
  if (!url.pathname.endsWith(PROBE_PATH)) {
    const prefix = url.pathname.replace(/\/(?:(?:api\/)?ws\/|api\/ws|[^/]*)$/, '');
    probe.pathname = prefix + PROBE_PATH;
  }
  probe.search = `?silent=${silenceMs}ms`;
  return probe;
}

async function step(options: LadderOptions, silenceMs: number): Promise<Step | Finding> {
  let session: Session | null = null;
  const outcome = await dial({
    url: probeUrl(options.url, silenceMs),
    headers: withoutProtocol(options.headers),
    insecure: options.insecure,
    protocols: [PROBE_PROTOCOL],
    onSocket: (socket) => {
      session = new Session(socket);
    },
  });
  if (outcome.kind !== 'open' || session === null) return explainProbe(outcome, options);
  const result = await keepSilence(session, silenceMs, options.signal);
  outcome.socket.terminate();
  return { silenceMs, ...result };
}

async function keepSilence(session: Session, silenceMs: number, signal: AbortSignal): Promise<Omit<Step, 'silenceMs'>> {
  const waited = await session.wait(silenceMs, signal);
  if (waited === 'aborted') return { result: 'aborted', cutAfterMs: null };
  if (waited === 'ended') {
    const { code = 0, idleMs = 0 } = session.ended ?? {};
    return code === 1006 ? { result: 'cut', cutAfterMs: Math.round(idleMs) } : { result: 'closed', cutAfterMs: null };
  }
  const echoed = await session.echo('still here?', ECHO_TIMEOUT_MS);
  return { result: echoed ? 'survived' : 'dead', cutAfterMs: null };
}

/** The probe has a subprotocol of its own. */
function withoutProtocol(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'sec-websocket-protocol'),
  );
}

function explainProbe(outcome: DialOutcome, { url, hide }: LadderOptions): Finding {
  const path = probeUrl(url, 1000).pathname;
  if (outcome.kind === 'answer' && outcome.answer.status === 429) {
    return bad('timeouts', 'the probe endpoint has too many sockets already', 'Try again in a minute.');
  }
  const isElsewhere =
    outcome.kind === 'answer' ? outcome.answer.status < 500 && outcome.answer.status !== 426 : isForeign(outcome);
  if (isElsewhere) {
    const text = `there is no probe endpoint at ${path}`;
    return bad(
      'timeouts',
      text,
      'Set "probe: true" in the configuration of ws-keepalive-proxy (WSKP_PROBE=true) and reload it.',
    );
  }
  if (outcome.kind === 'open') return bad('timeouts', 'the probe endpoint cannot be used', 'Try again.');
  const { text, advice, facts } =
    outcome.kind === 'answer'
      ? explainAnswer(outcome.answer, { url: probeUrl(url, 1000), hide })
      : explainFault(outcome.error, hide);
  return bad('timeouts', `the probe endpoint: ${text}`, advice, facts);
}

/** A WebSocket that does not know the probe's subprotocol is somebody else's. */
function isForeign(outcome: DialOutcome): boolean {
  return outcome.kind === 'error' && /subprotocol/i.test(outcome.error.message);
}
