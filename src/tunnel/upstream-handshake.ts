/** The proxy's own handshake with an upstream: dial, ask, read the head of the answer, judge it. */

import type { Socket } from 'node:net';
import type { RawHeaders } from '../http/headers.ts';
import { HeadError, parseResponseHead, type ResponseHead } from '../http/response-head.ts';
import { type BodyWalk, bodyWalkOf } from '../http/response-body.ts';
import type { UpstreamTarget } from '../core/settings.ts';
import {
  type ChunkReader,
  type DialOptions,
  dialUpstream,
  dropChunks,
  isName,
  raceUpstream,
  readyEvent,
} from './dial.ts';
import { SocketReader } from './socket-reader.ts';
import { checkResponse, formatRequest, oddityOf, offerOf } from './handshake.ts';
import { after } from '../runtime/limit-timer.ts';
import { createRandom } from '../runtime/random.ts';
import type { ReadBatch } from './read-batch.ts';

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
  /** What of that has gone by already, in ms. */
  readonly waitedMs: number;
  /** Most bytes of the answer's head, interim ones included. */
  readonly headLimit: number;
  readonly batch: ReadBatch;
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
  /** For the operator: what is wrong with the upstream. */
  readonly fault: string;
  /** No connection was to be had, so another upstream may be asked. */
  readonly unreachable: boolean;
  /** Something came from the upstream before. */
  readonly answered: boolean;
}

/** `accepted`: a true 101, and what is odd about it. `refused`: every other proper answer, with the walk of its body. */
export type HandshakeOutcome =
  | ({ readonly kind: 'accepted'; readonly oddity: string | null } & Answer)
  | ({ readonly kind: 'refused'; readonly body: BodyWalk } & Answer)
  | HandshakeFailure;

/** One attempt. Afterwards nothing of it is left on the socket, and the socket belongs to whoever got the outcome. */
export class UpstreamHandshake {
  readonly reader: ChunkReader;
  readonly #options: HandshakeOptions;
  readonly #onOutcome: (outcome: HandshakeOutcome) => void;
  readonly #key = newKey();
  readonly #disarm: () => void;
  /** There from the start, but for a name: several addresses are tried, and it is the one that connected. */
  #socket: Socket | null = null;
  #cancelRace: () => void = () => {};
  #connected = false;
  #answered = false;
  #settled = false;
  #received: Buffer = Buffer.alloc(0);
  /** Bytes of interim heads so far; they count towards the limit. */
  #skipped = 0;

  /** @param onOutcome called once, never before the constructor has returned; not called after `cancel()` */
  constructor(options: HandshakeOptions, onOutcome: (outcome: HandshakeOutcome) => void) {
    this.#options = options;
    this.#onOutcome = onOutcome;
    this.reader = new SocketReader(options.batch);
    this.reader.sink = { onChunk: this.#onChunk };
    const { connectTimeoutMs, tls } = options;
    const dial: DialOptions = { connectTimeoutMs, tls, reader: this.reader };
    if (isName(options.target.address)) {
      this.#cancelRace = raceUpstream(options.target, { ...dial, onReady: this.#onWon, onError: this.#onError });
    } else {
      this.#watch(dialUpstream(options.target, dial)).on(readyEvent(options.target), this.#onReady);
    }
    this.#disarm = after(Math.max(0, options.handshakeTimeoutMs - options.waitedMs), this.#onTimeout);
  }

  /** The connection to the upstream, of an outcome other than a failure. @throws before there is one */
  get socket(): Socket {
    if (this.#socket === null) throw new Error('there is no connection to the upstream yet');
    return this.#socket;
  }

  /** Drops the attempt and its socket. */
  cancel(): void {
    if (this.#settled) return;
    this.#detach();
    this.#discard();
  }

  #watch(socket: Socket): Socket {
    this.#socket = socket;
    return socket.on('error', this.#onError).on('end', this.#onEnd).on('close', this.#onEnd);
  }

  readonly #onWon = (socket: Socket): void => {
    this.#watch(socket);
    this.#onReady();
  };

  readonly #onReady = (): void => {
    this.#connected = true;
    this.socket.write(formatRequest(this.#options.path, this.#options.headers, this.#key), 'latin1');
  };

  readonly #onChunk = (chunk: Buffer): boolean => {
    this.#answered = true;
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
    const fault = checkResponse(head, this.#key);
    if (fault === null) {
      const oddity = oddityOf(head, offerOf(this.#options.headers));
      return this.#settle({ kind: 'accepted', oddity, head, rest: answer.rest });
    }
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
      this.#fail('upstream_timeout', `it could not be connected within ${limit}`, true);
    } else if (code === 'EMFILE' || code === 'ENFILE') {
      this.#fail('limit', `no descriptor is left to dial it (${code}); raise the limit of this process (ulimit -n)`);
    } else if (this.#connected) {
      this.#fail('upstream_invalid', `it broke the connection before its answer was complete (${code})`);
    } else {
      this.#fail('upstream_unreachable', `it cannot be reached: ${adviceFor(code)} (${code})`, true);
    }
  };

  #fail(reason: HandshakeFailure['reason'], fault: string, unreachable = false): void {
    this.#settle({ kind: 'failed', reason, answered: this.#answered, unreachable, fault });
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
    this.#socket?.off('error', this.#onError);
    this.#socket?.off('end', this.#onEnd);
    this.#socket?.off('close', this.#onEnd);
    this.#socket?.off(readyEvent(this.#options.target), this.#onReady);
  }

  #discard(): void {
    this.#cancelRace();
    if (this.#socket !== null) discardSocket(this.#socket);
  }
}

/** Destroys a socket whose later errors interest nobody. */
export function discardSocket(socket: Socket): void {
  socket.on('error', ignoreError);
  socket.destroy();
}

function ignoreError(): void {}

/** What the operator should check first. */
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
