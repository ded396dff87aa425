/** Ends that peers bring about: Close frames, TCP ends and resets, wherever they come. */
import type { Side } from '../../src/core/events.ts';
import { type Rig, type Transport, TRANSPORTS } from './close-rig.ts';
import { answersClose, close, down, NOTHING, type Row, sees, up } from './close-row.ts';
import { OPCODE } from './frames.ts';

const SIDES = ['client', 'upstream'] as const;
const CODES = [null, ...Array.from({ length: 16 }, (_, n) => 1000 + n), 3000, 4999];
const RESERVED = [1004, 1005, 1006, 1015];
/** How long the proxy waits for what a peer owes it. */
const LINGER = 3000;

const other = (side: Side): Side => (side === 'client' ? 'upstream' : 'client');
const frameOf = (side: Side): typeof up => (side === 'client' ? up : down);
const TEXT = { opcode: OPCODE.text, payload: 'before' };
const STILL = { opcode: OPCODE.text, payload: 'still here' };

/** A Close one way and the same one back; the upstream ends TCP, or does not. */
function closeFrames(): Row[] {
  return TRANSPORTS.flatMap((transport) =>
    SIDES.flatMap((side) =>
      (transport === 'tcp' ? CODES : [null, 1000, 1006]).map((code) => closed(transport, side, code)),
    ),
  );
}

function closed(transport: Transport, side: Side, code: number | null): Row {
  const parts = code === null ? close(null) : close(code, 'why: ü');
  const answer = async (rig: Rig): Promise<void> => {
    rig[side].sendFrame(parts);
    await answersClose(rig[other(side)]);
    await sees(rig[side], frameOf(other(side))(parts));
    await rig.client.untilEnded();
    rig.upstream.end();
  };
  const cause = code !== null && RESERVED.includes(code) ? 'reserved_code' : 'close_frame';
  return {
    name: `${side} closes with ${code ?? 'no code'}, ${transport}`,
    transport,
    act: answer,
    client: { bytes: down(parts), end: 'fin' },
    upstream: { bytes: up(parts), end: 'fin' },
    report: { initiator: side, side, cause, code, reason: code === null ? '' : 'why: ü', reset: false },
  };
}

interface Place {
  readonly name: string;
  /** What was sent last, as far as it was sent. */
  readonly bytes: (side: Side) => Buffer;
}

const PLACES: readonly Place[] = [
  { name: 'at a boundary', bytes: () => NOTHING },
  { name: 'in the first byte of a header', bytes: () => Buffer.of(0x82) },
  { name: 'inside a long header', bytes: () => Buffer.of(0x82, 0x7f, 0, 0, 0, 0, 0, 1) },
  {
    name: 'inside a payload',
    bytes: (side) => frameOf(side)({ opcode: OPCODE.binary, payload: 'half', claimed: 8 }),
  },
  {
    name: 'between fragments',
    bytes: (side) => frameOf(side)({ opcode: OPCODE.text, payload: 'half', fin: false }),
  },
];

function abruptEnds(): Row[] {
  return TRANSPORTS.flatMap((transport) =>
    PLACES.flatMap((place) => [
      ...(['end', 'reset'] as const).map((how) => clientGoes(transport, place, how)),
      ...(['end', 'reset'] as const).map((how) => upstreamGoes(transport, place, how)),
    ]),
  );
}

function clientGoes(transport: Transport, place: Place, how: 'end' | 'reset'): Row {
  const sent = Buffer.concat([up(TEXT), place.bytes('client')]);
  return {
    name: `client ${how}s TCP ${place.name}, ${transport}`,
    transport,
    act: async ({ client, upstream }) => {
      client.send(sent);
      await sees(upstream, up(TEXT));
      client[how]();
      await upstream.untilEnded();
      if (how === 'end') {
        upstream.sendFrame(STILL);
        await sees(client, down(STILL));
        upstream.end();
      }
    },
    client: how === 'end' ? { bytes: down(STILL), end: 'fin' } : { bytes: NOTHING, end: 'own' },
    upstream: { bytes: sent, end: 'fin' },
    report: {
      initiator: 'client',
      cause: 'abrupt_end',
      side: 'client',
      code: null,
      reason: '',
      reset: how === 'reset',
    },
  };
}

function upstreamGoes(transport: Transport, place: Place, how: 'end' | 'reset'): Row {
  const sent = Buffer.concat([down(TEXT), place.bytes('upstream')]);
  return {
    name: `upstream ${how}s TCP ${place.name}, ${transport}`,
    transport,
    act: async ({ client, upstream, resetUpstream }) => {
      upstream.send(sent);
      await sees(client, down(TEXT));
      if (how === 'end') upstream.end();
      else resetUpstream();
    },
    client: { bytes: sent, end: 'fin' },
    upstream: { bytes: NOTHING, end: how === 'end' ? 'fin' : 'own' },
    report: {
      initiator: 'upstream',
      cause: 'abrupt_end',
      side: 'upstream',
      code: null,
      reason: '',
      // A unix socket that is destroyed just ends.
      reset: how === 'reset' && transport !== 'unix',
    },
  };
}

