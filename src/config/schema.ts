/** Every key of the configuration: how it is read, its range, its default. `config.example.yaml` documents them. */
import { z } from 'zod';
import type { LogLevel } from '../core/settings.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './duration.ts';
import { ValueError } from './errors.ts';
import * as values from './values.ts';

const LOG_LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
const DAY = 24 * 3_600_000;

type Read<T> = (text: string) => T;

/** A single value; numbers and booleans of YAML are read as the text they came from, as in the environment. */
function one<T>(read: Read<T>) {
  return z.unknown().transform((raw, context): T => {
    try {
      return read(textOf(raw));
    } catch (error) {
      return refuse(error, context, []);
    }
  });
}

/** A list of single values, or text with commas, as the environment has it. */
function list<T>(read: Read<T>, least = 0) {
  return z.unknown().transform((raw, context): T[] => {
    const entries = listOf(raw);
    if (entries.length < least) context.addIssue({ code: 'custom', message: 'is empty; give at least one' });
    return entries.map((entry, index) => {
      try {
        return read(textOf(entry));
      } catch (error) {
        return refuse(error, context, entries === raw ? [index] : []);
      }
    });
  });
}

function refuse(error: unknown, context: z.core.$RefinementCtx, path: number[]): never {
  if (!(error instanceof ValueError)) throw error;
  context.addIssue({ code: 'custom', message: error.message, path });
  return z.NEVER;
}

