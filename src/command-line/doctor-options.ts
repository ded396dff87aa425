/** What the doctor is asked to do. Nothing it was given is repeated in an error: URLs and headers carry passwords. */
import { formatDuration, parseDuration } from '../config/duration.ts';
import { UsageError, ValueError } from '../config/errors.ts';

export interface DoctorOptions {
  /** `ws:` or `wss:`, without a fragment. */
  readonly url: URL;
  /** How long the connection is watched, in ms. */
  readonly forMs: number;
  /** Silences to try, in ms, shortest first; null: do not look for idle limits. */
  readonly ladder: readonly number[] | null;
  /** Further headers of every handshake, as given. */
  readonly headers: Readonly<Record<string, string>>;
  /** Go on after a certificate that cannot be trusted. */
  readonly insecure: boolean;
  /** For machines: one JSON document in place of lines. */
  readonly json: boolean;
}

/** The doctor's flags, as `parseArgs` found them. */
export interface DoctorValues {
  readonly json?: boolean | undefined;
  readonly for?: string | undefined;
  readonly 'find-timeout'?: boolean | undefined;
  readonly ladder?: string | undefined;
  readonly header?: readonly string[] | undefined;
  readonly insecure?: boolean | undefined;
}

/** A second past the idle limits that are met most (30, 50, 55, 60, 100, 120, 240 and 300 s). */
const LADDER = [31, 51, 56, 61, 101, 121, 241, 301].map((seconds) => seconds * 1000);
/** Longer than the idle limit that is met most, 60 s. */
const FOR_MS = 90_000;
const LONGEST_FOR_MS = 24 * 3_600_000;
/** What the probe endpoint grants. */
const LONGEST_STEP_MS = 900_000;
const MAX_STEPS = 16;

const HEADER = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
/** The handshake's own. */
const OWN_HEADERS = /^(?:connection|upgrade|sec-websocket-(?:key|version|extensions|accept))$/i;

/** @throws UsageError */
export function doctorOptions(values: DoctorValues, url: string | undefined): DoctorOptions {
  return {
    url: readUrl(url),
    forMs: values.for === undefined ? FOR_MS : readDuration('--for', values.for, LONGEST_FOR_MS),
    ladder: readLadder(values),
    headers: Object.fromEntries((values.header ?? []).map(readHeader)),
    insecure: values.insecure ?? false,
    json: values.json ?? false,
  };
}

function readUrl(text: string | undefined): URL {
  if (text === undefined) throw new UsageError('doctor needs a URL, for example: doctor wss://neko.example.com/ws');
  const url = URL.canParse(text) ? new URL(text) : null;
  const scheme = { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }[url?.protocol ?? ''];
  if (url === null || scheme === undefined) {
    throw new UsageError('doctor needs a URL that starts with wss:// (or ws://, https://, http://)');
  }
  url.protocol = scheme;
  url.hash = '';
  return url;
}

function readLadder(values: DoctorValues): readonly number[] | null {
  if (values.ladder === undefined) return values['find-timeout'] === true ? LADDER : null;
  const steps = values.ladder.split(',').map((step) => readDuration('--ladder', step.trim(), LONGEST_STEP_MS));
  const ladder = [...new Set(steps)].toSorted((one, other) => one - other);
  if (ladder.length > MAX_STEPS)
    throw new UsageError(`--ladder: at most ${MAX_STEPS} steps, the server allows no more`);
  return ladder;
}

function readDuration(flag: string, text: string, longest: number): number {
  try {
    const milliseconds = parseDuration(text);
    if (milliseconds > 0 && milliseconds <= longest) return milliseconds;
  } catch (error) {
    if (error instanceof ValueError) throw new UsageError(`${flag}: ${error.message}`, { cause: error });
    throw error;
  }
  throw new UsageError(`${flag}: must be more than 0 and at most ${formatDuration(longest)}`);
}

function readHeader(text: string): [name: string, value: string] {
  const [, name, value] = HEADER.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new UsageError("--header takes one header with its name, for example: --header 'Cookie: session=...'");
  }
  if (OWN_HEADERS.test(name)) throw new UsageError(`--header: ${name} belongs to the handshake itself; leave it out`);
  if (/^sec-websocket-protocol$/i.test(name)) checkProtocols(name, value);
  return [name, value.trimEnd()];
}

/** RFC 6455 4.1: names without spaces, each of them once. */
function checkProtocols(header: string, value: string): void {
  const names = value.split(',').map((name) => name.trim());
  const isList = names.every((name) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name));
  if (isList && new Set(names).size === names.length) return;
  throw new UsageError(`--header: ${header} takes names, separated by commas, each of them once`);
}
