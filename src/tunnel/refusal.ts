/** What a client gets that gets no tunnel: an upstream's own answer, or one of the proxy's, and then the end. */

import type { Socket } from 'node:net';
import type { UpgradeFailureReason } from '../core/events.ts';
import { endToEnd, formatFields } from '../http/headers.ts';
import { HeadError, type ResponseHead } from '../http/response-head.ts';
import type { BodyWalk } from '../http/response-body.ts';
import { RETRY_AFTER } from '../server/places.ts';
import type { AdmissionRefusal } from './admission.ts';
import { type ChunkReader, dropChunks } from './dial.ts';
import { after } from '../runtime/limit-timer.ts';
import type { AttemptsFailure } from './upstream-attempts.ts';
import { discardSocket } from './upstream-handshake.ts';

/** What a page says when the upstream could be reached and answered with something else. */
const NO_WEBSOCKET = 'The server behind this address answered, but not with a WebSocket.';

/** An answer of the proxy's own, and why. */
export interface Refusal {
  readonly reason: UpgradeFailureReason;
  readonly status: number;
  /** For the operator. */
  readonly detail: string;
  /** For the client; undefined: nothing beyond the status. */
  readonly told: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal whose words are fit for both the operator and the client. */
export function plainRefusal(reason: UpgradeFailureReason, status: number, detail: string): Refusal {
  return { reason, status, detail, told: detail };
}

/** A limit was reached. The client is not told which: the limits are for the operator to know. */
export function limitRefusal({ status, detail, retryAfter }: AdmissionRefusal): Refusal {
  return { reason: 'limit', status, detail, told: undefined, headers: { 'Retry-After': String(retryAfter) } };
}

/** No upstream has taken the handshake. */
export function failureRefusal({ reason, detail, answered }: AttemptsFailure): Refusal {
  if (reason === 'limit') return limitRefusal({ status: 503, detail, retryAfter: RETRY_AFTER });
  const status = reason === 'upstream_timeout' ? 504 : 502;
  return { reason, status, detail, told: answered ? NO_WEBSOCKET : undefined };
}

/** How long an ended client may take to end as well; closing on unread input would make TCP drop the answer. */
const LINGER_MS = 3000;

export interface RefusalParts {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly reader: ChunkReader;
  readonly head: ResponseHead;
  readonly body: BodyWalk;
  /** Bytes that came behind the head. */
  readonly rest: Buffer;
  /** Milliseconds without progress after which both are given up. */
  readonly stallMs: number;
}

/** Passes an upstream's answer on, whole and as it comes, then ends both connections. */
export function relayRefusal(parts: RefusalParts): void {
  new RefusalRelay(parts).start();
}

class RefusalRelay {
  readonly #parts: RefusalParts;
  #disarm: () => void = () => {};
  #finished = false;

  constructor(parts: RefusalParts) {
    this.#parts = parts;
  }

  start(): void {
    const { client, upstream, reader, head, rest } = this.#parts;
    // Early bytes of the client were meant for a WebSocket that does not come to be.
    client.resume();
    client.on('drain', this.#onDrain);
    // A client that ends its direction has left, as during the handshake: one that waits for an answer does not end it.
    client.on('end', this.#giveUp);
    client.on('close', this.#giveUp);
    upstream.on('error', this.#finish);
    upstream.on('end', this.#finish);
    upstream.on('close', this.#finish);
    client.write(formatRefusal(head), 'latin1');
    this.#progress();
    reader.sink = { onChunk: this.#onChunk };
    this.#onChunk(rest);
  }

  /** Passes what belongs to the body. */
  readonly #onChunk = (chunk: Buffer): boolean => {
    const { client, body, reader } = this.#parts;
    const part = chunk.subarray(0, this.#bodyBytes(chunk));
    reader.keep();
    const flowing = part.length === 0 || client.write(part);
    this.#progress();
    if (body.done) this.#finish();
    return flowing;
  };

  #bodyBytes(chunk: Buffer): number {
    try {
      return this.#parts.body.push(chunk);
    } catch (error) {
      if (!(error instanceof HeadError)) throw error;
      // The end of the body cannot be found any more. The client sees that it is incomplete: the last chunk is missing.
      this.#finish();
      return 0;
    }
  }

  readonly #onDrain = (): void => {
    this.#progress();
    this.#parts.upstream.resume();
  };

  #progress(): void {
    this.#disarm();
    if (!this.#finished) this.#disarm = after(this.#parts.stallMs, this.#giveUp);
  }

  readonly #giveUp = (): void => {
    this.#parts.client.destroy();
    this.#finish();
  };

  readonly #finish = (): void => {
    if (this.#finished) return;
    this.#finished = true;
    const { client, upstream, reader } = this.#parts;
    this.#disarm();
    reader.sink = dropChunks;
    client.off('drain', this.#onDrain);
    client.off('end', this.#giveUp);
    client.off('close', this.#giveUp);
    upstream.off('error', this.#finish);
    upstream.off('end', this.#finish);
    upstream.off('close', this.#finish);
    discardSocket(upstream);
    endClient(client, this.#parts.stallMs);
  };
}

/** Status, reason and end-to-end fields are the upstream's, and so is the framing: its body passes as it is (RFC 9112 9.6). */
function formatRefusal(head: ResponseHead): string {
  const fields = formatFields([...endToEnd(head.rawHeaders), 'Connection', 'close']);
  return `HTTP/1.1 ${head.status} ${head.reason}\r\n${fields}\r\n`;
}

/**
 * Ends a client after what is queued for it, reading and dropping what it still sends. Destroyed after its own end, or
 * when the queue takes longer than `stallMs`, or `lingerMs` after it was flushed.
 */
export function endClient(client: Socket, stallMs: number, lingerMs = LINGER_MS): void {
  if (client.destroyed) return;
  let disarm = after(stallMs, clientDestroy);
  function clientDestroy(): void {
    client.destroy();
  }
  client.once('finish', function clientOnFinish() {
    disarm();
    disarm = after(lingerMs, clientDestroy);
  });
  client.once('close', function clientOnClose() {
    disarm();
  });
  client.resume();
  client.end();
}
