/** Everything that is seen of one WebSocket, from before its handshake to its end. */
import type { WebSocket } from 'ws';

export interface SessionEnd {
  /** On the monotonic clock, in ms, like all times here. */
  readonly at: number;
  /** 1006: without a Close frame. 1005: a Close frame without a code. */
  readonly code: number;
  readonly reason: string;
  /** Nothing, neither a message nor a Ping, had passed in either direction for so long. */
  readonly idleMs: number;
  /** The longest time before that in which nothing passed, and after which the connection still worked. */
  readonly survivedMs: number;
  /** Why `ws` itself ended it (`WS_ERR_…`), or what the kernel said (`ECONNRESET`); null when the other side just ended. */
  readonly fault: { readonly code: string; readonly message: string } | null;
}

export type WaitResult = 'elapsed' | 'ended' | 'aborted';

/** Neko says so before it drops a client, and usually why. */
const DISCONNECT_EVENT = 'system/disconnect';
/** By which Pongs are known as answers to Pings of ours. */
const PING_PREFIX = 'doctor ';

export class Session {
  readonly socket: WebSocket;
  /** Pings of the other side. */
  readonly pings: number[] = [];
  /** Messages of the other side. */
  readonly messages: number[] = [];
  /** How many of our Pings were answered, however late. */
  pongs = 0;
  readonly #changes = new EventTarget();
  ended: SessionEnd | null = null;
  /** What Neko said when it dropped this client; empty when it gave no reason. */
  disconnect: string | null = null;
  #pings = 0;
  #activeAt = performance.now();
  #survivedMs = 0;
  /** A silence that we ended ourselves: survived only if something comes back. */
  #doubtfulMs = 0;
  #fault: SessionEnd['fault'] = null;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('open', () => (this.#activeAt = performance.now()));
    socket.on('ping', () => this.pings.push(this.#heard()));
    socket.on('pong', (data) => {
      this.#heard();
      if (data.toString().startsWith(PING_PREFIX)) this.pongs += 1;
    });
    socket.on('message', (data, isBinary) => {
      this.messages.push(this.#heard());
      // With `binaryType` left at 'nodebuffer' a message is one Buffer.
      if (!isBinary) this.disconnect ??= disconnectReason((data as Buffer).toString());
    });
    socket.on('error', ({ code = '', message }: NodeJS.ErrnoException) => {
      this.#fault ??= { code, message };
    });
    socket.on('close', (code, reason) => this.#end(code, reason.toString()));
  }

  /** The longest time so far in which nothing passed, up to `now`. */
  quietestMs(now: number): number {
    const end = this.ended;
    return Math.max(this.#survivedMs, this.#doubtfulMs, end === null ? now - this.#activeAt : end.idleMs);
  }

  /** Waits for the end of the session, or of the time. */
  wait(ms: number, signal: AbortSignal): Promise<WaitResult> {
    return new Promise((resolve) => {
      const settle = (result: WaitResult): void => {
        clearTimeout(timer);
        this.#changes.removeEventListener('end', onEnd);
        signal.removeEventListener('abort', onAbort);
        resolve(result);
      };
      const onEnd = (): void => settle('ended');
      const onAbort = (): void => settle('aborted');
      const timer = setTimeout(() => settle('elapsed'), ms);
      this.#changes.addEventListener('end', onEnd);
      signal.addEventListener('abort', onAbort);
      if (this.ended !== null) onEnd();
      else if (signal.aborted) onAbort();
    });
  }

  /** Round trip of a Ping of our own in ms; null when no answer came in time, the session ended, or the signal fired. */
  ping(timeoutMs: number, signal: AbortSignal): Promise<number | null> {
    this.#pings += 1;
    const payload = `${PING_PREFIX}${this.#pings}`;
    return this.#roundTrip('pong', payload, timeoutMs, signal, () => this.socket.ping(payload));
  }

  /** Does the other side say the same? */
  async echo(text: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    return (await this.#roundTrip('message', text, timeoutMs, signal, () => this.socket.send(text))) !== null;
  }

  async #roundTrip(
    event: 'pong' | 'message',
    text: string,
    timeoutMs: number,
    signal: AbortSignal,
    send: () => void,
  ): Promise<number | null> {
    const { socket } = this;
    const started = this.#sent();
    const answered = new AbortController();
    let rtt: number | null = null;
    const onAnswer = (data: unknown): void => {
      if (String(data) !== text) return;
      rtt = performance.now() - started;
      answered.abort();
    };
    socket.on(event, onAnswer);
    if (socket.readyState === socket.OPEN) send();
    await this.wait(timeoutMs, AbortSignal.any([signal, answered.signal]));
    socket.off(event, onAnswer);
    return rtt;
  }

  #sent(): number {
    const now = performance.now();
    this.#doubtfulMs = Math.max(this.#doubtfulMs, now - this.#activeAt);
    this.#activeAt = now;
    return now;
  }

  #heard(): number {
    const now = this.#sent();
    this.#survivedMs = Math.max(this.#survivedMs, this.#doubtfulMs);
    this.#doubtfulMs = 0;
    return now;
  }

  #end(code: number, reason: string): void {
    const at = performance.now();
    const idleMs = at - this.#activeAt;
    this.ended = { at, code, reason, idleMs, survivedMs: this.#survivedMs, fault: this.#fault };
    this.#changes.dispatchEvent(new Event('end'));
  }
}

/** Null for any other message. */
function disconnectReason(text: string): string | null {
  if (!text.includes(DISCONNECT_EVENT)) return null;
  try {
    const { event, message, payload } = JSON.parse(text) as {
      event?: unknown;
      message?: unknown;
      payload?: { message?: unknown };
    };
    if (event !== DISCONNECT_EVENT) return null;
    const said = message ?? payload?.message;
    return typeof said === 'string' ? said : '';
  } catch {
    return null;
  }
}
