/** Tests a WebSocket from outside, step by step; each step is worth taking only when those before it went well. */
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import type { DoctorOptions } from '../command-line/doctor-options.ts';
import { isLegacyPath } from '../observe/verdict-words.ts';
import { type Answer, explainAnswer } from './answers.ts';
import { dial } from './dial.ts';
import { explainFault } from './dial-faults.ts';
import { createDisplay, type Display, isHealthy, type Output } from './display.ts';
import { count, type Finding, note, ok } from './findings.ts';
import { judgeLadder, type Step } from './idle-limit.ts';
import { climb } from './ladder.ts';
import { checkName, checkTcp, checkTls, endpointOf } from './network.ts';
import { createSecrets, showUrl } from './secrets.ts';
import { Session } from './session.ts';
import { watch } from './watch.ts';

/** How long the other side may take to answer the Close at the end. */
const CLOSE_TIMEOUT_MS = 2_000;
const LEAVING = 1000;

/**
 * Runs every test that can be run and tells what it found.
 *
 * @param signal ends the waiting early; what is known by then is told
 * @returns whether the connection is healthy
 */
export async function runDoctor(options: DoctorOptions, output: Output, signal: AbortSignal): Promise<boolean> {
  const display = createDisplay(output, options.json);
  const findings: Finding[] = [];
  const url = showUrl(options.url);
  display.start(url);
  await new Examination(options, display, signal, (finding) => {
    findings.push(finding);
    display.found(finding);
  }).run();
  display.end(url, findings, signal.aborted);
  return isHealthy(findings);
}

class Examination {
  readonly #options: DoctorOptions;
  readonly #display: Display;
  readonly #signal: AbortSignal;
  readonly #found: (finding: Finding) => void;
  readonly #hide: (text: string) => string;

  constructor(options: DoctorOptions, display: Display, signal: AbortSignal, found: (finding: Finding) => void) {
    this.#options = options;
    this.#display = display;
    this.#signal = signal;
    this.#found = found;
    this.#hide = createSecrets(options.url, options.headers).hide;
  }

  async run(): Promise<void> {
    const { url, insecure, ladder } = this.#options;
    const endpoint = endpointOf(url);
    if (!this.#passed(await checkName(endpoint))) return;
    const signal = this.#signal;
    const reached = endpoint.isSecure ? checkTls(endpoint, insecure, signal) : checkTcp(endpoint, signal);
    if (!this.#passed(await reached)) return;
    if (isNekoPath(url.pathname)) this.#found(joining(url.pathname));
    const session = await this.#open();
    if (session === null) return;
    const stop = this.#showProgress(session);
    // The ladder needs to know the Pings, and is told after them.
    const [intervalMs, timeouts] = await Promise.all([this.#watch(session), ladder && this.#climb(ladder)]);
    stop();
    if (timeouts !== null) this.#found(judgeLadder(timeouts, intervalMs));
    await leave(session.socket);
  }

  #passed(finding: Finding): boolean {
    const isStopped = this.#signal.aborted;
    this.#found(isStopped ? note(finding.subject, 'stopped before this was known') : finding);
    return !isStopped && finding.level !== 'bad';
  }

  async #open(): Promise<Session | null> {
    const { url, headers, insecure } = this.#options;
    const opened: Session[] = [];
    const onSocket = (socket: WebSocket): void => void opened.push(new Session(socket));
    const outcome = await dial({ url, headers, insecure, signal: this.#signal, onSocket });
    if (outcome.kind === 'open') {
      this.#found(this.#accepted(outcome.socket, outcome.head, outcome.ms));
      return opened[0] ?? null;
    }
    const hide = this.#hide;
    this.#passed(
      outcome.kind === 'answer' ? explainAnswer(outcome.answer, { url, hide }) : explainFault(outcome.error, hide),
    );
    return null;
  }

  #accepted(socket: WebSocket, head: Answer, ms: number): Finding {
    const hide = this.#hide;
    const server = hide(head.headers['server'] ?? '');
    const protocol = hide(socket.protocol);
    const extensions = hide(socket.extensions);
    const version = head.version === '1.1' ? '' : ` as HTTP/${head.version}, which browsers take`;
    const parts = [
      `101 in ${ms} ms${server === '' ? '' : ` from ${server}`}${version}`,
      protocol === '' ? 'no subprotocol' : `subprotocol ${protocol}`,
      extensions === '' ? 'no extensions' : extensions,
    ];
    return ok('handshake', parts.join(', '), { status: 101, ms, server, subprotocol: protocol, extensions });
  }

  #watch(session: Session): Promise<number | null> {
    const { url, forMs } = this.#options;
    const parts = { session, forMs, path: url.pathname, signal: this.#signal };
    return watch({ ...parts, hide: this.#hide, found: this.#found });
  }

  /** Whether there is a probe at all is told at once, and not after the watch. */
  async #climb(ladder: readonly number[]): Promise<readonly Step[] | null> {
    const { url, headers, insecure } = this.#options;
    const climbed = await climb({ url, headers, insecure, ladder, signal: this.#signal, hide: this.#hide });
    if (!('subject' in climbed)) return climbed;
    this.#passed(climbed);
    return null;
  }

  #showProgress(session: Session): () => void {
    const { forMs, ladder } = this.#options;
    const longest = Math.ceil(Math.max(forMs, ladder?.at(-1) ?? 0) / 1000);
    const sockets = ladder === null ? '' : ` and ${count(ladder.length, 'silent socket')}`;
    const started = performance.now();
    return this.#display.during(`watching${sockets} for up to ${longest} s`, () => {
      const passed = Math.floor((performance.now() - started) / 1000);
      return `${passed} s, ${count(session.pings.length, 'Ping')}`;
    });
  }
}

/** Neko's, under any prefix: `/ws` in v2 and legacy mode, `/api/ws` in v3. */
function isNekoPath(path: string): boolean {
  return path.endsWith('/ws');
}

function joining(path: string): Finding {
  const seen = 'if this is Neko, everybody in the room sees the doctor come now and go at the end';
  if (isLegacyPath(path)) return note('room', seen);
  return note(
    'room',
    seen,
    'It comes as the user to whom the token belongs: if that one is there already, Neko may end one of the two.',
  );
}

/** The doctor did leave, so it says 1000. */
async function leave(socket: WebSocket): Promise<void> {
  if (socket.readyState === socket.CLOSED) return;
  const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
  socket.close(LEAVING);
  await once(socket, 'close');
  clearTimeout(timer);
}
