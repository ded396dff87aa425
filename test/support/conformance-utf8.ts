/** Text that is UTF-8, and text that is not, whole and cut at every place (RFC 6455 sections 5.6 and 8.1). */
import { atOnce, type Case, chopped, inSteps, last, NORMAL, ping, send, text, wait } from './conformance-case.ts';

const VALID: readonly [string, string][] = [
  ['ASCII', '48656c6c6f'],
  ['two bytes each', 'c2a2c3a9df bf'],
  ['three bytes each', 'e0a080e282acefbfbd'],
  ['four bytes each', 'f0908080f09f9088f48fbfbf'],
  ['first of one byte', '00'],
  ['last of one byte', '7f'],
  ['first of two bytes', 'c280'],
  ['last of two bytes', 'dfbf'],
  ['first of three bytes', 'e0a080'],
  ['last of three bytes', 'efbfbf'],
  ['first of four bytes', 'f0908080'],
  ['last of all', 'f48fbfbf'],
  ['before the surrogates', 'ed9fbf'],
  ['after the surrogates', 'ee8080'],
  ['a byte order mark', 'efbbbf41'],
  ['a non-character', 'efbfbe'],
  ['a combining mark', '65cc81'],
  ['Greek', 'cebae1bdb9cf83cebcceb5'],
];

const INVALID: readonly [string, string][] = [
  ['a lone continuation', '80'],
  ['the last continuation alone', 'bf'],
  ['continuations', '8080bfbf'],
  ['two bytes cut', 'c2'],
  ['three bytes cut after one', 'e1'],
  ['three bytes cut after two', 'e1bd'],
  ['four bytes cut after one', 'f0'],
  ['four bytes cut after two', 'f09f'],
  ['four bytes cut after three', 'f09f90'],
  ['two bytes without their second', 'c241'],
  ['three bytes without their third', 'e1bd41'],
  ['four bytes without their fourth', 'f09f9041'],
  ['fe', 'fe'],
  ['ff', 'ff'],
  ['fe and ff', 'fefeffff'],
  ['an overlong slash in two bytes', 'c0af'],
  ['an overlong slash in three bytes', 'e080af'],
  ['an overlong slash in four bytes', 'f08080af'],
  ['an overlong slash in five bytes', 'f8808080af'],
  ['an overlong slash in six bytes', 'fc80808080af'],
  ['an overlong NUL', 'c080'],
  ['the last overlong of two bytes', 'c1bf'],
  ['the last overlong of three bytes', 'e09fbf'],
  ['the last overlong of four bytes', 'f08fbfbf'],
  ['the first surrogate', 'eda080'],
  ['the last high surrogate', 'edafbf'],
  ['the first low surrogate', 'edb080'],
  ['the last surrogate', 'edbfbf'],
  ['a pair of surrogates', 'eda080edb080'],
  ['the first beyond the last of all', 'f4908080'],
  ['far beyond', 'f7bfbfbf'],
  ['five bytes', 'f888808080'],
  ['six bytes', 'fc8480808080'],
  ['a surrogate behind Greek', 'cebae1bdb9cf83cebcceb5eda080656469746564'],
  ['too far behind Greek', 'cebae1bdb9cf83cebcceb5f4908080656469746564'],
];

const fromHex = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

/** Whole, cut into two fragments at every place, and with every byte in a write of its own. */
function ways(name: string, bytes: Buffer): Case[] {
  const cuts = Array.from({ length: Math.max(bytes.length - 1, 0) }, (_, n) => n + 1);
  return [
    atOnce('utf-8', name, [text(bytes), NORMAL]),
    chopped(1, 'utf-8', name, [text(bytes), NORMAL]),
    ...(bytes.length > 12 ? [] : cuts).map((cut) =>
      atOnce('utf-8', `${name}, in fragments at ${cut}`, [
        text(bytes.subarray(0, cut), { fin: false }),
        last(bytes.subarray(cut)),
        NORMAL,
      ]),
    ),
  ];
}

/** A byte that never stands in UTF-8, put at every place of a good text. */
function spoiled(): Case[] {
  const good = fromHex('cebae1bdb9cf83cebcceb5f09f9088');
  return Array.from({ length: good.length + 1 }, (_, at) => {
    const bytes = Buffer.concat([good.subarray(0, at), Buffer.of(0xff), good.subarray(at)]);
    return atOnce('utf-8', `ff put in at ${at}`, [text('before'), text(bytes), NORMAL]);
  });
}

/** Who judges a fragment before its message is complete answers the Ping no more. */
function patience(): Case[] {
  return INVALID.filter((_, n) => n % 4 === 0).map(([name, hex]) =>
    inSteps('utf-8', `${name} in a first fragment, a Ping before the last one`, [
      send([text(fromHex(hex), { fin: false }), ping('still there?')]),
      wait(1),
      send([last(''), NORMAL]),
    ]),
  );
}

export function utf8Cases(): Case[] {
  return [
    ...VALID.flatMap(([name, hex]) => ways(name, fromHex(hex))),
    ...INVALID.flatMap(([name, hex]) => ways(`not UTF-8: ${name}`, fromHex(hex))),
    ...spoiled(),
    ...patience(),
  ];
}
