/**
 * The program's log: pino, one JSON object a line, or readable lines on a terminal. Everything is written
 * synchronously in this process, so that the last line before an exit is not lost.
 *
 * The message is constant, what varies is in fields. What is said at which level:
 *
 * - `fatal`  the program cannot go on; the exit follows.
 * - `error`  something failed that must not (a defect, a broken descriptor); the program goes on.
 * - `warn`   somebody should act: a WebSocket upgrade failed, a bad configuration was ignored on reload, the proxy in
 *            front lacks lines, a shorter ping interval was learned.
 * - `info`   start, listeners, stop, and exactly one line when a WebSocket opens and one when it closes.
 * - `debug`  plain HTTP requests that failed, client ends during a handshake, decisions of the keepalive.
 * - `trace`  frames' headers, never their payload.
 *
 * No secret at any level: fields named for credentials are replaced, query values are hidden in every string,
 * errors lose their URLs, and objects that hold whole requests (sockets, messages) are named, not shown.
 */
import { pino } from 'pino';
import type { Bindings, ChildLoggerOptions, DestinationStream, Logger } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { redactText } from '../core/redact.ts';
import type { QueryLogging, Settings } from '../core/settings.ts';

const HIDDEN = '[redacted]';
const SECRET_FIELD =
  /^(proxy-)?authorization$|^(set-)?cookie$|^sec-websocket-protocol$|^x-api-key$|^password$|^token$/i;
/** Any URL but `file:`, which the stack of an ES module consists of. */
const URL_IN_TEXT = /\b(?!file:)[a-z][a-z0-9+.-]*:\/\/[^\s"'<>)]+/gi;
const MAX_DEPTH = 5;

/** Pino's own type is for custom levels as well. */
type CreateChild = (this: Logger, bindings: Bindings, options?: ChildLoggerOptions) => Logger;

/** Where lines go: one call of `write` for each, its line break included. */
export type LogDestination = DestinationStream;

/**
 * A logger for these settings. It writes to standard output unless a destination is given; `auto` means readable
 * when standard output is a terminal, and JSON elsewhere.
 */
export function createLogger(settings: Settings['log'], destination?: LogDestination): Logger {
  const output = destination ?? pino.destination({ fd: 1, sync: true });
  const onTerminal = destination === undefined && process.stdout.isTTY;
  const pretty = settings.format === 'pretty' || (settings.format === 'auto' && onTerminal);
  const clean = (fields: object): Record<string, unknown> => cleanFields(fields, settings.query, 0);
  const logger = pino(
    {
      level: settings.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }), log: clean },
      // `clean` has already turned errors into plain objects; pino's own serializer would copy all their properties.
      serializers: { err: (value: unknown) => value },
    },
    pretty ? readable(output, onTerminal) : output,
  );
  return cleaningChildren(logger, clean);
}

/**
 * Formatters do not see what is bound to a child logger. Pino's own redaction would, but for that it looks at every line once more.
 */
function cleaningChildren(logger: Logger, clean: (fields: object) => Record<string, unknown>): Logger {
  const create = Reflect.get(logger, 'child') as unknown as CreateChild;
  function child(this: Logger, bindings: Bindings, options?: ChildLoggerOptions): Logger {
    return create.call(this, clean(bindings), options);
  }
  return Object.assign(logger, { child });
}

/** pino-pretty as a plain function in the way of each line: no worker thread, no stream that an exit could cut off. */
function readable(output: LogDestination, colorize: boolean): LogDestination {
  const format = prettyFactory({ colorize, translateTime: 'SYS:HH:MM:ss.l', singleLine: true });
  return { write: (line) => output.write(format(line)) };
}

function cleanFields(fields: object, mode: QueryLogging, depth: number): Record<string, unknown> {
  if (fields instanceof Error) return { err: cleanError(fields, mode, depth) };
  const clean: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    clean[name] = SECRET_FIELD.test(name) ? HIDDEN : cleanValue(value, mode, depth + 1);
  }
  return clean;
}

function cleanValue(value: unknown, mode: QueryLogging, depth: number): unknown {
  // Without an equals sign, plain or encoded, there is no query value in it.
  if (typeof value === 'string') return /[=%]/.test(value) ? redactText(value, mode) : value;
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return cleanError(value, mode, depth);
  if (value instanceof Date) return value;
  if (depth > MAX_DEPTH) return '[deep]';
  if (Array.isArray(value)) return cleanList(value, mode, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return cleanFields(value, mode, depth);
  return `[${value.constructor.name}]`;
}

/** A list may be raw headers, names and values in turn: what follows a secret's name is hidden. */
function cleanList(list: readonly unknown[], mode: QueryLogging, depth: number): unknown[] {
  return list.map((value, index) => {
    const before: unknown = list[index - 1];
    return typeof before === 'string' && SECRET_FIELD.test(before) ? HIDDEN : cleanValue(value, mode, depth + 1);
  });
}

/** What is known to be harmless in an error: Node and libraries hang requests, URLs and buffers on theirs. */
function cleanError(error: Error, mode: QueryLogging, depth: number): Record<string, unknown> {
  const text = (value: string): string => redactText(value.replace(URL_IN_TEXT, '[url]'), mode);
  const clean: Record<string, unknown> = { type: error.name, message: text(error.message) };
  if ('code' in error && typeof error.code === 'string') clean['code'] = error.code;
  if ('syscall' in error && typeof error.syscall === 'string') clean['syscall'] = error.syscall;
  if (error.stack !== undefined) clean['stack'] = text(error.stack);
  if (error.cause instanceof Error && depth < MAX_DEPTH) clean['cause'] = cleanError(error.cause, mode, depth + 1);
  if (error instanceof AggregateError && depth < MAX_DEPTH) clean['errors'] = cleanList(error.errors, mode, depth + 1);
  return clean;
}
