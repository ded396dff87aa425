/** What environment variables and flags say, each with the name it goes by in messages. */
import type { Problem } from './errors.ts';
import { didYouMean, nearest } from './nearest.ts';
import { keysAt, valuePaths } from './schema.ts';

/** The flags that change settings, as `parseArguments` found them. */
export interface Flags {
  /** `--config`: path of the file. */
  readonly config?: string | undefined;
  /** `--upstream`. */
  readonly upstream?: string | undefined;
  /** `--listen`, as often as it was given. */
  readonly listen?: readonly string[] | undefined;
  /** `--log-level`. */
  readonly logLevel?: string | undefined;
  /** `--demo`: the program brings an upstream of its own. */
  readonly demo?: boolean | undefined;
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
    if (path !== undefined) overrides.push({ path, value, file: 'environment', name });
    else
      problems.push({ file: 'environment', line: null, col: null, path: name, message: unknownVariable(name, known) });
  }
  return { overrides, problems };
}

function unknownVariable(name: string, known: ReadonlyMap<string, unknown>): string {
  if (/^WSKP_ROUTES(?:_|$)/.test(name))
    return 'routes are given in a configuration file alone; name it with WSKP_CONFIG';
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
  const all: Override[] = [
    { path: ['upstream'], value: flags.upstream, file: null, name: '--upstream' },
    { path: ['listen'], value: flags.listen, file: null, name: '--listen' },
    { path: ['log', 'level'], value: flags.logLevel, file: null, name: '--log-level' },
  ];
  return all.filter((override) => override.value !== undefined);
}
