/** The proxy's own handshake with an upstream: dial, ask, read the head of the answer, judge it. */

import type { Socket } from 'node:net';
import type { RawHeaders } from '../core/raw-headers.ts';
import { HeadError, parseResponseHead } from '../core/response-head.ts';
import type { ResponseHead } from '../core/response-head.ts';
import { bodyWalkOf } from '../core/response-body.ts';
import type { BodyWalk } from '../core/response-body.ts';
import type { UpstreamTarget } from '../core/settings.ts';
import { dialUpstream, dropChunks, readyEvent } from './dial.ts';
import { SocketReader } from './socket-reader.ts';
import type { ChunkReader, DialOptions } from './dial.ts';
import { checkResponse, formatRequest, offerOf } from './handshake.ts';
import { after } from './limit-timer.ts';
import { createRandom } from './random.ts';
import type { Turn } from './turn.ts';

export interface HandshakeOptions {
  readonly target: UpstreamTarget;
  /** Request target in origin form, sent as it is. */
  readonly path: string;
  /** The client's fields that pass on. */
  readonly headers: RawHeaders;
  readonly tls: DialOptions['tls'];
  /** Milliseconds until connected, and until the whole head of the answer is here, both from the start. */
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** Most bytes of the answer's head, interim ones included. */
  readonly headLimit: number;
  readonly turn: Turn;
}

const random = createRandom();

/** 16 bytes in base64 (RFC 6455 4.1), new for each handshake. */
function newKey(): string {
  const bytes = Buffer.allocUnsafe(16);
  for (let at = 0; at < 16; at += 4) bytes.writeInt32LE(random(), at);
  return bytes.toString('base64');
}

/** An answer, with the bytes that came behind its head. */
interface Answer {
  readonly head: ResponseHead;
  readonly rest: Buffer;
}

export interface HandshakeFailure {
  readonly kind: 'failed';
  readonly reason: 'upstream_unreachable' | 'upstream_timeout' | 'upstream_invalid' | 'limit';
  /** For the operator. */
  readonly detail: string;
}

/** `accepted`: a true 101. `refused`: every other proper answer, with the walk of its body. */
export type HandshakeOutcome =
  | ({ readonly kind: 'accepted' } & Answer)
  | ({ readonly kind: 'refused'; readonly body: BodyWalk } & Answer)
  | HandshakeFailure;

/** One attempt. Afterwards nothing of it is left on the socket, and the socket belongs to whoever got the outcome. */
export class UpstreamHandshake {
  readonly socket: Socket;
  readonly reader: ChunkReader;
  readonly #options: HandshakeOptions;
  readonly #onOutcome: (outcome: HandshakeOutcome) => void;
  readonly #key = newKey();
  readonly #disarm: () => void;
  #connected = false;
  #settled = false;
  #received: Buffer = Buffer.alloc(0);
  /** Bytes of interim heads so far; they count towards the limit. */
  #skipped = 0;

