/** How a key of `keys.ts` is made: a schema that reads its value, with what else is known of it in a register. */
import { z } from 'zod';
import { ValueError } from './errors.ts';
import type { Kind, Scalar } from './kinds.ts';

interface Options {
  /** A running program keeps the old value. Default: a reload applies the new one. */
  readonly restart?: boolean;
  /** The flag of the command line, without `--`. */
  readonly flag?: string;
  /** What `config.example.yaml` shows where there is no default. */
  readonly sample?: string;
}

/** What is known of a key besides its schema. */
export interface KeyInfo extends Options {
  /** Sentences in Markdown. The first has to stand alone: it is the row of a table. */
  readonly about: string;
  readonly kind: Kind<Scalar, unknown>;
  readonly isList: boolean;
}

/** What is known of a section besides its keys. */
export interface SectionInfo {
  readonly about: string;
  readonly sample?: Readonly<Record<string, Scalar>>;
}

const keys = z.registry<KeyInfo>();
const mappings = z.registry<SectionInfo>();

/** A key with one value. */
export function key<Written extends Scalar, Value>(
  kind: Kind<Written, Value>,
  about: string,
  options: Options = {},
): z.ZodType<Value, Written> {
  const type = z.custom<Written>().transform((raw, context): Value => readOne(kind, raw, context, []));
  return register(type, { ...options, about, kind, isList: false });
}

interface ListOptions<Value> {
  /** Fewest entries. */
  readonly least?: number;
  /** Entries for which this is the same are one too many. */
  readonly sameness?: (value: Value) => unknown;
  /** Between entries in one text. Default: every comma. */
  readonly separator?: RegExp;
}

/** A key with a list of values, or one; text with commas is a list, as in the environment. */
export function keyList<Written extends Scalar, Value>(
  kind: Kind<Written, Value>,
  about: string,
  { least = 0, sameness, separator = /,/, ...options }: Options & ListOptions<Value> = {},
): z.ZodType<Value[], Written | readonly Written[]> {
  const type = z.custom<Written | readonly Written[]>().transform((raw, context): Value[] => {
    const entries = listOf(raw, separator);
    if (entries.length < least) context.addIssue({ code: 'custom', message: 'is empty; give at least one' });
    const pathOf = (index: number): number[] => (entries === raw ? [index] : []);
    const read = entries.map((entry, index) => readOne(kind, entry, context, pathOf(index)));
    if (sameness !== undefined && context.issues.length === 0) refuseRepeats(read, sameness, context, pathOf);
    return read;
  });
  return register(type, { ...options, about, kind, isList: true });
}

function register<Type extends z.ZodType>(type: Type, info: Omit<KeyInfo, 'kind'> & { kind: unknown }): Type {
  // What a kind writes is always what it has read.
  keys.add(type, info as KeyInfo);
  return type;
}

function readOne<Value>(
  kind: Kind<Scalar, Value>,
  raw: unknown,
  context: z.core.$RefinementCtx,
  path: number[],
): Value {
  try {
    return kind.read(textOf(raw));
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    context.addIssue({ code: 'custom', message: error.message, path });
    return z.NEVER;
  }
}

function refuseRepeats<Value>(
  read: readonly Value[],
  sameness: (value: Value) => unknown,
  context: z.core.$RefinementCtx,
  pathOf: (index: number) => number[],
): void {
  const all = read.map((value) => JSON.stringify(sameness(value)));
  for (const [index, one] of all.entries()) {
    const first = all.indexOf(one);
    if (first === index) continue;
    const message = `entry ${index + 1} is the same as entry ${first + 1}; leave one of them out`;
    context.addIssue({ code: 'custom', message, path: pathOf(index) });
  }
}

function listOf(raw: unknown, separator: RegExp): unknown[] {
  if (Array.isArray(raw)) return raw;
  if (raw === '') return [];
  return typeof raw === 'string' ? raw.split(separator) : [raw];
}

function textOf(raw: unknown): string {
  if (raw === undefined) throw new ValueError('is missing');
  if (raw === null) throw new ValueError('has no value; give one or remove the key');
  if (Array.isArray(raw)) throw new ValueError('takes one value, not a list');
  if (typeof raw !== 'string' && typeof raw !== 'number' && typeof raw !== 'boolean') {
    throw new ValueError('takes one value, not a mapping');
  }
  const text = String(raw).trim();
  if (text === '') throw new ValueError('is empty; give a value or leave it out');
  return text;
}

type Shape = Readonly<Record<string, z.ZodPrefault>>;

/** A mapping whose keys all have defaults. */
export function section<S extends Shape>(about: string, shape: S): z.ZodPrefault<z.ZodObject<S, z.core.$strict>> {
  const type = z.strictObject(shape);
  mappings.add(type, { about });
  return type.prefault({} as z.input<typeof type>);
}

/** A list of mappings; empty by default. */
export function sections<Entry extends z.ZodType>(about: string, entry: Entry): z.ZodPrefault<z.ZodArray<Entry>> {
  const type = z.array(entry);
  mappings.add(type, { about });
  return type.prefault([]);
}

type Overrides<S extends Shape> = { [K in keyof S]: z.ZodExactOptional<ReturnType<S[K]['unwrap']>> };

/**
 * The keys of a section again, in a route. There they have no defaults: what is left out comes from the top level.
 *
 * @param own keys that mean something of their own in a route, and have defaults there
 */
export function perRoute<S extends Shape, Own extends Shape>(
  about: string,
  shape: S,
  sample: Readonly<Record<string, Scalar>>,
  own: Own,
): z.ZodPrefault<z.ZodObject<Overrides<S> & Own, z.core.$strict>> {
  const overrides = Object.entries(shape).map(([name, type]) => [name, z.exactOptional(type.unwrap())]);
  const type = z.strictObject({ ...(Object.fromEntries(overrides) as Overrides<S>), ...own });
  mappings.add(type, { about, sample });
  return type.prefault({} as z.input<typeof type>);
}

/** What is known of the key that this type reads; undefined where it is a section or a list of them. */
export function infoOf(type: z.core.$ZodType): KeyInfo | undefined {
  return keys.get(type);
}

/** What is known of a section, or a list of them; undefined where it is neither. */
export function sectionInfoOf(type: z.core.$ZodType): SectionInfo | undefined {
  return mappings.get(type);
}
