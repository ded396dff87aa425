/** Log lines for people at a terminal: when, how bad, and what happened in words. The fields are in the JSON. */
import { stripVTControlCharacters, styleText } from 'node:util';

type Line = Readonly<Record<string, unknown>>;
type Colour = 'red' | 'yellow' | 'gray' | 'green';

const COLOURS: Readonly<Record<string, Colour>> = {
  fatal: 'red',
  error: 'red',
  warn: 'yellow',
  debug: 'gray',
  trace: 'gray',
};
/** Said by every line, or only of use to programs. */
const UNSAID = new Set(['level', 'time', 'msg', 'err', 'left_out']);

/** What is said of the lines that people read most. */
const SENTENCES: Readonly<Record<string, (line: Line) => string>> = {
  'websocket opened': (line) => `opened ${whose(line)}`,
  'websocket closed': (line) =>
    `closed ${whose(line)} after ${span(Number(line['duration_ms']))}: ${text(line['verdict'])}`,
  'upgrade failed': (line) =>
    `failed ${whose(line)} with ${text(line['status'])}: ${text(line['verdict'])} (${text(line['detail'])})`,
  'upstream cannot be reached': (line) =>
    `upstream ${text(line['upstream'])} of route ${text(line['route'])} cannot be reached: ${text(line['error'])}`,
  'upstream is back': (line) => `upstream ${text(line['upstream'])} of route ${text(line['route'])} is back`,
  request: (line) =>
    `${text(line['status'])} ${text(line['method'])} ${text(line['path'])} for ${text(line['client'])} in ${span(Number(line['duration_ms']))}`,
};

/** @param json one line of the log, with its line break */
export function formatForTerminal(json: string, isColoured: boolean): string {
  const line = JSON.parse(json) as Line;
  const level = text(line['level']);
  const colour = isColoured ? COLOURS[level] : undefined;
  const say = SENTENCES[text(line['msg'])] ?? plainly;
  const leftOut = line['left_out'] === undefined ? '' : ` (and ${text(line['left_out'])} alike before it, left out)`;
  const head = `${text(line['time'])
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')} ${level.toUpperCase().padEnd(5)}`;
  return `${colour === undefined ? head : styleText(colour, head, { validateStream: false })} ${printableText(say(line))}${leftOut}${stackOf(line)}\n`;
}

function plainly(line: Line): string {
  const fields = Object.entries(line).filter(([name]) => !UNSAID.has(name));
  return [text(line['msg']), ...fields.map(([name, value]) => `${name}=${text(value)}`)].join('  ');
}

function whose(line: Line): string {
  const route = line['route'] === 'default' ? '' : ` (${text(line['route'])})`;
  return `${text(line['client'])} ${text(line['path'])}${route}`;
}

function stackOf({ err }: Line): string {
  if (typeof err !== 'object' || err === null) return '';
  const { stack, message } = err as { stack?: unknown; message?: unknown };
  return `\n${text(stack ?? message)}`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

/** What came from outside must not move the cursor. */
function printableText(value: string): string {
  return stripVTControlCharacters(value).replaceAll(/\p{Cc}/gu, ' ');
}

/** As people say it: the two largest units that matter. */
function span(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10 && Math.floor(seconds % 60) > 0) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