  /** @param onOutcome called once, never before the constructor has returned; not called after `cancel()` */
  constructor(options: HandshakeOptions, onOutcome: (outcome: HandshakeOutcome) => void) {
    this.#options = options;
    this.#onOutcome = onOutcome;
    this.reader = new SocketReader(options.turn);
    this.reader.sink = { onChunk: this.#onChunk };
    this.socket = dialUpstream(options.target, { ...options, reader: this.reader });
    this.socket.on('error', this.#onError);
    this.socket.on('end', this.#onEnd);
    this.socket.on('close', this.#onEnd);
    this.socket.on(readyEvent(options.target), this.#onReady);
    this.#disarm = after(options.handshakeTimeoutMs, this.#onTimeout);
  }

  /** Drops the attempt and its socket. */
  cancel(): void {
    if (this.#settled) return;
    this.#detach();
    this.#discard();
  }

  readonly #onReady = (): void => {
    this.#connected = true;
    this.socket.write(formatRequest(this.#options.path, this.#options.headers, this.#key), 'latin1');
  };

  readonly #onChunk = (chunk: Buffer): boolean => {
    this.#received = Buffer.concat([this.#received, chunk]);
    try {
      this.#readHead();
    } catch (error) {
      if (!(error instanceof HeadError)) throw error;
      this.#fail('upstream_invalid', `its answer is not valid HTTP: ${error.message}`);
    }
    return true;
  };

  #readHead(): void {
    for (;;) {
      const head = parseResponseHead(this.#received, this.#options.headLimit - this.#skipped);
      if (head === 'incomplete') return;
      this.#received = this.#received.subarray(head.length);
      if (head.status >= 200 || head.status === 101) return this.#judge(head);
      // RFC 9110 15.2: interim answers may come first, however many.
      this.#skipped += head.length;
    }
  }

  #judge(head: ResponseHead): void {
    // A copy, so that a few bytes do not keep the whole head alive.
    const answer: Answer = { head, rest: Buffer.from(this.#received) };
    if (head.status !== 101) return this.#settle({ kind: 'refused', ...answer, body: bodyWalkOf(head) });
    const fault = checkResponse(head, this.#key, offerOf(this.#options.headers));
    if (fault === null) return this.#settle({ kind: 'accepted', ...answer });
    return this.#fail('upstream_invalid', `its answer is no valid WebSocket handshake: ${fault}`);
  }

  readonly #onEnd = (): void => {
    this.#fail('upstream_invalid', 'it ended the connection before its answer was complete');
  };

  readonly #onTimeout = (): void => {
    const what = this.#connected ? 'it did not answer' : 'it could not be connected';
    this.#fail('upstream_timeout', `${what} within ${this.#options.handshakeTimeoutMs} ms (timeouts.handshake)`);
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    const code = error.code ?? error.name;
    if (code === 'ERR_CONNECT_TIMEOUT') {
      const limit = `${this.#options.connectTimeoutMs} ms (timeouts.connect)`;
      this.#fail('upstream_timeout', `it could not be connected within ${limit}`);
    } else if (code === 'EMFILE' || code === 'ENFILE') {
      this.#fail('limit', `no descriptor is left to dial it (${code}); raise the limit of this process (ulimit -n)`);
    } else if (this.#connected) {
      this.#fail('upstream_invalid', `it broke the connection before its answer was complete (${code})`);
    } else {
      this.#fail('upstream_unreachable', `it cannot be reached: ${adviceFor(code)} (${code})`);
    }
  };

  #fail(reason: HandshakeFailure['reason'], fault: string): void {
    this.#settle({ kind: 'failed', reason, detail: `upstream ${this.#options.target.url}: ${fault}` });
  }

  #settle(outcome: HandshakeOutcome): void {
    this.#detach();
    if (outcome.kind === 'failed') this.#discard();
    this.#onOutcome(outcome);
  }

  #detach(): void {
    this.#settled = true;
    this.#received = Buffer.alloc(0);
    this.#disarm();
    this.reader.sink = dropChunks;
    this.socket.off('error', this.#onError);
    this.socket.off('end', this.#onEnd);
    this.socket.off('close', this.#onEnd);
    this.socket.off(readyEvent(this.#options.target), this.#onReady);
  }

  #discard(): void {
    discardSocket(this.socket);
  }
}

/** Destroys a socket whose later errors interest nobody. */
export function discardSocket(socket: Socket): void {
  socket.on('error', ignoreError);
  socket.destroy();
}

function ignoreError(): void {}

/** What an operator may look at first. */
function adviceFor(code: string): string {
  if (code === 'ECONNREFUSED') return 'nothing listens there; is it running, and on this port?';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'its name does not resolve; are both in the same network?';
  if (code === 'ENOENT') return 'its socket file does not exist; is it running?';
  if (code === 'EACCES') return 'its socket file may not be opened by this user';
  if (code === 'ECONNRESET') return 'it closed the connection at once; does it speak this protocol (http or https)?';
  if (/CERT|SELF_SIGNED|ISSUER|VERIFY/.test(code)) return 'its certificate is not accepted; see upstream_tls';
  if (code.startsWith('ERR_SSL')) return 'it does not speak TLS as expected; should its URL start with http:?';
  return 'the connection failed';
}
