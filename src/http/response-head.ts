/**
 * Reads the head of an HTTP/1.x response, strictly. What a lenient parser would repair is an error here, because two
 * programs that repair it differently disagree about where the message ends.
 *
 *     HeadError
 *       ERR_HEAD_TOO_LARGE  no end of the head within the limit
 *       ERR_HEAD_LINE       a line not ended by CRLF, or a control character in it
 *       ERR_HEAD_STATUS     the first line is no HTTP/1.x status line
 *       ERR_HEAD_FIELD      a field without a proper name, or a folded one
 *       ERR_BODY_FRAMING    the fields contradict each other about the length of the body
 *       ERR_BODY_CHUNK      a broken chunk in the body
 */

export type HeadErrorCode =
  | 'ERR_HEAD_TOO_LARGE'
  | 'ERR_HEAD_LINE'
  | 'ERR_HEAD_STATUS'
  | 'ERR_HEAD_FIELD'
  | 'ERR_BODY_FRAMING'
  | 'ERR_BODY_CHUNK';

/** What the peer sent is no proper HTTP. The message quotes nothing of it. */
export class HeadError extends Error {
  readonly code: HeadErrorCode;

  constructor(code: HeadErrorCode, message: string) {
    super(message);
    this.name = 'HeadError';
    this.code = code;
  }
}

export interface ResponseHead {
  readonly version: '1.0' | '1.1';
  readonly status: number;
  /** Reason phrase, Latin-1; may be empty. */
  readonly reason: string;
  /** Flat list of names and values, Latin-1; casing, order and repetitions kept. */
  readonly rawHeaders: readonly string[];
  /** Bytes of the head, its empty line included. */
  readonly length: number;
}

interface Line {
  readonly text: string;
  /** Where the next line starts. */
  readonly next: number;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DEL = 0x7f;

const STATUS_LINE = /^HTTP\/(1\.[01]) ([1-5][0-9]{2})(?: (.*))?$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Reads one head from the start of `bytes`, which hold everything received so far. Once an answer other than `incomplete`
 * was given, more bytes do not change it. Interim (1xx) heads are returned like others: the caller goes on behind them.
 *
 * @param limit most bytes that the head may take
 * @throws HeadError when these bytes can never become a head. RFC 9112 4 and 5.
 */
export function parseResponseHead(bytes: Uint8Array, limit: number): ResponseHead | 'incomplete' {
  let line = readLine(bytes, 0, limit);
  if (line === null) return 'incomplete';
  const start = parseStatusLine(line.text);
  const rawHeaders: string[] = [];
  for (;;) {
    line = readLine(bytes, line.next, limit);
    if (line === null) return 'incomplete';
    if (line.text === '') return { ...start, rawHeaders, length: line.next };
    rawHeaders.push(...parseField(line.text));
  }
}

/** The line that starts at `from`, without its CRLF; null when its end has not arrived. */
function readLine(bytes: Uint8Array, from: number, limit: number): Line | null {
  const end = bytes.indexOf(LF, from);
  if (end === -1 || end >= limit) {
    if (bytes.length >= limit) throw new HeadError('ERR_HEAD_TOO_LARGE', `its head is larger than ${limit} bytes`);
    return null;
  }
  if (end === from || bytes[end - 1] !== CR) {
    throw new HeadError('ERR_HEAD_LINE', 'a line of its head does not end in CRLF');
  }
  return { text: decode(bytes.subarray(from, end - 1)), next: end + 1 };
}

/** Latin-1, without the control characters that RFC 9110 5.5 calls dangerous. */
function decode(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    if ((byte < SPACE && byte !== TAB) || byte === DEL) {
      throw new HeadError('ERR_HEAD_LINE', 'its head contains a control character');
    }
    text += String.fromCharCode(byte);
  }
  return text;
}

function parseStatusLine(line: string): Pick<ResponseHead, 'version' | 'status' | 'reason'> {
  const match = STATUS_LINE.exec(line);
  if (match === null) throw new HeadError('ERR_HEAD_STATUS', 'it does not start with an HTTP/1.1 status line');
  return { version: match[1] === '1.0' ? '1.0' : '1.1', status: Number(match[2]), reason: match[3] ?? '' };
}

function parseField(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0));
  // No space may stand before the colon (RFC 9112 5.1); a folded line starts with one and fails here too (5.2).
  if (!FIELD_NAME.test(name)) throw new HeadError('ERR_HEAD_FIELD', 'a header field of its head has no proper name');
  return [name, trimBlanks(line.slice(colon + 1))];
}

/** Without the spaces and tabs around it. `trim()` would take U+00A0, a letter of the value, as well. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text, start)) start += 1;
  while (end > start && isBlank(text, end - 1)) end -= 1;
  return text.slice(start, end);
}

function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === SPACE || code === TAB;
}
