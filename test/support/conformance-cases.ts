/**
 * Cases of framing, control frames, reserved bits and opcodes, fragmentation, sizes and Close frames (RFC 6455 section 5),
 * modelled on what conformance suites for WebSocket check.
 */
import {
  atOnce,
  binary,
  type Case,
  chopped,
  close,
  END,
  everyWay,
  inSteps,
  last,
  more,
  noise,
  NORMAL,
  type Parts,
  ping,
  pong,
  send,
  text,
  wait,
} from './conformance-case.ts';
import { OPCODE } from './frames.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const letters = (size: number): string => '*'.repeat(size);

function framing(): Case[] {
  const small = [0, 1, 2, 124, 125];
  const large = [126, 127, 128, 65_535, 65_536, 65_537];
  return [
    ...small.flatMap((size) => [
      ...everyWay('framing', `text of ${size}`, [text(letters(size)), NORMAL]),
      ...everyWay('framing', `binary of ${size}`, [binary(noise(size)), NORMAL]),
    ]),
    ...large.flatMap((size) => [
      atOnce('framing', `text of ${size}`, [text(letters(size)), NORMAL]),
      atOnce('framing', `binary of ${size}`, [binary(noise(size)), NORMAL]),
      chopped(997, 'framing', `binary of ${size}`, [binary(noise(size)), NORMAL]),
    ]),
    ...everyWay('framing', 'a length in 2 bytes that needs none', [text('short', { lengthBytes: 2 }), NORMAL]),
    ...everyWay('framing', 'a length in 8 bytes that needs none', [text('short', { lengthBytes: 8 }), NORMAL]),
    ...everyWay('framing', 'an empty frame with an 8-byte length', [text('', { lengthBytes: 8 }), NORMAL]),
    atOnce('framing', 'a length in 8 bytes that needs 2', [binary(noise(300), { lengthBytes: 8 }), NORMAL]),
    ...everyWay('framing', 'no mask', [text('bare', { mask: null }), NORMAL]),
    ...everyWay('framing', 'no mask on a Ping', [{ ...ping('bare'), mask: null }, NORMAL]),
    ...everyWay('framing', 'a mask of zeros', [text('plain', { mask: Buffer.alloc(4) }), NORMAL]),
    ...everyWay(
      'framing',
      'many masks',
      [1, 2, 3, 4].map((n) => text(`m${n}`, { mask: noise(n + 4).subarray(n) })).concat(NORMAL),
    ),
    ...[1, 2, 3, 7, 8, 13].map((bytes) =>
      inSteps('framing', `an end after ${bytes} bytes of a header`, [
        send([Buffer.of(0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9).subarray(0, bytes)]),
        END,
      ]),
    ),
    inSteps('framing', 'an end inside a payload', [send([binary('some', { claimed: 20 })]), END]),
    inSteps('framing', 'an end between frames', [send([text('whole')]), wait(1), END]),
    inSteps('framing', 'an end between fragments', [send([text('half', { fin: false }), ping('x')]), wait(1), END]),
    inSteps('framing', 'an end at once', [END]),
    ...[2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53, 2 ** 62].map((claimed) =>
      atOnce('framing', `a length of ${claimed} claimed`, [binary('x', { claimed: BigInt(claimed) })]),
    ),
  ];
}

function control(): Case[] {
  const ten = (kind: typeof ping): Parts[] => Array.from({ length: 10 }, (_, n) => kind(`number ${n}`));
  return [
    ...[0, 1, 7, 8, 9, 124, 125].flatMap((size) =>
      everyWay('control', `a Ping of ${size}`, [ping(noise(size)), NORMAL]),
    ),
    ...[0, 1, 7, 8, 9, 125].flatMap((size) =>
      everyWay('control', `a Pong of ${size} nobody asked for`, [pong(noise(size)), text('on'), NORMAL]),
    ),
    ...everyWay('control', 'a Ping of 126', [ping(noise(126)), NORMAL]),
    ...everyWay('control', 'a Pong of 126', [pong(noise(126)), NORMAL]),
    atOnce('control', 'a Ping of 65536', [ping(noise(65_536)), NORMAL]),
    ...everyWay('control', 'a Ping of 5 with a 2-byte length', [{ ...ping('abcde'), lengthBytes: 2 }, NORMAL]),
    ...everyWay('control', 'ten Pings', [...ten(ping), NORMAL]),
    ...everyWay('control', 'ten Pongs', [...ten(pong), text('on'), NORMAL]),
    ...everyWay('control', 'Pings and Pongs in turns', [ping('a'), pong('b'), ping('c'), pong('d'), NORMAL]),
    ...everyWay('control', 'Pings around a message', [ping('a'), text('b'), ping('c'), NORMAL]),
    ...everyWay('control', 'a Ping without FIN', [{ ...ping('x'), fin: false }, NORMAL]),
    ...everyWay('control', 'a Pong without FIN', [{ ...pong('x'), fin: false }, NORMAL]),
    ...everyWay('control', 'a Ping that is not UTF-8', [ping(Buffer.of(0xff, 0xfe, 0x80)), NORMAL]),
    ...everyWay('control', 'the same Ping twice', [ping('same'), ping('same'), NORMAL]),
    inSteps('control', 'a Ping after each Pong', [
      send([ping('1')]),
      wait(1),
      send([ping('2')]),
      wait(2),
      send([NORMAL]),
    ]),
  ];
}

