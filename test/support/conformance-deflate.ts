/** permessage-deflate (RFC 7692): its parameters, its frames, and what is wrong about either. */
import { deflateRawSync, constants } from 'node:zlib';
import {
  atOnce,
  binary,
  type Case,
  chopped,
  everyWay,
  last,
  more,
  noise,
  NORMAL,
  type Parts,
  ping,
  text,
} from './conformance-case.ts';

const MiB = 1024 * 1024;
const GROUP = 'deflate';
/** RSV1 (RFC 7692 section 6). */
const COMPRESSED = { rsv: 4 };
const WINDOW = 32 * 1024;

const offer = (parameters: string): { headers: readonly string[] } => ({
  headers: [`Sec-WebSocket-Extensions: permessage-deflate${parameters}`],
});
export const OFFER = offer('; client_max_window_bits');

/** As a client compresses: `before` is what it has sent already and refers back to. */
function deflate(data: Buffer | string, before: Buffer = Buffer.alloc(0), windowBits = 15): Buffer {
  const dictionary = before.length > 0 ? { dictionary: before.subarray(-WINDOW) } : {};
  const bytes = deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, windowBits, ...dictionary });
  // RFC 7692 7.2.1: the four bytes of the empty block at the end are left out.
  return bytes.subarray(0, -4);
}

const SENTENCE = Buffer.from('the quick brown fox jumps over the lazy dog, again and again and again. ');

/** Ten messages alike, each compressed with all before it in view. */
function withContext(windowBits: number): Parts[] {
  const messages = Array.from({ length: 10 }, (_, n) => Buffer.concat([SENTENCE, Buffer.from(`${n}`)]));
  const window = 2 ** windowBits;
  return messages.map((message, n) => {
    const before = Buffer.concat(messages.slice(0, n)).subarray(-window);
    return text(deflate(message, before, windowBits), COMPRESSED);
  });
}

function parameters(): Case[] {
  const bits = [9, 10, 11, 12, 13, 14, 15];
  const good = [
    '',
    '; client_max_window_bits',
    '; server_no_context_takeover',
    '; client_no_context_takeover',
    '; server_no_context_takeover; client_no_context_takeover',
    ...bits.map((n) => `; server_max_window_bits=${n}`),
    ...bits.map((n) => `; client_max_window_bits=${n}`),
    '; server_max_window_bits=9; client_max_window_bits=9; server_no_context_takeover; client_no_context_takeover',
    '; server_max_window_bits="10"',
    '; client_max_window_bits=8, permessage-deflate',
    ', permessage-deflate; server_no_context_takeover',
    '; unknown_parameter, permessage-deflate',
  ];
  const bad = [
    '; unknown_parameter',
    '; server_max_window_bits',
    '; server_max_window_bits=7',
    '; server_max_window_bits=16',
    '; server_max_window_bits=x',
    '; client_max_window_bits=16',
    '; server_no_context_takeover=1',
    '; client_no_context_takeover; client_no_context_takeover',
    '; =',
    ';',
    ',,',
  ];
  const alike = [text(SENTENCE), text(SENTENCE), binary(noise(500)), text(''), NORMAL];
  return [
    ...good.flatMap((each) => [
      atOnce(GROUP, `offer "${each}"`, alike, offer(each)),
      atOnce(GROUP, `offer "${each}", compressed both ways`, [...compressedApart(), NORMAL], offer(each)),
    ]),
    ...bad.map((each) => atOnce(GROUP, `offer "${each}", which is wrong`, alike, offer(each))),
    ...bits.map((n) => {
      const frames = [...withContext(n), NORMAL];
      return atOnce(GROUP, `context kept in a window of ${n} bits`, frames, offer(`; client_max_window_bits=${n}`));
    }),
    atOnce(GROUP, 'an unknown extension', alike, { headers: ['Sec-WebSocket-Extensions: x-unknown; a=1'] }),
    atOnce(GROUP, 'an unknown extension beside it', alike, {
      headers: ['Sec-WebSocket-Extensions: x-unknown', 'Sec-WebSocket-Extensions: permessage-deflate'],
    }),
  ];
}

function compressedApart(): Parts[] {
  return [SENTENCE, SENTENCE, Buffer.from('end')].map((message) => text(deflate(message, undefined, 9), COMPRESSED));
}

