/** Ends that the proxy brings about: dead peers, limits, its own stop. */
import assert from 'node:assert/strict';
import type { Side } from '../../src/core/events.ts';
import { type Rig, TRANSPORTS } from './close-rig.ts';
import { answersClose, close, down, type Gets, NOTHING, type Row, sees, up } from './close-row.ts';
import { FrameParser, type FrameParts, OPCODE } from './frames.ts';

const KiB = 1024;
/** More than all buffers on the way take. */
const BIG = { opcode: OPCODE.binary, payload: Buffer.alloc(32 * KiB * KiB, 'x') };
/** The first half of a frame. */
const HALF = { opcode: OPCODE.binary, payload: 'half', claimed: 8 };

const INTERVAL = 1000;
const TIMEOUT = 2000;
const CLIENT_PINGS = { KEEPALIVE_PING_INTERVAL: '1s', KEEPALIVE_PONG_TIMEOUT: '2s' };
const UPSTREAM_PINGS = { KEEPALIVE_UPSTREAM_PING_INTERVAL: '1s', KEEPALIVE_UPSTREAM_PONG_TIMEOUT: '2s' };
/** A Ping comes by up to a tenth of the interval early. */
const DEAD_AFTER = INTERVAL * 0.9 + TIMEOUT;

/** Answers the first Ping and none after it, so that its silence counts. */
async function answersOnce(rig: Rig, side: Side): Promise<void> {
  const peer = rig[side];
  await rig.passTimeUntil(peer.until(() => peer.frames.length > 0, 'a Ping'));
  peer.sendFrame({ opcode: OPCODE.pong, payload: peer.frames[0]?.payload ?? NOTHING });
  await rig.turn();
}

function deadPeers(): Row[] {
  return [
    {
      name: 'client answers nothing',
      settings: CLIENT_PINGS,
      answering: { client: false },
      act: (rig) => answersOnce(rig, 'client'),
      client: { bytes: NOTHING, end: 'reset' },
      upstream: { bytes: NOTHING, end: 'fin' },
      after: DEAD_AFTER,
      report: { initiator: 'client', side: 'client', cause: 'pong_timeout', code: null, reset: false },
    },
    ...TRANSPORTS.map(
      (transport): Row => ({
        name: `upstream answers nothing, ${transport}`,
        transport,
        settings: UPSTREAM_PINGS,
        answering: { upstream: false },
        act: (rig) => answersOnce(rig, 'upstream'),
        client: { bytes: NOTHING, end: 'fin' },
        upstream: { bytes: NOTHING, end: transport === 'tcp' ? 'reset' : 'fin' },
        after: DEAD_AFTER,
        report: { initiator: 'upstream', side: 'upstream', cause: 'pong_timeout', code: null, reset: false },
      }),
    ),
    {
      name: 'upstream answers nothing and stopped inside a frame',
      settings: UPSTREAM_PINGS,
      answering: { upstream: false },
      act: async (rig) => {
        await answersOnce(rig, 'upstream');
        rig.upstream.sendFrame(HALF);
        await sees(rig.client, down(HALF));
      },
      client: { bytes: down(HALF), end: 'fin' },
      upstream: { bytes: NOTHING, end: 'reset' },
      after: DEAD_AFTER,
      report: { initiator: 'upstream', cause: 'pong_timeout' },
    },
  ];
}

/** A peer that takes no data; it looks again once the other one has heard of its end. */
function stalls(): Row[] {
  const settings = { TIMEOUTS_STALL: '5s' };
  const isPartOf =
    (whole: Buffer) =>
    (bytes: Buffer): void => {
      assert.ok(
        bytes.length < whole.length && bytes.equals(whole.subarray(0, bytes.length)),
        'a part of what was sent',
      );
    };
  return [
    {
      name: 'client takes no data',
      settings,
      act: ({ client, upstream }) => {
        client.stopReading();
        upstream.sendFrame(BIG);
        void upstream.untilEnded().then(() => client.resumeReading());
      },
      client: { bytes: isPartOf(down(BIG)), end: 'reset' },
      upstream: { bytes: NOTHING, end: 'fin' },
      after: 5000,
      report: { initiator: 'client', side: 'client', cause: 'stall', code: null },
    },
    {
      name: 'upstream takes no data',
      settings,
      act: ({ client, upstream }) => {
        upstream.stopReading();
        client.sendFrame(BIG);
        void client.untilEnded().then(() => upstream.resumeReading());
      },
      client: { bytes: NOTHING, end: 'fin' },
      upstream: { bytes: isPartOf(up(BIG)), end: 'reset' },
      after: 5000,
      report: { initiator: 'upstream', side: 'upstream', cause: 'stall', code: null },
    },
  ];
}

