/**
 * The program's log: pino, one JSON object a line, or sentences on a terminal. `log-output` says where lines go, and that
 * nobody who reads them can stop the program.
 *
 * The message is constant, what varies is in fields. What is said at which level:
 *
 * - `fatal`  the program cannot go on; the exit follows.
 * - `error`  something failed that must not (a defect, a broken descriptor); the program goes on.
 * - `warn`   somebody should act: a WebSocket upgrade failed, a bad configuration was ignored on reload, the proxy in
 *            front lacks lines, a shorter ping interval was learned. Of those that say the same, 20 pass in ten seconds.
 * - `info`   start, listeners, stop, exactly one line when a WebSocket opens and one when it closes, and with
 *            `log.requests` one for each plain HTTP request.
 * - `debug`  plain HTTP requests that failed, client ends during a handshake, decisions of the keepalive.
 * - `trace`  frames' headers, never their payload.
 *
 * No secret at any level: fields named for credentials are replaced, query values are hidden in every string,
 * errors lose their URLs, and objects that hold whole requests (sockets, messages) are named, not shown.
 */
import { pino } from 'pino';
import type {
  Bindings,
  ChildLoggerOptions,
  DestinationStream,
  Logger,
  LoggerOptions as LoggerOptionsOfPino,
} from 'pino';
import { redactText } from '../../http/redact.ts';
import type { QueryLogging, Settings } from '../../core/settings.ts';
import { LineLimit } from './line-limit.ts';
import { type LogOutput, standardOutput } from './log-output.ts';
import { formatForTerminal } from './terminal-format.ts';

const HIDDEN = '[redacted]';
const SECRET_FIELD =
  /^(proxy-)?authorization$|^(set-)?cookie$|^sec-websocket-protocol$|^x-api-key$|^password$|^token$/i;
/** Any URL but `file:`, which the stack of an ES module consists of. */
const URL_IN_TEXT = /\b(?!file:)[a-z][a-z0-9+.-]*:\/\/[^\s"'<>)]+/gi;
const MAX_DEPTH = 5;

/** Pino's own type is for custom levels as well. */
type CreateChild = (this: Logger, bindings: Bindings, options?: ChildLoggerOptions) => Logger;

/** Where lines go: one call of `write` for each, its line break included. */
type LogDestination = DestinationStream;

export interface LoggerOptions {
  /** Default: standard output. */
  readonly destination?: LogDestination;
  /** ms on the monotonic clock. */
  readonly now?: () => number;
}

/** The program's own: it knows what was dropped, and can wait until everything was taken. */
export interface ProgramLog {
  readonly log: Logger;
  readonly output: LogOutput;
}

export function createProgramLog(settings: Settings['log']): ProgramLog {
  const output = standardOutput();
  return { log: createLogger(settings, { destination: output }), output };
}

/** A logger for these settings. `auto` means sentences when standard output is a terminal, and JSON elsewhere. */
export function createLogger(settings: Settings['log'], options: LoggerOptions = {}): Logger {
  const { destination: output = standardOutput(), now = () => performance.now() } = options;
  const isTerminal = process.stdout.isTTY;
  const pretty = settings.format === 'pretty' || (settings.format === 'auto' && isTerminal);
  const isColoured = isTerminal && (process.env['NO_COLOR'] ?? '') === '';
  const clean = (fields: object): Record<string, unknown> => cleanFields(fields, settings.query, 0);
  const logger = pino(
    {
      level: settings.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }), log: clean },
      // `clean` has already turned errors into plain objects; pino's own serializer would copy all their properties.
      serializers: { err: (value: unknown) => value },
      hooks: { logMethod: limitingWarnings(new LineLimit(now)) },
    },
    pretty ? { write: (line) => output.write(formatForTerminal(line, isColoured)) } : output,
  );
  return cleaningChildren(logger, clean);
}

/** How long after a warning was left out that is told, in ms. */
const LOOK_MS = 10_000;

/** One client can cause warnings at will: of those with the same message, reason and route most are left out. */
function limitingWarnings(limit: LineLimit): LogMethod {
  let timer: NodeJS.Timeout | null = null;
  function look(logger: Logger): void {
    timer ??= setTimeout(() => tell(logger), LOOK_MS).unref();
  }
  function tell(logger: Logger): void {
    timer = null;
    const kinds = limit.takeLeftOut();
    const sum = Object.values(kinds).reduce((so, count) => so + count, 0);
    if (sum > 0) logger.warn({ left_out: sum, kinds }, 'warnings left out');
    if (limit.owes) look(logger);
  }
  return function logMethod(args, method, level) {
    const [fields, message] = args as unknown as [object | string, string?];
    const isWarning = level === WARN && typeof fields === 'object';
    const leftOut = isWarning ? limit.pass(kindOf(fields, message)) : 0;
    if (leftOut === null) look(this);
    else if (leftOut === 0) method.apply(this, args);
    else method.apply(this, [{ ...(fields as object), left_out: leftOut }, message] as unknown as typeof args);
  };
}

type LogMethod = NonNullable<NonNullable<LoggerOptionsOfPino['hooks']>['logMethod']>;
const WARN = 40;

/** Closed sets of words: no address and no path. */
function kindOf(fields: object, message = ''): string {
  const { reason, route } = fields as { readonly reason?: unknown; readonly route?: unknown };
  return [message, reason, route].filter((word) => typeof word === 'string').join(' ');
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

function cleanFields(fields: object, mode: QueryLogging, depth: number): Record<string, unknown> {
  if (fields instanceof Error) return { err: cleanError(fields, mode, depth) };
  const clean: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    clean[name] = SECRET_FIELD.test(name) ? HIDDEN : cleanValue(value, mode, depth + 1);
  }
  return clean;
}

function cleanValue(value: unknown, mode: QueryLogging, depth: number): unknown {
  if (typeof value === 'string') return redactText(value, mode);
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
