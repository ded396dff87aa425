/** Kinds of values: how one is read from text, written back, and described to editors. `keys.ts` says which key has which. */
import type { Address, ListenAddress, UpstreamTarget } from '../core/settings.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './duration.ts';
import { ValueError } from './errors.ts';
import * as values from './values.ts';

/** What may stand in a file. Numbers and booleans are read as the text they came from, as in the environment. */
export type Scalar = string | number | boolean;

/** `Written` is what a file or a program gives, `Value` what the settings hold. */
export interface Kind<Written extends Scalar, Value> {
  /** Takes trimmed text. @throws ValueError */
  readonly read: (text: string) => Value;
  /** The inverse, in the shortest exact spelling. */
  readonly write: (value: Value) => Written;
  /** JSON Schema of the written form. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** Bounds of a quantity, inclusive; without `off` it has to be finite. */
interface Range {
  readonly least: number;
  readonly most: number;
  readonly off: boolean;
}

const DAY = 24 * 3_600_000;
const COUNT = { type: 'integer', minimum: 1 };

/** A time with its unit, in ms; from 10 ms to a day unless said otherwise. `off` is `Infinity`. */
export function duration(range: Partial<Range> = {}): Kind<string, number> {
  const read = within(parseDuration, formatDuration, { least: 10, most: DAY, off: false, ...range }, [
    'too short',
    'too long',
  ]);
  return { read, write: formatDuration, json: quantity('ms|s|m|h', range.off) };
}

/** An amount with its unit, in bytes. `off` is `Infinity`. */
export function size(range: Range): Kind<string, number> {
  return {
    read: within(parseSize, formatSize, range, ['too small', 'too large']),
    write: formatSize,
    json: quantity('B|kB|KiB|MB|MiB|GB|GiB', range.off),
  };
}

/** @param words for what is below and above the range */
function within(
  read: (text: string) => number,
  format: (value: number) => string,
  range: Range,
  [below, above]: readonly [string, string],
) {
  const orOff = range.off ? ', or off' : '';
  return (text: string): number => {
    const value = read(text);
    if (value === Infinity && range.off) return value;
    if (value === Infinity) throw new ValueError(`cannot be off; write at most ${format(range.most)}`);
    if (value < range.least) throw new ValueError(`${text} is ${below}; write at least ${format(range.least)}${orOff}`);
    if (value > range.most) throw new ValueError(`${text} is ${above}; write at most ${format(range.most)}${orOff}`);
    return value;
  };
}

function quantity(units: string, off: boolean | undefined): Kind<string, number>['json'] {
  const amount = String.raw`\d+(\.\d+)?\s*(${units})`;
  return { type: 'string', pattern: off === true ? `^(off|${amount})$` : `^${amount}$` };
}

/** One of a closed set of words. */
export function word<const Word extends string>(words: readonly Word[]): Kind<Word, Word> {
  return { read: values.parseWord(words), write: same, json: { enum: words } };
}

/** Text that is its own canonical form once it was read. */
export function text(read: (text: string) => string, json: object = {}): Kind<string, string> {
  return { read, write: same, json: { type: 'string', ...json } };
}

function same<T>(value: T): T {
  return value;
}

export const boolean: Kind<boolean, boolean> = { read: values.parseBoolean, write: same, json: { type: 'boolean' } };

/** A switch that reads `on` and `off`. */
export const onOff: Kind<'on' | 'off' | boolean, boolean> = {
  read: values.parseOnOff,
  write: (value) => (value ? 'on' : 'off'),
  json: { enum: ['on', 'off', true, false] },
};

/** A whole number from 1. `off` is `Infinity`. */
export const count: Kind<number | 'off', number> = {
  read: values.parseCount,
  write: (value) => (value === Infinity ? 'off' : value),
  json: { anyOf: [COUNT, { const: 'off' }] },
};

/** A count, or `auto`: what the machine allows. */
export const countOrAuto: Kind<number | 'off' | 'auto', number | 'auto'> = {
  read: (given) => (given === 'auto' ? 'auto' : count.read(given)),
  write: (value) => (value === 'auto' ? 'auto' : count.write(value)),
  json: { anyOf: [COUNT, { enum: ['auto', 'off'] }] },
};

/** A close code that a proxy may send (RFC 6455 section 7.4), or `off`: null. */
export const closeCodeOrOff: Kind<number | 'off', number | null> = {
  read: values.parseCloseCode,
  write: (value) => value ?? 'off',
  json: { anyOf: [{ enum: ['off', ...values.OWN_CLOSE_CODES] }, { type: 'integer', minimum: 3000, maximum: 4999 }] },
};

/** Where to listen, or the descriptor of a socket that listens already. */
export const addressOrDescriptor: Kind<string, ListenAddress> = {
  read: values.parseListenOrDescriptor,
  write: values.formatListen,
  json: { type: 'string' },
};

/** Where to listen, or `off`: null. */
export const addressOrOff: Kind<string, Address | null> = {
  read: (given) => (given === 'off' ? null : values.parseListen(given)),
  write: (value) => (value === null ? 'off' : values.formatListen(value)),
  json: { type: 'string' },
};

export const upstream: Kind<string, UpstreamTarget> = {
  read: values.parseUpstream,
  write: (target) => target.url,
  json: { type: 'string', pattern: '^(https?|wss?|unix):' },
};

/** A prefix of whole path segments; `/` is null, any path. */
export const routePath: Kind<string, string | null> = {
  read: values.parseRoutePath,
  write: (path) => path ?? '/',
  json: { type: 'string', pattern: '^/' },
};
