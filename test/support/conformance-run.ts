/** Runs conformance cases with a raw client and writes down all that both ends can observe. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Cleanup } from './cleanup.ts';
import { type Case, MASK, type Step } from './conformance-case.ts';
import type { ConformanceServer, ServerView } from './conformance-server.ts';
import { FrameParser, OPCODE, type RawFrame } from './frames.ts';
import { connectRaw, type RawPeer } from './raw-websocket.ts';
import { Scope } from './scope.ts';

/** How long an end may be missing before the case counts as hanging, in ms: minutes, since a busy machine only is slow. */
const PATIENCE = 120_000;
/** Cases that run at the same time. */
const LANES = 8;

export interface Route {
  /** Where the client connects. */
  readonly port: number;
  readonly server: ConformanceServer;
  /** The proxy injects Pings: one is awaited wherever one may come. */
  readonly pings?: boolean;
  /** Instead of `PATIENCE`, in ms. */
  readonly patience?: number;
}

/** What one end saw, as text that can be compared and read. */
export interface Seen {
  readonly frames: readonly string[];
  /** Of a frame that was not complete. */
  readonly rest: string;
  readonly end: 'fin' | 'reset' | 'none';
}

export interface Observation {
  /** Lines of the answer, or why there was none. */
  readonly head: readonly string[];
  readonly client: Seen;
  readonly server: (Seen & Pick<ServerView, 'first'>) | null;
}

const NOTHING: Seen = { frames: [], rest: '', end: 'none' };

let lastId = 0;

export async function runCases(cases: readonly Case[], route: Route): Promise<Observation[]> {
  const observations: Observation[] = [];
  const waiting = cases.entries();
  const lane = async (): Promise<void> => {
    for (const [index, each] of waiting) observations[index] = await runCase(each, route);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return observations;
}

async function runCase(each: Case, route: Route): Promise<Observation> {
  const scope = new Scope();
  try {
    return await observe(scope, each, route);
  } finally {
    await scope.undo();
  }
}

async function observe(scope: Cleanup, each: Case, route: Route): Promise<Observation> {
  lastId += 1;
  const id = lastId;
  const path = `${each.path ?? '/echo'}?id=${id}`;
  let client: RawPeer | null = null;
  try {
    // A live peer answers at its next boundary, and may answer the newest Ping alone: here, those that find it at one.
    const autoPong = (): boolean => client === null || !client.midFrame;
    const options = { port: route.port, path, headers: each.headers ?? [], allowHalfOpen: true, autoPong, mask: MASK };
    client = await connectRaw(scope, options);
  } catch (error) {
    return { head: headLines(String(error)), client: NOTHING, server: null };
  }
  const patience = route.patience ?? PATIENCE;
  const end = await play(client, each.steps, route.pings ?? false, patience);
  if (client.socket.writable) client.end();
  const view = await route.server.view(id, patience).catch(() => null);
  return {
    head: headLines(client.head),
    client: { ...seenOf(client), end },
    server: view === null ? null : { ...seenBy(view.bytes), end: view.end, first: view.first },
  };
}

/** Plays the steps, answers a Close with the same one, and waits for the other side to end TCP. */
async function play(client: RawPeer, steps: readonly Step[], pings: boolean, patience: number): Promise<Seen['end']> {
  let mayBePinged = pings;
  for (const step of steps) {
    if (mayBePinged) await untilPinged(client);
    await take(client, step, patience);
    if (step.kind === 'end' || (step.kind === 'send' && step.closes)) mayBePinged = false;
  }
  const hasClosed = steps.some((step) => step.kind === 'end' || (step.kind === 'send' && step.closes));
  try {
    const closed = await client.until(() => client.ended ?? closeOf(client), 'a Close or an end', patience);
    if (typeof closed !== 'string' && !hasClosed && !client.midFrame && client.socket.writable) {
      client.sendFrame({ opcode: OPCODE.close, payload: closed.payload });
    }
    return await client.untilEnded(patience);
  } catch {
    return 'none';
  }
}

async function take(client: RawPeer, step: Step, patience: number): Promise<void> {
  if (step.kind === 'end') client.end();
  else if (step.kind === 'await') {
    const enough = (): boolean => client.frames.filter((frame) => !looksInjected(frame)).length >= step.frames;
    await client.until(() => enough() || client.ended, `${step.frames} frames`, patience).catch(() => undefined);
  } else await sendInPieces(client, step.bytes, step.chop ?? step.bytes.length);
}

async function sendInPieces(client: RawPeer, bytes: Buffer, size: number): Promise<void> {
  for (let at = 0; at < bytes.length && client.socket.writable; at += size) {
    client.send(bytes.subarray(at, at + size));
    await setImmediate();
  }
}

/** Waits for the next Ping, unless none can come any more. */
async function untilPinged(client: RawPeer): Promise<void> {
  const count = (): number => client.frames.filter(looksInjected).length;
  const before = count();
  const isOver = (): boolean => client.ended !== null || closeOf(client) !== undefined;
  await client.until(() => count() > before || isOver(), 'an injected Ping');
}

function closeOf(client: RawPeer): RawFrame | undefined {
  return client.frames.find((frame) => frame.opcode === OPCODE.close);
}

/** Injected Pings carry eight bytes; see `withoutInjected` for those of the server that do, too. */
function looksInjected(frame: RawFrame): boolean {
  return frame.opcode === OPCODE.ping && frame.payload.length === 8;
}

/** What one end saw so far. */
export function seenOf(peer: RawPeer): Seen {
  return { frames: peer.frames.map(describeFrame), rest: describeBytes(peer.rest), end: peer.ended ?? 'none' };
}

function seenBy(bytes: Buffer): Pick<Seen, 'frames' | 'rest'> {
  const parser = new FrameParser();
  const frames = parser.push(bytes).map(describeFrame);
  return { frames, rest: describeBytes(parser.rest) };
}

function describeFrame(frame: RawFrame): string {
  return describeBytes(frame.raw);
}

/** Short ones in full. */
function describeBytes(bytes: Buffer): string {
  if (bytes.length <= 64) return bytes.toString('hex');
  const digest = createHash('sha1').update(bytes).digest('hex');
  return `${bytes.subarray(0, 14).toString('hex')}… ${bytes.length} bytes, ${digest}`;
}

/** The answer to a random key, the time of day, and the order of lines carry nothing. */
function headLines(head: string): string[] {
  const lines = head.trim().split('\r\n');
  return lines.filter((line) => !/^(sec-websocket-accept|date):/i.test(line)).sort();
}
