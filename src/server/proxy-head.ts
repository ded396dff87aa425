/**
 * Reads the head that a TCP balancer writes before the bytes of a client (PROXY protocol, versions 1 and 2, haproxy.org/download/2.9/doc/proxy-protocol.txt).
 *
 * Version 1 is one line of text; version 2 is a signature, a length and addresses in binary.
 */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** These bytes can never become a PROXY head. The message says why and quotes nothing of them. */
export class ProxyHeadError extends Error {
  override readonly name = 'ProxyHeadError';
}

export interface ProxyHead {
  /** Bytes of the head. What follows is the client's. */
  readonly length: number;
  /** The client's address; null when the head tells none (`UNKNOWN`, `LOCAL`, unix): the peer speaks for itself. */
  readonly source: string | null;
}

/** Longest line of version 1, CRLF included (section 2.1). */
const V1_BYTES = 107;
const V1_START = Buffer.from('PROXY ');
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_FIXED_BYTES = 16;
/** What version 2 may carry behind its fixed part: the longest addresses, and room for extensions (section 2.2). */
const V2_MORE_BYTES = 520;
/** Family and transport of version 2, with the bytes that the addresses take. Datagrams do not arrive on a stream. */
const V2_FAMILIES: Readonly<Record<number, { readonly version: 4 | 6 | null; readonly bytes: number }>> = {
  0x00: { version: null, bytes: 0 },
  0x11: { version: 4, bytes: 12 },
  0x21: { version: 6, bytes: 36 },
  0x31: { version: null, bytes: 216 },
};
const LOCAL = 0x20;
const PROXY = 0x21;

/**
 * Reads a head from the start of `bytes`, which hold everything received so far.
 *
 * @returns null while more bytes are needed
 * @throws ProxyHeadError when these bytes can never become a head
 */
export function parseProxyHead(bytes: Buffer): ProxyHead | null {
  if (begins(bytes, V2_SIGNATURE)) return bytes.length < V2_FIXED_BYTES ? null : parseV2(bytes);
  if (begins(bytes, V1_START)) return parseV1(bytes);
  throw new ProxyHeadError('it does not begin with a PROXY head');
}

/** Whether `bytes` begin with `start`, as far as they go. */
function begins(bytes: Buffer, start: Buffer): boolean {
  const known = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, known, 0, known) === 0;
}

function parseV1(bytes: Buffer): ProxyHead | null {
  const end = bytes.subarray(0, V1_BYTES).indexOf('\r\n');
  if (end === -1) {
    if (bytes.length >= V1_BYTES) throw new ProxyHeadError(`its PROXY line is longer than ${V1_BYTES} bytes`);
    return null;
  }
  const length = end + 2;
  const [, family, source = '', destination = '', ...ports] = bytes.toString('latin1', 0, end).split(' ');
  // What follows UNKNOWN is to be ignored (section 2.1).
  if (family === 'UNKNOWN') return { length, source: null };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : null;
  const isValid = isAddress?.(source) && isAddress(destination) && ports.length === 2 && ports.every(isPort);
  if (!isValid)
    throw new ProxyHeadError('its PROXY line is not TCP4, TCP6 or UNKNOWN with two addresses and two ports');
  return { length, source };
}

/** Without a zone, which means nothing on another machine. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function parseV2(bytes: Buffer): ProxyHead | null {
  const command = bytes[12];
  const family = V2_FAMILIES[bytes[13] as number];
  const more = bytes.readUInt16BE(14);
  if (command !== LOCAL && command !== PROXY)
    throw new ProxyHeadError('its PROXY head has an unknown version or command');
  if (more > V2_MORE_BYTES)
    throw new ProxyHeadError(`its PROXY head is longer than ${V2_FIXED_BYTES + V2_MORE_BYTES} bytes`);
  // The receiver of LOCAL must use the connection's own addresses, whatever the head says (section 2.2).
  if (command === PROXY && (family === undefined || more < family.bytes)) {
    throw new ProxyHeadError('its PROXY head carries no TCP or unix addresses');
  }
  const length = V2_FIXED_BYTES + more;
  if (bytes.length < length) return null;
  const version = command === PROXY ? (family?.version ?? null) : null;
  return { length, source: version === null ? null : addressAt(bytes, version === 4 ? 4 : 16) };
}

function addressAt(bytes: Buffer, length: 4 | 16): string {
  return ipaddr.fromByteArray([...bytes.subarray(V2_FIXED_BYTES, V2_FIXED_BYTES + length)]).toString();
}
