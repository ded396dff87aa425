/** Tests a WebSocket from outside, step by step; each step is worth taking only when those before it went well. */
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import type { DoctorOptions } from '../config/doctor-arguments.ts';
import { type Answer, explainAnswer } from './answers.ts';
import { dial } from './dial.ts';
import { explainFault } from './dial-faults.ts';
import { createDisplay, type Display, isHealthy, type Output } from './display.ts';
import { count, type Finding, ok } from './findings.ts';
import { judgeLadder } from './idle-limit.ts';
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
  display.end(url, findings);
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
    this.#hide = createSecrets(options.url, Object.values(options.headers)).hide;
  }

  async run(): Promise<void> {
    const { url, insecure } = this.#options;
    const endpoint = endpointOf(url);
    if (!this.#passed(await checkName(endpoint))) return;
    if (!this.#passed(await (endpoint.isSecure ? checkTls(endpoint, insecure) : checkTcp(endpoint)))) return;
    const session = await this.#open();
    if (session === null) return;
    const stop = this.#showProgress(session);
    const [intervalMs, timeouts] = await Promise.all([this.#watch(session), this.#climb()]);
    stop();
    if (timeouts !== null) this.#found('subject' in timeouts ? timeouts : judgeLadder(timeouts, intervalMs));
    await leave(session.socket);
  }

  #passed(finding: Finding): boolean {
    this.#found(finding);
    return finding.level !== 'bad';
  }

  async #open(): Promise<Session | null> {
    const { url, headers, insecure } = this.#options;
    const opened: Session[] = [];
    const outcome = await dial({
      url,
      headers,
      insecure,
      onSocket: (socket) => opened.push(new Session(socket)),
    });
    if (outcome.kind === 'answer') this.#found(explainAnswer(outcome.answer, { url, hide: this.#hide }));
    else if (outcome.kind === 'error') this.#found(explainFault(outcome.error, this.#hide));
    else {
      this.#found(this.#accepted(outcome.socket, outcome.head, outcome.ms));
      return opened[0] ?? null;
    }
    return null;
  }

  #accepted(socket: WebSocket, head: Answer, ms: number): Finding {
    const hide = this.#hide;
    const server = hide(head.headers['server'] ?? '');
    const protocol = hide(socket.protocol);
    const extensions = hide(socket.extensions);
    const parts = [
      `101 in ${ms} ms${server === '' ? '' : ` from ${server}`}`,
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

  #climb(): ReturnType<typeof climb> | null {
    const { url, headers, insecure, ladder } = this.#options;
    return ladder && climb({ url, headers, insecure, ladder, signal: this.#signal, hide: this.#hide });
  }

  #showProgress(session: Session): () => void {
    const { forMs, ladder } = this.#options;
    const longest = Math.max(forMs, ladder?.at(-1) ?? 0);
    const sockets = ladder === null ? '' : `, with ${count(ladder.length, 'silent socket')} beside it`;
    const started = performance.now();
    return this.#display.during(`watching in silence for up to ${Math.ceil(longest / 1000)} s${sockets}`, () => {
      const passed = Math.floor((performance.now() - started) / 1000);
      return `${passed} s, ${count(session.pings.length, 'Ping')}`;
    });
  }
}

/** The doctor did leave, so it says 1000. */
async function leave(socket: WebSocket): Promise<void> {
  if (socket.readyState === socket.CLOSED) return;
  const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS);
  socket.close(LEAVING);
  await once(socket, 'close');
  clearTimeout(timer);
}
