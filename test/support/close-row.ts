/** A row of the table of closes: what happens, and what each side and the report get of it. */
import assert from 'node:assert/strict';
import type { CloseFacts } from '../../src/core/events.ts';
import type { Cleanup } from './cleanup.ts';
import { MASK, received, type Rig, type RigOptions, startRig } from './close-rig.ts';
import { buildFrame, closePayload, type FrameParts, OPCODE } from './frames.ts';
import type { RawPeer } from './raw-websocket.ts';

export interface Gets {
  /** Everything relayed and sent by the proxy, or what has to be true of it. */
  readonly bytes: Buffer | ((bytes: Buffer) => void);
  /** `own`: this side ended by itself, without looking. */
  readonly end: 'fin' | 'reset' | 'own';
}

export interface Row extends RigOptions {
  readonly name: string;
  readonly act: (rig: Rig) => unknown;
  readonly client: Gets;
  readonly upstream: Gets;
  /** Milliseconds after which the ends come; absent: no time passes at all. */
  readonly after?: number;
  readonly report: Partial<CloseFacts>;
}

/** What is under way when a deadline has come, as far as the clock goes meanwhile, in ms. */
const SLACK = 2000;

export const NOTHING = Buffer.alloc(0);
/** As the proxy and the upstream send to the client. */
export const down = (parts: FrameParts): Buffer => buildFrame(parts);
/** As the client sends. */
export const up = (parts: FrameParts): Buffer => buildFrame({ mask: MASK, ...parts });
export const close = (code: number | null, reason = ''): FrameParts => ({
  opcode: OPCODE.close,
  payload: code === null ? NOTHING : closePayload(code, reason),
});

/** Waits until these bytes are there. */
export function sees(peer: RawPeer, bytes: Buffer): Promise<unknown> {
  return peer.until(
    () => received(peer).includes(bytes),
    `${bytes.length} bytes: ${bytes.subarray(0, 40).toString('hex')}`,
  );
}

/** Answers the Close that comes with the same one. */
export async function answersClose(peer: RawPeer): Promise<void> {
  const frame = await peer.until(() => peer.frames.find(({ opcode }) => opcode === OPCODE.close), 'a Close');
  peer.sendFrame({ opcode: OPCODE.close, payload: frame.payload });
}

export async function checkRow(t: Cleanup, row: Row): Promise<void> {
  const rig = await startRig(t, row);
  await row.act(rig);
  const ends = Promise.all([untilEnded(rig.client, row.client), untilEnded(rig.upstream, row.upstream)]);
  const passed = row.after === undefined ? 0 : await rig.passTimeUntil(ends);
  await ends;
  await checkSide('client', rig.client, row.client);
  await checkSide('upstream', rig.upstream, row.upstream);
  const { after = 0 } = row;
  assert.ok(passed >= after && passed <= after + SLACK, `the ends came after ${passed} ms, not ${after}`);
  rig.client.end();
  rig.upstream.end();
  const report = await rig.report();
  const keys = Object.keys(row.report) as (keyof CloseFacts)[];
  assert.deepEqual(Object.fromEntries(keys.map((key) => [key, report[key]])), row.report);
}

function untilEnded(peer: RawPeer, { end }: Gets): Promise<unknown> {
  return end === 'own' ? Promise.resolve() : peer.untilEnded();
}

async function checkSide(side: string, peer: RawPeer, { bytes, end }: Gets): Promise<void> {
  const seen = received(peer);
  if (typeof bytes === 'function') bytes(seen);
  else if (bytes.length < 1000) assert.equal(seen.toString('hex'), bytes.toString('hex'), `what the ${side} got`);
  else assert.ok(seen.equals(bytes), `the ${side} got ${seen.length} bytes instead of ${bytes.length}`);
  const ended = end === 'reset' ? await howEnded(peer) : peer.ended;
  if (end !== 'own') assert.equal(ended, end, `how TCP ended for the ${side}`);
}

/** To a reader that was late libuv reports a reset as an end. The kernel knows: it takes no more bytes. */
async function howEnded(peer: RawPeer): Promise<RawPeer['ended']> {
  if (peer.ended !== 'fin' || !peer.socket.writable) return peer.ended;
  const isTaken = await new Promise((resolve) => {
    peer.socket.write(Buffer.of(0), (error) => resolve(!error));
  });
  return isTaken ? 'fin' : 'reset';
}