/** Whoever owes something does not give it. */
function silences(): Row[] {
  return [
    {
      name: 'client ends TCP, the upstream does not',
      act: async ({ client, upstream }) => {
        client.end();
        await upstream.untilEnded();
      },
      client: { bytes: NOTHING, end: 'fin' },
      upstream: { bytes: NOTHING, end: 'fin' },
      after: LINGER,
      report: { initiator: 'client', cause: 'abrupt_end' },
    },
    ...SIDES.map((side): Row => unansweredClose(side)),
    {
      name: 'after both Closes the upstream does not end TCP',
      act: async ({ client, upstream }) => {
        client.sendFrame(close(1000));
        await answersClose(upstream);
        await client.untilEnded();
        client.end();
      },
      client: { bytes: down(close(1000)), end: 'fin' },
      upstream: { bytes: up(close(1000)), end: 'fin' },
      after: LINGER,
      report: { initiator: 'client', cause: 'close_frame', code: 1000 },
    },
  ];
}

function unansweredClose(side: Side): Row {
  const silent = other(side);
  return {
    name: `the ${silent} does not answer a Close`,
    settings: { KEEPALIVE_PONG_TIMEOUT: '5s', KEEPALIVE_UPSTREAM_PONG_TIMEOUT: '5s' },
    act: async (rig) => {
      rig[side].sendFrame(close(4000, 'bye'));
      await sees(rig[silent], frameOf(side)(close(4000, 'bye')));
    },
    client: { bytes: side === 'client' ? NOTHING : down(close(4000, 'bye')), end: 'fin' },
    upstream: { bytes: side === 'client' ? up(close(4000, 'bye')) : NOTHING, end: 'fin' },
    after: 5000,
    report: { initiator: silent, side: silent, cause: 'close_timeout', code: 4000, reason: 'bye' },
  };
}

/** TCP ends after one Close, and after both. */
function endsAfterCloses(): Row[] {
  const CLOSE = close(1001, 'leaving');
  const byClient = { initiator: 'client', cause: 'close_frame', code: 1001, reset: false } as const;
  const byUpstream = { ...byClient, initiator: 'upstream' } as const;
  return (['end', 'reset'] as const).flatMap((how): Row[] => [
    {
      name: `client ${how}s TCP after its Close`,
      act: async ({ client, upstream }) => {
        client.sendFrame(CLOSE);
        await sees(upstream, up(CLOSE));
        client[how]();
        await upstream.untilEnded();
        upstream.end();
      },
      client: { bytes: NOTHING, end: how === 'end' ? 'fin' : 'own' },
      upstream: { bytes: up(CLOSE), end: 'fin' },
      report: byClient,
    },
    {
      name: `upstream ${how}s TCP after its Close`,
      act: async ({ client, upstream, resetUpstream }) => {
        upstream.sendFrame(CLOSE);
        await sees(client, down(CLOSE));
        if (how === 'end') upstream.end();
        else resetUpstream();
        await client.untilEnded();
        await answersClose(client);
      },
      client: { bytes: down(CLOSE), end: 'fin' },
      upstream: how === 'end' ? { bytes: up(CLOSE), end: 'fin' } : { bytes: NOTHING, end: 'own' },
      report: byUpstream,
    },
    {
      name: `upstream ${how}s TCP after the client's Close`,
      act: async ({ client, upstream, resetUpstream }) => {
        client.sendFrame(CLOSE);
        await sees(upstream, up(CLOSE));
        if (how === 'end') upstream.end();
        else resetUpstream();
      },
      client: { bytes: NOTHING, end: 'fin' },
      upstream: { bytes: up(CLOSE), end: how === 'end' ? 'fin' : 'own' },
      report: byClient,
    },
    {
      name: `client ${how}s TCP after the upstream's Close`,
      act: async ({ client, upstream }) => {
        upstream.sendFrame(CLOSE);
        await sees(client, down(CLOSE));
        client[how]();
        await upstream.untilEnded();
        upstream.end();
      },
      client: { bytes: down(CLOSE), end: how === 'end' ? 'fin' : 'own' },
      upstream: { bytes: NOTHING, end: 'fin' },
      report: byUpstream,
    },
    {
      name: `client ${how}s TCP after both Closes`,
      act: async ({ client, upstream }) => {
        client.sendFrame(CLOSE);
        await answersClose(upstream);
        await sees(client, down(CLOSE));
        client[how]();
        upstream.end();
      },
      client: { bytes: down(CLOSE), end: how === 'end' ? 'fin' : 'own' },
      upstream: { bytes: up(CLOSE), end: 'fin' },
      report: byClient,
    },
    {
      name: `upstream ${how}s TCP after both Closes`,
      act: async ({ client, upstream, resetUpstream }) => {
        client.sendFrame(CLOSE);
        await answersClose(upstream);
        await sees(client, down(CLOSE));
        if (how === 'end') upstream.end();
        else resetUpstream();
      },
      client: { bytes: down(CLOSE), end: 'fin' },
      upstream: { bytes: up(CLOSE), end: how === 'end' ? 'fin' : 'own' },
      report: byClient,
    },
  ]);
}

export const PEER_ROWS: readonly Row[] = [...closeFrames(), ...abruptEnds(), ...silences(), ...endsAfterCloses()];