function reserved(): Case[] {
  const frames: [string, (rsv: number) => Parts][] = [
    ['text', (rsv) => text('bits', { rsv })],
    ['empty text', (rsv) => text('', { rsv })],
    ['binary', (rsv) => binary('bits', { rsv })],
    ['a Ping', (rsv) => ({ ...ping('bits'), rsv })],
    ['a Pong', (rsv) => ({ ...pong('bits'), rsv })],
    ['a Close', (rsv) => ({ ...NORMAL, rsv })],
  ];
  const bits = [1, 2, 3, 4, 5, 6, 7].flatMap((rsv) =>
    frames.map(([what, build]) => atOnce('reserved', `bits ${rsv} on ${what}`, [text('before'), build(rsv), NORMAL])),
  );
  const opcodes = [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf].flatMap((opcode) => [
    ...everyWay('reserved', `opcode ${opcode}`, [text('before'), { opcode, payload: 'x' }, NORMAL]),
    atOnce('reserved', `opcode ${opcode}, empty`, [{ opcode }, ping(), NORMAL]),
    atOnce('reserved', `opcode ${opcode} inside a message`, [text('a', { fin: false }), { opcode }, last('b'), NORMAL]),
  ]);
  return [
    ...bits,
    ...chopped1('reserved', 'bits 4 on text', [text('before'), text('bits', { rsv: 4 }), NORMAL]),
    ...chopped1('reserved', 'bits 2 on a continuation', [text('a', { fin: false }), last('b', { rsv: 2 }), NORMAL]),
    ...opcodes,
  ];
}

const chopped1 = (group: string, name: string, frames: readonly Parts[]): Case[] => [chopped(1, group, name, frames)];

function fragmentation(): Case[] {
  const hello = [text('Hel', { fin: false }), last('lo')];
  const group = 'fragments';
  const ways: [string, readonly Parts[]][] = [
    ['two', hello],
    ['two, binary', [binary('Hel', { fin: false }), last('lo')]],
    ['the last one empty', [text('Hello', { fin: false }), last('')]],
    ['the first one empty', [text('', { fin: false }), last('Hello')]],
    ['all empty', [text('', { fin: false }), more(''), last('')]],
    ['some empty', [text('', { fin: false }), more('mid'), more(''), last('')]],
    ['one letter each', [text('a', { fin: false }), ...['b', 'c', 'd', 'e'].map((letter) => more(letter)), last('f')]],
    ['a Ping between', [hello[0] as Parts, ping('mid'), hello[1] as Parts]],
    ['a Pong between', [hello[0] as Parts, pong('mid'), hello[1] as Parts]],
    ['several Pings between', [hello[0] as Parts, ping('1'), more('-'), ping('2'), ping('3'), hello[1] as Parts]],
    ['two messages', [...hello, ...hello]],
    ['a message behind', [...hello, text('next')]],
    ['a continuation of nothing', [last('lost')]],
    ['a continuation of nothing without FIN', [more('lost')]],
    ['an empty continuation of nothing', [last('')]],
    ['a continuation after a message', [text('whole'), last('lost')]],
    ['a continuation after the last one', [...hello, last('lost')]],
    ['a message inside a message', [hello[0] as Parts, text('whole'), hello[1] as Parts]],
    ['a start inside a message', [hello[0] as Parts, text('again', { fin: false }), hello[1] as Parts]],
    ['binary inside text', [hello[0] as Parts, binary('whole')]],
    ['a Ping in fragments between', [hello[0] as Parts, { ...ping('x'), fin: false }, last('y')]],
  ];
  return [
    ...ways.flatMap(([name, frames]) => everyWay(group, name, [...frames, NORMAL])),
    ...everyWay(group, 'a Close between', [hello[0] as Parts, NORMAL]),
    ...['/fragments', '/trickle'].flatMap((path) =>
      [0, 1, 5, 126, 70_000].map((size) =>
        atOnce(group, `${size} bytes answered in ${path.slice(1)}`, [binary(noise(size)), ping('p'), NORMAL], { path }),
      ),
    ),
  ];
}

