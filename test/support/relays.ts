/** Relays that change something on the way, each in its own manner: a suite that compares has to tell them apart. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { atEnd, type Cleanup } from './cleanup.ts';
import { buildFrame, closePayload, FrameParser, OPCODE, type RawFrame } from './frames.ts';

/**
 * - `faithful`: changes nothing, and must not be told apart
 * - `reframes`: joins the fragments of a message, as a relay does that reads messages and sends them again
 * - `loses-fin`: never tells the client of the server's TCP end
 * - `resets`: tells the client of it by a reset
 * - `flips-bit`: changes one bit in the payload of binary messages from the server
 * - `judges-early`: answers reserved bits and opcodes by itself, before the server does
 * - `drops-pongs`: keeps Pongs that nobody asked for
 */
export const RELAYS = [
  'faithful',
  'reframes',
  'loses-fin',
  'resets',
  'flips-bit',
  'judges-early',
  'drops-pongs',
] as const;
export type RelayKind = (typeof RELAYS)[number];

type Side = 'client' | 'server';
/** What goes on of a chunk. `answer` sends to where the chunk came from, and ends both sides. */
type Transform = (chunk: Buffer, answer: (bytes: Buffer) => void) => Buffer;

const pass: Transform = (chunk) => chunk;

/** @returns the port where it listens */
export async function startRelay(cleanup: Cleanup, port: number, kind: RelayKind): Promise<number> {
  const sockets = new Set<Socket>();
  const relay = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    sockets.add(client).add(server);
    copy(client, server, transformFor(kind, 'client'));
    copy(server, client, transformFor(kind, 'server'), endFor(kind));
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  atEnd(cleanup, () => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  return (relay.address() as AddressInfo).port;
}

function copy(from: Socket, to: Socket, transform: Transform, end: End = endOrderly): void {
  const body = behindHead(transform);
  const answer = (bytes: Buffer): void => {
    from.end(bytes);
    to.end();
  };
  from.on('data', (chunk: Buffer) => {
    const bytes = body(chunk, answer);
    if (bytes.length > 0 && to.writable) to.write(bytes);
  });
  from.on('end', () => end(to, from));
  from.on('error', () => to.destroy());
}

/** What becomes of the end of `from`. */
type End = (to: Socket, from: Socket) => void;

function endOrderly(to: Socket): void {
  to.end();
}

function endFor(kind: RelayKind): End {
  if (kind === 'loses-fin') return () => undefined;
  if (kind === 'resets') return endByReset;
  return endOrderly;
}

function endByReset(to: Socket, from: Socket): void {
  from.end();
  // Behind what was written before.
  to.write('', () => to.resetAndDestroy());
}

/** Both halves of the handshake pass as they are. */
function behindHead(transform: Transform): Transform {
  let head: Buffer | null = Buffer.alloc(0);
  return (chunk, answer) => {
    if (head === null) return transform(chunk, answer);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return Buffer.alloc(0);
    const [start, rest] = [head.subarray(0, end + 4), head.subarray(end + 4)];
    head = null;
    return rest.length > 0 ? Buffer.concat([start, transform(rest, answer)]) : start;
  };
}

function transformFor(kind: RelayKind, from: Side): Transform {
  switch (kind) {
    case 'reframes':
      return byFrame(joinFragments());
    case 'flips-bit':
      return from === 'server' ? byFrame(flipBit) : pass;
    case 'judges-early':
      return from === 'client' ? byFrame(judge) : pass;
    case 'drops-pongs':
      return byFrame((frame) => (frame.opcode === OPCODE.pong ? Buffer.alloc(0) : frame.raw));
    case 'faithful':
    case 'loses-fin':
    case 'resets':
      return pass;
  }
}

type PerFrame = (frame: RawFrame, answer: (bytes: Buffer) => void) => Buffer;

function byFrame(change: PerFrame): Transform {
  const parser = new FrameParser();
  return (chunk, answer) => Buffer.concat(parser.push(chunk).map((frame) => change(frame, answer)));
}

function joinFragments(): PerFrame {
  let fragments: RawFrame[] = [];
  return (frame) => {
    const isData = frame.opcode < OPCODE.close;
    if (!isData || (frame.fin && fragments.length === 0)) return frame.raw;
    fragments.push(frame);
    if (!frame.fin) return Buffer.alloc(0);
    const [first = frame] = fragments;
    const payload = Buffer.concat(fragments.map((each) => each.payload));
    fragments = [];
    const mask = first.masked ? first.raw.subarray(2, 6) : null;
    return buildFrame({ opcode: first.opcode, rsv: first.rsv, payload, mask });
  };
}

function flipBit(frame: RawFrame): Buffer {
  const bytes = Buffer.from(frame.raw);
  const at = bytes.length - 1;
  if (frame.opcode === OPCODE.binary && frame.payload.length > 0) bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
}

function judge(frame: RawFrame, answer: (bytes: Buffer) => void): Buffer {
  const isKnown = (frame.opcode & 0x7) <= 2;
  if (frame.rsv === 0 && isKnown) return frame.raw;
  answer(buildFrame({ opcode: OPCODE.close, payload: closePayload(1002) }));
  return Buffer.alloc(0);
}