function listOf(raw: unknown): unknown[] {
  if (Array.isArray(raw)) return raw;
  if (raw === '') return [];
  return typeof raw === 'string' ? raw.split(',') : [raw];
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

interface Range {
  readonly least: number;
  readonly most: number;
  readonly off: boolean;
}

/** A quantity in a range; without `off` it has to be finite. */
function within(read: Read<number>, format: (value: number) => string, range: Range): Read<number> {
  return (text) => {
    const value = read(text);
    if (value === Infinity && range.off) return value;
    if (value === Infinity) throw new ValueError(`cannot be off; write at most ${format(range.most)}`);
    if (value < range.least)
      throw new ValueError(`${text} is too short or small; write at least ${format(range.least)}`);
    if (value > range.most) throw new ValueError(`${text} is too much; write at most ${format(range.most)}`);
    return value;
  };
}

const duration = (range: Partial<Range>) =>
  one(within(parseDuration, formatDuration, { least: 10, most: DAY, off: false, ...range }));
const size = (range: Range) => one(within(parseSize, formatSize, range));
const readConnections: Read<number | 'auto'> = (text) => (text === 'auto' ? 'auto' : values.parseCount(text));
const readAdminListen: Read<ReturnType<typeof values.parseListen> | null> = (text) =>
  text === 'off' ? null : values.parseListen(text);

const policy = z.strictObject({
  ping_interval: duration({ off: true }),
  pong_timeout: duration({ off: true }),
  mode: one(values.parseWord(['idle', 'always'])),
  upstream_ping_interval: duration({ off: true }),
  upstream_pong_timeout: duration({ off: true }),
  adaptive: one(values.parseBoolean),
  front_idle_timeout: duration({ off: true }),
});

const keepalive = z.strictObject({
  ping_interval: policy.shape.ping_interval.prefault('10s'),
  pong_timeout: policy.shape.pong_timeout.prefault('30s'),
  mode: policy.shape.mode.prefault('idle'),
  upstream_ping_interval: policy.shape.upstream_ping_interval.prefault('30s'),
  upstream_pong_timeout: policy.shape.upstream_pong_timeout.prefault('60s'),
  adaptive: policy.shape.adaptive.prefault(true),
  front_idle_timeout: policy.shape.front_idle_timeout.prefault('60s'),
});

const route = z.strictObject({
  name: one(values.parseRouteName).optional(),
  host: one(values.parseRouteHost).optional(),
  path: one(values.parseRoutePath).optional(),
  upstream: one(values.parseUpstream),
  keepalive: policy.partial().prefault({}),
});

export const schema = z.strictObject({
  listen: list(values.parseListen, 1).prefault('0.0.0.0:8080'),
  upstream: one(values.parseUpstream).optional(),
  upstream_tls: z
    .strictObject({
      ca: one((text) => text).prefault('system'),
      verify: one(values.parseBoolean).prefault(true),
    })
    .prefault({}),
  keepalive: keepalive.prefault({}),
  routes: z.array(route).prefault([]),
  allowed_origins: list(values.parseOrigin).prefault([]),
  trusted_proxies: list(values.parseTrustedProxy).prefault(['loopback', 'private']),
  timeouts: z
    .strictObject({
      connect: duration({}).prefault('5s'),
      handshake: duration({}).prefault('15s'),
      stall: duration({}).prefault('60s'),
      drain: duration({ least: 0 }).prefault('8s'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      connections: one(readConnections).prefault('auto'),
      connections_per_ip: one(values.parseCount).prefault('off'),
      frame: size({ least: 125, most: Number.MAX_SAFE_INTEGER, off: true }).prefault('off'),
      header_bytes: size({ least: 1024, most: 2 ** 20, off: false }).prefault('16KiB'),
      buffer: size({ least: 4096, most: 2 ** 30, off: false }).prefault('256KiB'),
      control_frames_per_second: one(values.parseCount).prefault(20),
    })
    .prefault({}),
  admin: z
    .strictObject({
      listen: one(readAdminListen).prefault('127.0.0.1:9090'),
      hosts: list(values.parseHostName).prefault([]),
    })
    .prefault({}),
  probe: one(values.parseBoolean).prefault(false),
  log: z
    .strictObject({
      level: one(values.parseWord(LOG_LEVELS)).prefault('info'),
      format: one(values.parseWord(['auto', 'json', 'pretty'])).prefault('auto'),
      query: one(values.parseWord(['redact', 'keep'])).prefault('redact'),
    })
    .prefault({}),
});

/** What the schema makes of a file, environment and flags. Durations are milliseconds, sizes bytes. */
export type Config = z.output<typeof schema>;

/** A place in the configuration: keys, and indexes of lists. */
export type KeyPath = readonly (string | number)[];

/** The schema at `path`, without its default; undefined where there is none. */
export function schemaAt(path: KeyPath): z.core.$ZodType | undefined {
  let here: z.core.$ZodType | undefined = schema;
  for (const step of path) {
    if (here instanceof z.ZodObject && typeof step === 'string' && Object.hasOwn(here.shape, step)) {
      here = unwrap(here.shape[step]);
    } else if (here instanceof z.ZodArray && typeof step === 'number') here = here.element;
    else return undefined;
  }
  return here;
}

function unwrap(type: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  return type instanceof z.ZodPrefault || type instanceof z.ZodOptional ? type.unwrap() : type;
}

/** The keys that may stand in the mapping at `path`; none where it is no mapping. */
export function keysAt(path: KeyPath): string[] {
  const here = schemaAt(path);
  return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
}

/** The paths of every value outside `routes`, such as `['keepalive', 'ping_interval']`. */
export function valuePaths(parent: readonly string[] = []): string[][] {
  return keysAt(parent).flatMap((key) => {
    const path = [...parent, key];
    if (key === 'routes') return [];
    return keysAt(path).length > 0 ? valuePaths(path) : [path];
  });
}

/** The default of the value at `path` as it would be written, such as `10s`; undefined when it has none. */
export function defaultAt(path: readonly string[]): unknown {
  const parent = schemaAt(path.slice(0, -1));
  const field: unknown = parent instanceof z.ZodObject ? parent.shape[path.at(-1) ?? ''] : undefined;
  return field instanceof z.ZodPrefault ? field.def.defaultValue : undefined;
}
