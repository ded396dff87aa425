/**
 * Errors of this layer. Both are the operator's to mend and end the program with exit code 2.
 *
 *     Error
 *     ├── ValueError    one value that cannot be read; becomes a Problem
 *     ├── ConfigError   ERR_CONFIG, every Problem of a configuration
 *     └── UsageError    ERR_USAGE, bad command line arguments
 */

/** A mistake in the configuration, with its place. */
export interface Problem {
  /** The file, or `environment`; null for a flag or for the configuration as a whole. */
  readonly file: string | null;
  /** From 1; null outside files. */
  readonly line: number | null;
  /** From 1, in UTF-16 units; null outside files. */
  readonly col: number | null;
  /** Dotted key, variable or flag; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** One value cannot be read. The message says what to write instead and repeats no secret. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

/** The configuration is refused. `problems` holds every mistake; the message has one line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'ERR_CONFIG';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** The command line is refused. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'ERR_USAGE';
}

/** `config.yaml:3:5: keepalive.ping_interval: message`, the places as far as they are known. */
export function formatProblem(problem: Problem): string {
  const { file, line, col, path, message } = problem;
  const place = file === null || line === null ? file : `${file}:${line}:${col ?? 1}`;
  return [place, path, message].filter((part) => part !== null && part !== '').join(': ');
}

/** How a value is repeated in messages: quoted and short. What may hold a password or a token is left out. */
export function shown(text: string): string {
  if (/[@?]/.test(text)) return 'the value';
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}
