/** Durations (`500ms`, `10s`, `1.5m`, `2h`) and sizes (`512B`, `16KiB`, `1MB`). `off` is `Infinity`. Numbers carry units. */
import { ValueError, shown } from './errors.ts';

interface Units {
  readonly noun: string;
  /** Largest first. */
  readonly factors: readonly (readonly [unit: string, factor: number])[];
  /** What values are written with; the rest is only read. */
  readonly written: readonly string[];
  readonly examples: (amount: string) => string;
  /** What people write elsewhere, in lower case, with the spelling here and how many of it one is. */
  readonly elsewhere: Readonly<Record<string, readonly [unit: string, times: number]>>;
}

function spellings(unit: string, ...names: string[]): Record<string, [string, number]> {
  return Object.fromEntries(names.map((name) => [name, [unit, 1]]));
}

const DURATION: Units = {
  noun: 'duration',
  factors: [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ],
  written: ['h', 'm', 's', 'ms'],
  examples: (amount) => `${amount}s, ${amount}ms or ${amount}m`,
  elsewhere: {
    ...spellings('ms', 'ms', 'msec', 'msecs', 'millis', 'millisecond', 'milliseconds'),
    ...spellings('s', 's', 'sec', 'secs', 'second', 'seconds'),
    ...spellings('m', 'm', 'min', 'mins', 'minute', 'minutes'),
    ...spellings('h', 'h', 'hr', 'hrs', 'hour', 'hours'),
    d: ['h', 24],
    day: ['h', 24],
    days: ['h', 24],
  },
};

const SIZE: Units = {
  noun: 'size',
  factors: [
    ['GiB', 2 ** 30],
    ['GB', 1e9],
    ['MiB', 2 ** 20],
    ['MB', 1e6],
    ['KiB', 2 ** 10],
    ['kB', 1000],
    ['B', 1],
  ],
  written: ['GiB', 'MiB', 'KiB', 'B'],
  examples: (amount) => `${amount}KiB, ${amount}MiB or ${amount}B`,
  elsewhere: {
    ...spellings('B', 'b', 'byte', 'bytes'),
    ...spellings('KiB', 'k', 'ki', 'kb', 'kib'),
    ...spellings('MiB', 'm', 'mi', 'mb', 'mib'),
    ...spellings('GiB', 'g', 'gi', 'gb', 'gib'),
  },
};

const QUANTITY = /^(\d{1,15}(?:\.\d{1,15})?)\s*([a-zA-Z]*)$/;

/** Milliseconds, rounded to whole ones; `off` is `Infinity`. Throws ValueError. */
export function parseDuration(text: string): number {
  return parseQuantity(text, DURATION);
}

/** Bytes, rounded to whole ones; `off` is `Infinity`. Throws ValueError. */
export function parseSize(text: string): number {
  return parseQuantity(text, SIZE);
}

/** The shortest exact spelling: 90000 is `90s`, 120000 is `2m`, `Infinity` is `off`. */
export function formatDuration(milliseconds: number): string {
  return formatQuantity(milliseconds, DURATION);
}

/** The shortest exact spelling: 16384 is `16KiB`, `Infinity` is `off`. */
export function formatSize(bytes: number): string {
  return formatQuantity(bytes, SIZE);
}

function parseQuantity(text: string, units: Units): number {
  if (text === 'off') return Infinity;
  const [, amount, unit = ''] = QUANTITY.exec(text) ?? [];
  if (amount === undefined) throw new ValueError(`${shown(text)} is not a ${units.noun}; ${advice(text, units)}`);
  if (unit === '') throw new ValueError(`${amount} has no unit; write ${units.examples(amount)}`);
  const factor = units.factors.find(([name]) => name === unit)?.[1];
  if (factor === undefined) throw new ValueError(`${shown(text)} has an unknown unit; ${advice(text, units)}`);
  return Math.round(Number(amount) * factor);
}

/** The right spelling where it can be guessed: of `30 sec`, `1d`, `16k`, `1h30m` or `1,5s`. */
function advice(text: string, units: Units): string {
  const parts = [...text.replaceAll(/(?<=\d),(?=\d)/g, '.').matchAll(/\s*(\d+(?:\.\d+)?)\s*([a-z]+)/giy)];
  const known = parts.map(([, amount, unit = '']) => {
    const [name, times] = units.elsewhere[unit.toLowerCase()] ?? [];
    const factor = units.factors.find(([each]) => each === name)?.[1];
    return { name, times: Number(amount) * (times ?? Number.NaN), factor: factor ?? Number.NaN };
  });
  const [only] = known;
  const total = known.reduce((sum, { times, factor }) => sum + times * factor, 0);
  const isWhole = parts.map(([part]) => part).join('').length === text.length && Number.isFinite(total);
  if (only === undefined || !isWhole) {
    const all = units.factors.map(([name]) => name).toReversed();
    return `write for example ${units.examples('10')}; the units are ${all.join(', ')}`;
  }
  return `write ${known.length === 1 ? `${only.times}${only.name}` : formatQuantity(Math.round(total), units)}`;
}

function formatQuantity(value: number, units: Units): string {
  if (value === Infinity) return 'off';
  const fits = units.factors.find(([name, factor]) => units.written.includes(name) && value % factor === 0);
  const [unit, factor] = value === 0 || fits === undefined ? (units.factors.at(-1) ?? ['', 1]) : fits;
  return `${value / factor}${unit}`;
}