interface Limit {
  readonly cause: 'frame_limit' | 'rate_limit' | 'bad_length';
  readonly settings: Readonly<Record<string, string>>;
  readonly code: number;
  readonly reason: string;
  /** What passes the limit, and how much of it may pass on. */
  readonly sends: (frame: typeof up) => { readonly all: Buffer; readonly passes: Buffer };
}

const LIMITS: readonly Limit[] = [
  {
    cause: 'frame_limit',
    settings: { LIMITS_FRAME: '1KiB' },
    code: 1009,
    reason: 'frame longer than the limit',
    sends: (frame) => ({
      all: Buffer.concat([frame({ opcode: 1, payload: 'fits' }), frame({ opcode: 2, payload: Buffer.alloc(1025) })]),
      passes: frame({ opcode: 1, payload: 'fits' }),
    }),
  },
  {
    cause: 'rate_limit',
    settings: { LIMITS_CONTROL_FRAMES_PER_SECOND: '1' },
    code: 1008,
    reason: 'too many control frames',
    sends: (frame) => {
      const pongs = Array.from({ length: 11 }, () => frame({ opcode: OPCODE.pong, payload: 'unasked' }));
      return { all: Buffer.concat(pongs), passes: Buffer.concat(pongs) };
    },
  },
  {
    cause: 'bad_length',
    settings: {},
    code: 1002,
    reason: 'frame length with the top bit set',
    sends: (frame) => ({ all: frame({ opcode: 2, payload: 'x', claimed: 2n ** 63n }), passes: NOTHING }),
  },
];

function limits(): Row[] {
  return LIMITS.flatMap((limit) => [
    clientPasses(limit),
    ...TRANSPORTS.map((transport) => upstreamPasses(limit, transport)),
    clientPassesWhileInside(limit),
  ]);
}

function clientPasses({ cause, settings, code, reason, sends }: Limit): Row {
  const { all, passes } = sends(up);
  return {
    name: `client passes a limit: ${cause}`,
    settings,
    act: async ({ client }) => {
      client.send(all);
      await sees(client, down(close(code, reason)));
      client.end();
    },
    client: { bytes: down(close(code, reason)), end: 'fin' },
    upstream: { bytes: passes, end: 'fin' },
    report: { initiator: 'client', side: 'client', cause, code, reason, reset: false },
  };
}

function upstreamPasses({ cause, settings, sends }: Limit, transport: Rig['transport']): Row {
  const { all, passes } = sends(down);
  return {
    name: `upstream passes a limit: ${cause}, ${transport}`,
    transport,
    settings,
    act: ({ upstream }) => {
      upstream.send(all);
    },
    client: { bytes: passes, end: 'fin' },
    upstream: { bytes: NOTHING, end: transport === 'tcp' ? 'reset' : 'fin' },
    report: { initiator: 'upstream', side: 'upstream', cause, code: null, reason: '', reset: false },
  };
}

/** No Close fits into a frame of the upstream that is not complete. */
function clientPassesWhileInside({ cause, settings, sends }: Limit): Row {
  const { all, passes } = sends(up);
  return {
    name: `client passes a limit while the upstream is inside a frame: ${cause}`,
    settings,
    act: async ({ client, upstream }) => {
      upstream.sendFrame(HALF);
      await sees(client, down(HALF));
      client.send(all);
    },
    client: { bytes: down(HALF), end: 'fin' },
    upstream: { bytes: passes, end: 'fin' },
    report: { initiator: 'client', cause },
  };
}

