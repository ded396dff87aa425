/** What environment variables and flags say, each with the name it goes by in messages. */
import type { Problem } from './errors.ts';
import { didYouMean, nearest } from './nearest.ts';
import { infoAt, keysAt, valuePaths } from './schema.ts';

/** What `parseArguments` found for each flag, named without `--`; those that stand for keys are told in `keys.ts`. */
export interface Flags {
  /** Path of the file. */
  readonly config?: string | undefined;
  /** The program brings an upstream of its own. */
  readonly demo?: boolean | undefined;
  readonly upstream?: string | readonly string[] | undefined;
  readonly listen?: readonly string[] | undefined;
  readonly [flag: string]: string | readonly string[] | boolean | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Override {
  readonly path: readonly string[];
  readonly value: unknown;
  /** `environment`, or null for a flag. */
  readonly file: 'environment' | null;
  /** `WSKP_UPSTREAM`, `--upstream`. */
  readonly name: string;
}

const PREFIX = 'WSKP_';

/** The variable that sets the value at `path`: `WSKP_KEEPALIVE_PING_INTERVAL`. */
export function variableOf(path: readonly string[]): string {
  return PREFIX + path.join('_').toUpperCase();
}

/** Every `WSKP_` variable but `WSKP_CONFIG`, and a problem for each one that is unknown. */
export function environmentOverrides(env: Environment): { overrides: Override[]; problems: Problem[] } {
  const known = new Map(valuePaths().map((path) => [variableOf(path), path]));
  const overrides: Override[] = [];
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || name === 'WSKP_CONFIG' || value === undefined) continue;
    const path = known.get(name);
    const flaw = path === undefined ? unknownVariable(name, known) : quoted(value);
    if (path !== undefined && flaw === null) overrides.push({ path, value, file: 'environment', name });
    else problems.push({ file: 'environment', line: null, col: null, path: name, message: flaw ?? '' });
  }
  return { overrides, problems };
}

/** Shells take quotes away; env files, compose lists and unit files may not. */
function quoted(value: string): string | null {
  const isQuoted = /^\s*(["']).*\1\s*$/s.test(value);
  return isQuoted ? 'has quotes in its value; leave them out: they became part of the value' : null;
}

function unknownVariable(name: string, known: ReadonlyMap<string, unknown>): string {
  if (/^WSKP_ROUTES(?:_|$)/.test(name))
    return 'routes can be given only in a configuration file; name it with WSKP_CONFIG';
  const section = keysAt([]).find((key) => variableOf([key]) === name);
  if (section !== undefined) {
    const variables = keysAt([section]).map((key) => variableOf([section, key]));
    return `${section} has several keys, each with a variable: ${variables.join(', ')}`;
  }
  // Without the common prefix, which would make any two names look alike.
  const names = [...known.keys(), 'WSKP_CONFIG'].map((variable) => variable.slice(PREFIX.length));
  const guess = nearest(name.slice(PREFIX.length), names);
  return `unknown variable${didYouMean(guess && PREFIX + guess)}`;
}

/** The flags that stand for keys of the configuration. */
export function flagOverrides(flags: Flags): Override[] {
  return valuePaths().flatMap((path) => {
    const flag = infoAt(path)?.flag;
    const value = flag === undefined ? undefined : flags[flag];
    if (value === undefined) return [];
    // Repeated, or with commas as in the environment.
    const given = Array.isArray(value) ? value.join(',') : value;
    return [{ path, value: given, file: null, name: `--${flag}` }];
  });
}
