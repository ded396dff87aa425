/** From file, environment and flags to settings. Precedence: flag, environment, file, default. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Settings } from '../core/settings.ts';
import * as checks from './checks.ts';
import { parseConfigDocument } from './document.ts';
import { completeRoutes, type EffectiveConfig, toSettings } from './effective.ts';
import { ConfigError } from './errors.ts';
import { schema } from './keys.ts';
import { type Environment, environmentOverrides, type Flags, flagOverrides } from './overrides.ts';
import { findSource, type ReadFile } from './source.ts';
import { warningsFor } from './warnings.ts';

export interface LoadOptions {
  readonly flags?: Flags;
  readonly env?: Environment;
  /** What relative paths start from. */
  readonly cwd?: string;
  /** Reads a file as UTF-8, or throws as `readFileSync` does. */
  readonly readFile?: ReadFile;
  /** False for a command that forwards nothing. `--demo` brings an upstream of its own. Default true. */
  readonly needsUpstream?: boolean;
}

export interface Loaded {
  readonly settings: Settings;
  /** The same, as it is written in files. */
  readonly config: EffectiveConfig;
  /** The file that was read, as it was named; null when there was none. */
  readonly file: string | null;
  /** What is valid and probably not meant; one sentence each. */
  readonly warnings: readonly string[];
}

/** Reads and checks the whole configuration. Throws ConfigError with every mistake in it. */
export function loadSettings(options: LoadOptions = {}): Loaded {
  const { flags = {}, env = process.env, cwd = process.cwd() } = options;
  const readFile: ReadFile = (path) => (options.readFile ?? readText)(resolve(cwd, path));
  const source = findSource(flags.config, env['WSKP_CONFIG'], readFile);
  const document = source.text === null ? null : parseConfigDocument(source.file, source.text);
  const environment = environmentOverrides(env);
  const input = checks.mergeInput(document, [...environment.overrides, ...flagOverrides(flags)]);
  const known = document?.broken !== true && source.problems.length === 0;
  const needsUpstream = known && (options.needsUpstream ?? flags.demo !== true);

  const parsed = schema.safeParse(input.tree);
  const problems = [
    ...source.problems,
    ...(document?.problems ?? []),
    ...environment.problems,
    ...(parsed.error?.issues ?? []).flatMap((issue) => checks.describeIssue(issue, input)),
    ...checks.routeNameProblems(input),
    ...(needsUpstream ? checks.upstreamProblems(input, source.file) : []),
    ...(parsed.data?.proxy_protocol === true ? checks.proxyProtocolProblems(input) : []),
    ...(parsed.data ? checks.certificateProblems(parsed.data, input, readFile) : []),
  ];
  if (problems.length > 0 || !parsed.data) throw new ConfigError(checks.inFileOrder(problems));
  const config = completeRoutes(parsed.data);
  const settings = toSettings(config);
  return { settings, config, file: source.file, warnings: warningsFor(settings) };
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}