/** A message in two fragments. */
const FRAGMENTS: readonly FrameParts[] = [
  { opcode: OPCODE.text, payload: 'half', fin: false },
  { opcode: OPCODE.continuation, payload: 'half' },
];
const CODED = { DRAIN_CODE: '1012' };
/** Shortly before `timeouts.drain` is over. */
const DRAINED = 7500;
const STOP = close(1012, 'proxy is stopping');
const STOPPED = { initiator: 'proxy', cause: 'drain', code: 1012, reason: 'proxy is stopping' } as const;

/** Towards the upstream it is masked with a key of the moment. */
const isStopBehind =
  (before: Buffer) =>
  (bytes: Buffer): void => {
    assert.deepEqual(bytes.subarray(0, before.length), before);
    const [frame, more] = new FrameParser().push(bytes.subarray(before.length));
    assert.deepEqual([frame?.opcode, frame?.masked, frame?.payload], [OPCODE.close, true, STOP.payload]);
    assert.equal(more, undefined);
  };

function drains(): Row[] {
  const getsStop = (end: Gets['end']): Gets => ({ bytes: isStopBehind(NOTHING), end });
  const stop = ({ app }: Rig): void => void app.close();
  return [
    {
      name: 'proxy stops',
      act: stop,
      client: { bytes: NOTHING, end: 'fin' },
      upstream: { bytes: NOTHING, end: 'fin' },
      report: { initiator: 'proxy', cause: 'drain', code: null, reason: '' },
    },
    {
      name: 'proxy stops with a code',
      settings: CODED,
      act: async (rig) => {
        stop(rig);
        await Promise.all([answersClose(rig.client), answersClose(rig.upstream)]);
      },
      client: { bytes: down(STOP), end: 'fin' },
      upstream: getsStop('fin'),
      report: STOPPED,
    },
    {
      name: 'proxy stops with a code, and nobody answers',
      settings: CODED,
      act: stop,
      client: { bytes: down(STOP), end: 'fin' },
      upstream: getsStop('fin'),
      after: 3000,
      report: STOPPED,
    },
    ...(['client', 'upstream'] as const).flatMap((side) =>
      (['frame', 'message'] as const).flatMap((place) => [
        stopInside(side, place, true),
        stopInside(side, place, false),
      ]),
    ),
  ];
}

/** Inside a message the Close waits for its end, as long as the drain lasts. */
function stopInside(side: Side, place: 'frame' | 'message', isCompleted: boolean): Row {
  const frame = side === 'client' ? up : down;
  const parts = { frame: [{ opcode: OPCODE.binary, payload: 'halfhalf' }], message: FRAGMENTS }[place].map(frame);
  const whole = Buffer.concat(parts);
  const half = place === 'frame' ? whole.subarray(0, -4) : (parts[0] ?? NOTHING);
  const passed = isCompleted ? whole : half;
  return {
    name: `proxy stops while the ${side} is inside a ${place}, which ${isCompleted ? 'is completed' : 'never ends'}`,
    settings: CODED,
    act: async ({ client, upstream, app }) => {
      const [from, to] = side === 'client' ? [client, upstream] : [upstream, client];
      from.send(half);
      await sees(to, half);
      void app.close();
      await from.until(() => from.frames.length > 0, 'the Close');
      if (!isCompleted) return;
      from.send(whole.subarray(half.length));
      await Promise.all([answersClose(to), answersClose(from)]);
    },
    client: {
      bytes: side === 'client' ? down(STOP) : Buffer.concat([passed, isCompleted ? down(STOP) : NOTHING]),
      end: 'fin',
    },
    upstream: {
      bytes: side === 'client' && !isCompleted ? half : isStopBehind(side === 'client' ? passed : NOTHING),
      end: 'fin',
    },
    ...(isCompleted ? {} : { after: DRAINED }),
    report: STOPPED,
  };
}

export const PROXY_ROWS: readonly Row[] = [...deadPeers(), ...stalls(), ...limits(), ...drains()];
