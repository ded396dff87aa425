/** Ends with megabytes still on their way to a slow reader: what was sent before an end arrives before it. */
import assert from 'node:assert/strict';
import type { Side } from '../../src/core/events.ts';
import { type Rig, type Transport, TRANSPORTS } from './close-rig.ts';
import { answersClose, close, down, NOTHING, type Row, up } from './close-row.ts';
import { OPCODE } from './frames.ts';
import type { RawPeer } from './raw-websocket.ts';

const SIZE = 8 * 1024 * 1024;
const BIG = { opcode: OPCODE.binary, payload: Buffer.alloc(SIZE, 'x') };
const CLOSE = close(3000, 'all sent');

/** A chunk each turn. */
function readsSlowly(peer: RawPeer): void {
  peer.socket.on('data', () => {
    peer.stopReading();
    setImmediate(() => peer.resumeReading());
  });
}

function peers(rig: Rig, side: Side): { from: RawPeer; to: RawPeer } {
  return side === 'client' ? { from: rig.client, to: rig.upstream } : { from: rig.upstream, to: rig.client };
}

function rowsOver(transport: Transport): Row[] {
  return [
    {
      name: `upstream closes behind megabytes, ${transport}`,
      transport,
      act: (rig) => sendsAndCloses(rig, 'upstream'),
      client: { bytes: Buffer.concat([down(BIG), down(CLOSE)]), end: 'fin' },
      upstream: { bytes: up(CLOSE), end: 'fin' },
      report: { initiator: 'upstream', cause: 'close_frame', code: 3000 },
    },
    {
      name: `client closes behind megabytes, ${transport}`,
      transport,
      act: (rig) => sendsAndCloses(rig, 'client'),
      client: { bytes: down(CLOSE), end: 'fin' },
      upstream: { bytes: Buffer.concat([up(BIG), up(CLOSE)]), end: 'fin' },
      report: { initiator: 'client', cause: 'close_frame', code: 3000 },
    },
    {
      name: `upstream ends TCP behind megabytes, ${transport}`,
      transport,
      act: (rig) => sendsAndEnds(rig, 'upstream'),
      client: { bytes: down(BIG), end: 'fin' },
      upstream: { bytes: NOTHING, end: 'fin' },
      report: { initiator: 'upstream', cause: 'abrupt_end', reset: false },
    },
    {
      name: `client ends TCP behind megabytes, ${transport}`,
      transport,
      act: async (rig) => {
        sendsAndEnds(rig, 'client');
        await rig.upstream.untilEnded();
        rig.upstream.end();
      },
      client: { bytes: NOTHING, end: 'fin' },
      upstream: { bytes: up(BIG), end: 'fin' },
      report: { initiator: 'client', cause: 'abrupt_end', reset: false },
    },
    {
      name: `client resets TCP with megabytes queued for it, ${transport}`,
      transport,
      act: async (rig) => {
        await untilQueued(rig, 'client');
        rig.client.reset();
      },
      client: { bytes: isPartOf(down(BIG)), end: 'own' },
      upstream: { bytes: NOTHING, end: 'fin' },
      report: { initiator: 'client', cause: 'abrupt_end', reset: true },
    },
    {
      name: `client ends TCP with megabytes queued for it, ${transport}`,
      transport,
      act: async (rig) => {
        await untilQueued(rig, 'client');
        rig.client.end();
        await rig.upstream.untilEnded();
        rig.upstream.end();
        rig.client.resumeReading();
      },
      client: { bytes: down(BIG), end: 'fin' },
      upstream: { bytes: NOTHING, end: 'fin' },
      report: { initiator: 'client', cause: 'abrupt_end', reset: false },
    },
    {
      name: `upstream resets TCP with megabytes queued from it, ${transport}`,
      transport,
      act: async (rig) => {
        await untilQueued(rig, 'client');
        rig.resetUpstream();
        rig.client.resumeReading();
      },
      client: { bytes: isPartOf(down(BIG)), end: 'fin' },
      upstream: { bytes: NOTHING, end: 'own' },
      report: { initiator: 'upstream', cause: 'abrupt_end' },
    },
  ];
}

async function sendsAndCloses(rig: Rig, side: Side): Promise<void> {
  const { from, to } = peers(rig, side);
  readsSlowly(to);
  from.sendFrame(BIG);
  from.sendFrame(CLOSE);
  await answersClose(to);
  await rig.client.untilEnded();
  rig.upstream.end();
}

function sendsAndEnds(rig: Rig, side: Side): void {
  const { from, to } = peers(rig, side);
  readsSlowly(to);
  from.sendFrame(BIG);
  from.end();
}

/** Much is on its way to a side that has seen the first of it and reads no more. */
async function untilQueued(rig: Rig, side: Side): Promise<void> {
  const { from, to } = peers(rig, side === 'client' ? 'upstream' : 'client');
  from.sendFrame(BIG);
  await to.until(() => to.chunks.length > 0, 'the first bytes');
  to.stopReading();
}

function isPartOf(whole: Buffer): (bytes: Buffer) => void {
  return (bytes) => {
    assert.ok(bytes.length < whole.length && bytes.equals(whole.subarray(0, bytes.length)), 'a part of what was sent');
  };
}

export const QUEUE_ROWS: readonly Row[] = TRANSPORTS.flatMap(rowsOver);
