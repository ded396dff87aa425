/** The command line. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError } from './errors.ts';
import { didYouMean, nearest } from './nearest.ts';
import type { Flags } from './overrides.ts';

/** `serve` is what happens without a command. */
export type Command = 'serve' | 'check' | 'healthcheck' | 'help' | 'version';

export interface Arguments {
  readonly command: Command;
  readonly flags: Flags;
}

export const HELP = `Usage: ws-keepalive-proxy [options]
       ws-keepalive-proxy check [options]         validate, print the effective configuration
       ws-keepalive-proxy healthcheck [options]   ask the running program, exit 0 or 1

Keeps quiet WebSockets open between a proxy in front (nginx, HAProxy, ...) and a server behind.

Options:
  --upstream URL      server behind: http://, https://, ws://, wss://, or unix:/path
  --listen ADDR       where to listen, host:port or unix:/path; may be repeated (0.0.0.0:8080)
  --config FILE       YAML file; else ./config.yaml, then /etc/ws-keepalive-proxy/config.yaml
  --demo              run in front of a small upstream of its own
  --log-level LEVEL   trace, debug, info, warn, error, fatal or silent (info)
  -h, --help          show this text
  -v, --version       show the version

Every key of the configuration has an environment variable: keepalive.ping_interval is
WSKP_KEEPALIVE_PING_INTERVAL. Flags win over the environment, the environment over the file.
Exit codes: 0 fine, 1 failed, 2 bad arguments or configuration.
`;

const OPTIONS = {
  config: { type: 'string' },
  upstream: { type: 'string' },
  listen: { type: 'string', multiple: true },
  'log-level': { type: 'string' },
  demo: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const satisfies ParseArgsConfig['options'];

const COMMANDS = ['check', 'healthcheck'] as const;

/** Reads `argv`, which starts after the program's own name. Throws UsageError. */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parse(argv);
  const flags: Flags = {
    config: values.config,
    upstream: values.upstream,
    listen: values.listen,
    logLevel: values['log-level'],
    demo: values.demo,
  };
  if (values.help) return { command: 'help', flags };
  if (values.version) return { command: 'version', flags };
  const command = commandOf(positionals);
  if (flags.demo && flags.upstream !== undefined) {
    throw new UsageError('--demo brings an upstream of its own; leave out --demo or --upstream');
  }
  return { command, flags };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    // node:util says well what is wrong with a value, but not which flag was meant.
    const message = error instanceof Error ? error.message : String(error);
    const unknown = /^Unknown option '(-[^']*)'/.exec(message)?.[1];
    throw new UsageError(unknown === undefined ? message.replaceAll('\n', ' ') : unknownFlag(unknown));
  }
}

function unknownFlag(flag: string): string {
  const guess = nearest(flag.replace(/^-+/, ''), Object.keys(OPTIONS));
  return `unknown flag ${flag}${didYouMean(guess && `--${guess}`)}`;
}

function commandOf(positionals: readonly string[]): Command {
  const [word, extra] = positionals;
  if (word === undefined) return 'serve';
  if (word === 'doctor') throw new UsageError('doctor does not work yet');
  const command = COMMANDS.find((known) => known === word);
  if (command === undefined) throw new UsageError(unknownCommand(word));
  if (extra !== undefined) throw new UsageError(`${command} takes no argument; flags start with --`);
  return command;
}

function unknownCommand(word: string): string {
  if (word.includes('://')) return 'a URL needs a flag before it; did you mean --upstream URL?';
  if (/\.ya?ml$/.test(word)) return `a file needs a flag before it; did you mean --config ${word}?`;
  return `unknown command ${word}${didYouMean(nearest(word, COMMANDS))}`;
}
