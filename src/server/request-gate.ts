/**
 * One request at a time on a connection. Node's parser takes all that a read has brought at once, up to 64 KiB: 2,400 requests, each with
 * an upstream connection of its own. So what comes is handed to it in slices that end where a head or a body ends, and what is behind a
 * request waits until that one was answered (RFC 9112 9.3.2). It also keeps what is behind an `Upgrade` or a `Connection: close` from being
 * read as part of it, and has a valid request answered before the garbage behind it is refused.
 *
 * The slices go to the listener that Node has put on the socket for `data`, which nothing documents. Without one (a Node that reads otherwise)
 * requests are served as they come, with none of these promises.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type BodyWalk, requestBodyWalk } from '../http/response-body.ts';
import { shareReads } from './shared-reads.ts';

/** What waits behind a request, in bytes, until the socket is not read any more. Below that, reading shows when the client leaves. */
const HELD_LIMIT = 128 * 1024;
const CR = 0x0d;
const LF = 0x0a;

/** On the socket, where every request finds it. A WeakMap costs the collector more. */
const kGate = Symbol('gate');
type GatedSocket = Duplex & { [kGate]?: RequestGate | undefined };

/** To be called when the server has seen the socket: for `connection`, after Node's own listener. @param onBroken for chunks that are none */
export function guard(socket: Duplex, onBroken: (error: Error) => void): void {
  const [feed] = socket.listeners('data') as ((chunk: Buffer) => void)[];
  if (feed !== undefined) (socket as GatedSocket)[kGate] = new RequestGate(socket, feed, onBroken);
}

/** To be called with every request, as soon as Node tells of it. */
export function noteRequest(req: IncomingMessage, res: ServerResponse): void {
  const gate = (req.socket as GatedSocket)[kGate];
  if (gate === undefined) return;
  gate.begin(req, res);
  res.on('close', () => gate.answered());
}

/** Whether the head of an answer has gone out to the request that is under way, so that no other answer may follow. */
export function isBeingAnswered(socket: Duplex): boolean {
  return (socket as GatedSocket)[kGate]?.response?.headersSent === true;
}

/** Whether a request has begun whose body has not come to its end, or which is not answered. */
export function isInRequest(socket: Duplex): boolean {
  return (socket as GatedSocket)[kGate]?.isInRequest === true;
}

/** Takes the gate away, for a socket that carries requests no longer. @returns what has arrived behind the last of them */
export function unguard(socket: Duplex, head: Buffer): Buffer {
  const gate = (socket as GatedSocket)[kGate];
  (socket as GatedSocket)[kGate] = undefined;
  return gate === undefined ? head : Buffer.concat([head, ...gate.detach()]);
}

class RequestGate {
  /** To the request that is under way; null once it is over. */
  response: ServerResponse | null = null;
  readonly #socket: Duplex;
  readonly #feed: (chunk: Buffer) => void;
  readonly #onBroken: (error: Error) => void;
  readonly #unshareReads: (() => void) | null;
  /** Of the request that is on its way; null between requests and inside a head. */
  #body: BodyWalk | null = null;
  #isFeeding = false;
  /** Where in a head we are: the bytes of CRLFCRLF that were just seen; -1 before its first byte. */
  #seen = -1;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(socket: Duplex, feed: (chunk: Buffer) => void, onBroken: (error: Error) => void) {
    this.#socket = socket;
    this.#feed = feed;
    this.#onBroken = onBroken;
    socket.off('data', feed);
    // Node's parser lets go of the socket when somebody listens to it.
    socket.on('data', this.#onData);
    this.#unshareReads = shareReads(socket, this.#onRead);
  }

  get isInRequest(): boolean {
    return this.#body !== null;
  }

  /** A head is complete. Called while it is being fed. */
  begin(req: IncomingMessage, response: ServerResponse): void {
    this.#body = requestBodyWalk(req.rawHeaders);
    this.response = response;
  }

  answered(): void {
    this.response = null;
    if (this.#held.length > 0) this.#pump();
    // A body that waits for its reader is not ours to hurry.
    if (this.#heldBytes < HELD_LIMIT && this.#body?.done !== false && this.#socket.isPaused()) this.#socket.resume();
  }

  detach(): Buffer[] {
    this.#socket.off('data', this.#onData);
    this.#unshareReads?.();
    const held = this.#held;
    this.#drop();
    return held;
  }

  /** What has to wait is copied: the next read goes into the same buffer. */
  readonly #onRead = (chunk: Buffer): void => {
    this.#onData(chunk);
    const rest = this.#held.pop();
    if (rest !== undefined) this.#held.push(Buffer.from(rest));
  };

  readonly #onData = (chunk: Buffer): void => {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (!this.#isFeeding) this.#pump();
    if (this.#heldBytes >= HELD_LIMIT) this.#socket.pause();
  };

  #pump(): void {
    this.#isFeeding = true;
    while (this.#held.length > 0 && this.#mayFeed()) {
      const [chunk] = this.#held as [Buffer];
      const end = this.#sliceOf(chunk);
      if (end === null) break;
      if (end === chunk.length) this.#held.shift();
      else this.#held[0] = chunk.subarray(end);
      this.#heldBytes -= end;
      // Without a copy where it is whole, as most are. An Upgrade calls `detach` from within.
      this.#feed.call(this.#socket, end === chunk.length ? chunk : chunk.subarray(0, end));
    }
    this.#isFeeding = false;
  }

  /** A request that was answered with `Connection: close`, or refused, is the last one: what follows is dropped. */
  #mayFeed(): boolean {
    if (this.#socket.writableEnded || this.#socket.destroyed) {
      this.#drop();
      return false;
    }
    if (this.#body?.done !== true) return true;
    if (this.response !== null) return false;
    this.#body = null;
    this.#seen = -1;
    return true;
  }

  #drop(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }

  /** How many bytes of the chunk belong to the present head or body; null when the body is broken. */
  #sliceOf(chunk: Buffer): number | null {
    if (this.#body === null) return this.#headBytes(chunk);
    try {
      return this.#body.push(chunk);
    } catch (error) {
      this.#drop();
      this.#onBroken(error as Error);
      return null;
    }
  }

  /** Up to and including the next empty line. Empty lines before a request are no part of it (RFC 9112 2.2). */
  #headBytes(chunk: Buffer): number {
    let at = 0;
    while (this.#seen === -1 && at < chunk.length) {
      if (chunk[at] === CR || chunk[at] === LF) at++;
      else this.#seen = 0;
    }
    for (; at < chunk.length && this.#seen < 4; at++) {
      // From one line end to the next, as long as none has begun.
      if (this.#seen === 0) {
        const next = chunk.indexOf(CR, at);
        if (next === -1) return chunk.length;
        at = next;
      }
      const byte = chunk[at];
      if (byte === (this.#seen % 2 === 0 ? CR : LF)) this.#seen++;
      else this.#seen = byte === CR ? 1 : 0;
    }
    if (this.#seen === 4) this.#seen = 0;
    return at;
  }
}