function messages(): Case[] {
  const whole = deflate(SENTENCE);
  const cut = (at: number): Parts[] => [
    text(whole.subarray(0, at), { ...COMPRESSED, fin: false }),
    last(whole.subarray(at)),
  ];
  const tail = Buffer.of(0x00);
  const frames: [string, readonly Parts[]][] = [
    ['a message', [text(whole, COMPRESSED)]],
    ['an empty message', [text(Buffer.of(0x00), COMPRESSED)]],
    ['an empty message of no bytes', [text('', COMPRESSED)]],
    ['RFC 7692 7.2.3.3: a block without compression', [text(Buffer.from('000500faff48656c6c6f00', 'hex'), COMPRESSED)]],
    ['RFC 7692 7.2.3.4: a final block', [text(Buffer.from('f348cdc9c9070000', 'hex'), COMPRESSED)]],
    ['RFC 7692 7.2.3.5: two blocks', [text(Buffer.from('f24805000000ffffcac9c90700', 'hex'), COMPRESSED)]],
    ['two, one of them plain', [text(whole, COMPRESSED), text('plain')]],
    ['fragments', cut(10)],
    ['fragments with a Ping between', [cut(10)[0] as Parts, ping('mid'), cut(10)[1] as Parts]],
    ['fragments, the last one empty', [text(whole, { ...COMPRESSED, fin: false }), last('')]],
    ['fragments, one of them empty', [cut(7)[0] as Parts, more(''), cut(7)[1] as Parts]],
    ['RSV1 on the second fragment', [cut(10)[0] as Parts, last(whole.subarray(10), COMPRESSED)]],
    ['RSV1 on the second fragment alone', [text('a', { fin: false }), last('b', COMPRESSED)]],
    ['RSV1 on a Ping', [{ ...ping('x'), ...COMPRESSED }]],
    ['RSV1 and RSV2', [text(whole, { rsv: 6 })]],
    ['rubbish', [text(Buffer.of(0xff, 0xff), COMPRESSED)]],
    ['rubbish behind', [text(Buffer.concat([whole, Buffer.of(0xff, 0xff, 0xff)]), COMPRESSED)]],
    ['cut short', [text(whole.subarray(0, -4), COMPRESSED)]],
    ['a reference to before the start', [text(Buffer.of(0x4a, 0x44, 0xc2, 0x00), COMPRESSED)]],
    ['text that is not UTF-8', [text(deflate(Buffer.of(0xc3, 0x28)), COMPRESSED)]],
    ['binary that is not UTF-8', [binary(deflate(Buffer.of(0xc3, 0x28)), COMPRESSED)]],
    ['a tail too many', [text(Buffer.concat([whole, tail]), COMPRESSED)]],
  ];
  return [
    ...frames.flatMap(([name, parts]) => everyWay(GROUP, name, [...parts, NORMAL], OFFER)),
    ...everyWay(GROUP, 'RSV1 on a Close', [{ ...NORMAL, ...COMPRESSED }], OFFER),
  ];
}

function sizes(): Case[] {
  const similar = (size: number): Buffer => Buffer.alloc(size, SENTENCE);
  return [
    ...[16, 64, 256, 1024, 8192, 65_536, MiB].flatMap((size) => [
      atOnce(GROUP, `similar ${size}`, [text(deflate(similar(size)), COMPRESSED), NORMAL], OFFER),
      atOnce(GROUP, `random ${size}`, [binary(deflate(noise(size)), COMPRESSED), NORMAL], OFFER),
    ]),
    atOnce(GROUP, 'similar 16 MiB', [binary(deflate(similar(16 * MiB)), COMPRESSED), NORMAL], OFFER),
    atOnce(GROUP, 'too much once inflated', [binary(deflate(Buffer.alloc(32 * MiB + 1)), COMPRESSED), NORMAL], OFFER),
    ...[1, 7, 100].map((chop) => chopped(chop, GROUP, 'context kept', [...withContext(15), NORMAL], OFFER)),
    atOnce(GROUP, 'answered in fragments', [text(deflate(similar(9000)), COMPRESSED), ping('p'), NORMAL], {
      ...OFFER,
      path: '/fragments',
    }),
  ];
}

export function deflateCases(): Case[] {
  return [...parameters(), ...messages(), ...sizes()];
}
