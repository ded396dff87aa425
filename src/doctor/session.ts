/** Everything that is seen of one WebSocket, from before its handshake to its end. */
import type { WebSocket } from 'ws';

export interface SessionEnd {
  /** On the monotonic clock, in ms, like all times here. */
  readonly at: number;
  /** 1006: without a Close frame. 1005: a Close frame without a code. */
  readonly code: number;
  readonly reason: string;
  /** Nothing had passed in either direction for so long. */
  readonly idleMs: number;
}

export type WaitResult = 'elapsed' | 'ended' | 'aborted';

/** Neko says so before it drops a client, and mostly why. */
const DISCONNECT_EVENT = 'system/disconnect';

export class Session {
  readonly socket: WebSocket;
  /** Pings of the other side. */
  readonly pings: number[] = [];
  /** Messages of the other side. */
  readonly messages: number[] = [];
  readonly #changes = new EventTarget();
  ended: SessionEnd | null = null;
  /** What Neko said when it dropped this client; empty when it gave no reason. */
  disconnect: string | null = null;
  #activeAt = performance.now();

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('open', () => this.#active());
    socket.on('ping', () => this.pings.push(this.#active()));
    socket.on('pong', () => this.#active());
    socket.on('message', (data, isBinary) => {
      this.messages.push(this.#active());
      // With `binaryType` left at 'nodebuffer' a message is one Buffer.
      if (!isBinary) this.disconnect ??= disconnectReason((data as Buffer).toString());
    });
    socket.on('close', (code, reason) => this.#end(code, reason.toString()));
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

  /** Round trip of a Ping of our own in ms; null when none came back in time, or the session ended. */
  ping(payload: string, timeoutMs: number): Promise<number | null> {
    return this.#roundTrip('pong', payload, timeoutMs, () => this.socket.ping(payload));
  }

  /** Does the other side say the same? */
  async echo(text: string, timeoutMs: number): Promise<boolean> {
    return (await this.#roundTrip('message', text, timeoutMs, () => this.socket.send(text))) !== null;
  }

  #roundTrip(event: 'pong' | 'message', text: string, timeoutMs: number, send: () => void): Promise<number | null> {
    return new Promise((resolve) => {
      const { socket } = this;
      const started = this.#active();
      const timer = setTimeout(() => settle(null), timeoutMs);
      const settle = (rtt: number | null): void => {
        clearTimeout(timer);
        socket.off(event, onAnswer);
        this.#changes.removeEventListener('end', onEnd);
        resolve(rtt);
      };
      const onEnd = (): void => settle(null);
      const onAnswer = (data: unknown): void => {
        if (String(data) === text) settle(performance.now() - started);
      };
      socket.on(event, onAnswer);
      this.#changes.addEventListener('end', onEnd);
      if (this.ended !== null) onEnd();
      else if (socket.readyState === socket.OPEN) send();
    });
  }

  #active(): number {
    this.#activeAt = performance.now();
    return this.#activeAt;
  }

  #end(code: number, reason: string): void {
    const at = performance.now();
    this.ended = { at, code, reason, idleMs: at - this.#activeAt };
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