function sizes(): Case[] {
  const big = [64 * KiB, 256 * KiB, MiB, 4 * MiB, 16 * MiB];
  const split = (size: number, piece: number): Parts[] => {
    const bytes = noise(size);
    const count = size / piece;
    return Array.from({ length: count }, (_, n) => {
      const part = bytes.subarray(n * piece, (n + 1) * piece);
      return n === 0 ? binary(part, { fin: count === 1 }) : n === count - 1 ? last(part) : more(part);
    });
  };
  return [
    ...big.flatMap((size) => [
      atOnce('sizes', `text of ${size / KiB} KiB`, [text(letters(size)), NORMAL]),
      atOnce('sizes', `binary of ${size / KiB} KiB`, [binary(noise(size)), NORMAL]),
    ]),
    atOnce('sizes', 'binary of 32 MiB and a byte, too big', [binary('', { claimed: 32 * MiB + 1 })]),
    ...[64, 1024, 64 * KiB, MiB].map((piece) =>
      atOnce('sizes', `1 MiB in fragments of ${piece}`, [...split(MiB, piece), NORMAL]),
    ),
    ...[512, 4096, 16_384, 65_535, 65_536].map((chop) =>
      chopped(chop, 'sizes', 'binary of 1 MiB', [binary(noise(MiB)), NORMAL]),
    ),
    chopped(65_537, 'sizes', 'binary of 16 MiB', [binary(noise(16 * MiB)), NORMAL]),
    ...[0, 16, 64, 256, 1024, 16_384].map((size) =>
      atOnce('sizes', `300 messages of ${size}`, [...Array<Parts>(300).fill(binary(noise(size))), NORMAL]),
    ),
    ...[3, 14, 1000].map((chop) =>
      chopped(chop, 'sizes', '60 messages of 0 to 59', [
        ...Array.from({ length: 60 }, (_, n) => text(letters(n))),
        NORMAL,
      ]),
    ),
  ];
}

const VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];

function closing(): Case[] {
  const group = 'close';
  const raw = (payload: Uint8Array | string, extra = {}): Parts => ({ opcode: OPCODE.close, payload, ...extra });
  const badReason = Buffer.of(0x03, 0xe8, 0xc3, 0x28);
  return [
    ...[...VALID_CODES, ...INVALID_CODES].flatMap((code) => [
      ...everyWay(group, `code ${code}`, [close(code)]),
      atOnce(group, `code ${code} with a reason`, [text('before'), close(code, 'why not')]),
    ]),
    ...[1, 122, 123, 124].map((size) => atOnce(group, `a reason of ${size}`, [close(1000, letters(size))])),
    ...everyWay(group, 'a reason beyond ASCII', [close(1000, 'grüße 🐈')]),
    ...everyWay(group, 'no code', [raw('')]),
    ...everyWay(group, 'half a code', [raw('x')]),
    ...everyWay(group, 'a reason that is not UTF-8', [raw(badReason)]),
    ...everyWay(group, 'no FIN', [raw(Buffer.of(3, 232), { fin: false })]),
    ...everyWay(group, 'no mask', [raw(Buffer.of(3, 232), { mask: null })]),
    ...everyWay(group, 'a 2-byte length', [raw(Buffer.of(3, 232), { lengthBytes: 2 })]),
    atOnce(group, 'twice', [NORMAL, NORMAL]),
    atOnce(group, 'twice, with two codes', [close(3001), close(3002)]),
    atOnce(group, 'a message behind', [NORMAL, text('too late')]),
    atOnce(group, 'a Ping behind', [NORMAL, ping('too late')]),
    atOnce(group, 'rubbish behind', [NORMAL, Buffer.from('rubbish')]),
    atOnce(group, 'a fragment behind', [text('a', { fin: false }), NORMAL, last('b')]),
    inSteps(group, 'an end right behind', [send([NORMAL]), END]),
    inSteps(group, 'an end inside', [send([raw(Buffer.of(3), { claimed: 2 })]), END]),
    atOnce(group, '256 KiB before', [binary(noise(256 * KiB)), NORMAL]),
    ...[1000, 1001, 1003, 1008, 1011, 1014, 3000, 4999, 0].flatMap((code) => [
      inSteps(group, `the server closes with ${code || 'none'}`, [], { path: `/close/${code}` }),
      inSteps(group, `the server closes with ${code || 'none'} after an echo`, [send([text('bye')])], {
        path: `/echo-close/${code}`,
      }),
    ]),
    ...[0, 1, 7, 8, 9, 125].map((size) =>
      inSteps('control', `the server's Ping of ${size}`, [send([text('go')])], { path: `/ping/${size}` }),
    ),
  ];
}

export function baseCases(): Case[] {
  return [...framing(), ...control(), ...reserved(), ...fragmentation(), ...sizes(), ...closing()];
}
