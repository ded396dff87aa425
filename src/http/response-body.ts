/**
 * Finds where the body of a response ends, without changing or keeping it: RFC 9112 6.3 for an answer to GET.
 * A response that is passed on to somebody must be seen to end even when the server keeps its connection open.
 */

import { type RawHeaders, tokensOf, valuesOf } from './headers.ts';
import { HeadError, type ResponseHead } from './response-head.ts';

export interface BodyWalk {
  /** True once the last byte of the body has passed. Never for a body that the end of the connection ends. */
  readonly done: boolean;
  /**
   * How many of these bytes belong to the body: all, or fewer when it ends among them.
   *
   * @throws HeadError ERR_BODY_CHUNK
   */
  push(chunk: Uint8Array): number;
}

/**
 * The walk that fits the head.
 *
 * @throws HeadError ERR_BODY_FRAMING when its fields contradict each other
 */
export function bodyWalkOf(head: ResponseHead): BodyWalk {
  // RFC 9112 6.3: these statuses have no body, whatever the fields say.
  if (head.status < 200 || head.status === 204 || head.status === 304) return new CountedWalk(0);
  const lengths = valuesOf(head.rawHeaders, 'content-length');
  const codings = tokensOf(head.rawHeaders, 'transfer-encoding');
  if (codings.length > 0) {
    // RFC 9112 6.1, 6.3: both at once, or chunks over HTTP/1.0, are how responses are smuggled.
    if (lengths.length > 0 || head.version === '1.0' || codings.indexOf('chunked') !== codings.lastIndexOf('chunked')) {
      throw new HeadError('ERR_BODY_FRAMING', 'its Transfer-Encoding contradicts the rest of its head');
    }
    return codings.at(-1) === 'chunked' ? new ChunkedWalk() : new EndlessWalk();
  }
  const [length, ...others] = lengths;
  if (length === undefined) return new EndlessWalk();
  if (others.length > 0 || !/^[0-9]{1,15}$/.test(length)) {
    throw new HeadError('ERR_BODY_FRAMING', 'its Content-Length is not one number');
  }
  return new CountedWalk(Number(length));
}

/** Of a request whose head Node has taken: RFC 9112 6.3, where it is chunked or has a length or has no body. */
export function requestBodyWalk(rawHeaders: RawHeaders): BodyWalk {
  if (valuesOf(rawHeaders, 'transfer-encoding').length > 0) return new ChunkedWalk();
  const [length] = valuesOf(rawHeaders, 'content-length');
  return length === undefined ? NO_BODY : new CountedWalk(Number(length));
}

/** Ended by the end of the connection. */
class EndlessWalk implements BodyWalk {
  readonly done = false;

  push(chunk: Uint8Array): number {
    return chunk.length;
  }
}

/** Ended by Content-Length, or empty. */
class CountedWalk implements BodyWalk {
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  push(chunk: Uint8Array): number {
    const taken = Math.min(this.#left, chunk.length);
    this.#left -= taken;
    return taken;
  }
}

const NO_BODY: BodyWalk = new CountedWalk(0);

/**
 * size     the line with the length of the next chunk
 * data     inside a chunk
 * gap      the empty line behind a chunk
 * trailer  lines behind the last chunk, until an empty one
 */
type ChunkState = 'size' | 'data' | 'gap' | 'trailer' | 'done';

const LF = 0x0a;
const MAX_LINE = 16 * 1024;
const MAX_TRAILERS = 100;

/** Ended by the chunk of length zero and its trailers, RFC 9112 7.1. */
class ChunkedWalk implements BodyWalk {
  #state: ChunkState = 'size';
  /** Bytes of the present chunk that are still to come. */
  #left = 0;
  #line = '';
  #trailers = 0;

  get done(): boolean {
    return this.#state === 'done';
  }

  push(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && this.#state !== 'done') {
      at += this.#state === 'data' ? this.#takeData(chunk.length - at) : this.#takeLine(chunk.subarray(at));
    }
    return at;
  }

  #takeData(available: number): number {
    const taken = Math.min(this.#left, available);
    this.#left -= taken;
    if (this.#left === 0) this.#state = 'gap';
    return taken;
  }

  /** Takes bytes up to the end of the present line. */
  #takeLine(bytes: Uint8Array): number {
    const end = bytes.indexOf(LF);
    const part = end === -1 ? bytes : bytes.subarray(0, end);
    if (this.#line.length + part.length > MAX_LINE) throw brokenChunk();
    for (const byte of part) this.#line += String.fromCharCode(byte);
    if (end === -1) return bytes.length;
    const line = this.#line;
    this.#line = '';
    if (line.indexOf('\r') !== line.length - 1) throw brokenChunk();
    this.#endLine(line.slice(0, -1));
    return end + 1;
  }

  #endLine(line: string): void {
    if (this.#state === 'size') {
      this.#left = chunkSize(line);
      this.#state = this.#left === 0 ? 'trailer' : 'data';
    } else if (this.#state === 'gap') {
      if (line !== '') throw brokenChunk();
      this.#state = 'size';
    } else if (line === '') {
      this.#state = 'done';
    } else {
      this.#trailers += 1;
      if (this.#trailers > MAX_TRAILERS) throw brokenChunk();
    }
  }
}

/** At most 12 hexadecimal digits: 2^48 is exact in a number, and far from any real chunk. */
function chunkSize(line: string): number {
  if (!/^[0-9a-fA-F]{1,12}[ \t]*(?:;|$)/.test(line)) throw brokenChunk();
  return Number.parseInt(line, 16);
}

function brokenChunk(): HeadError {
  return new HeadError('ERR_BODY_CHUNK', 'a chunk of its body is broken');
}
