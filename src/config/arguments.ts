/** The command line. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { type DoctorOptions, doctorOptions } from './doctor-arguments.ts';
import { UsageError } from './errors.ts';
import { didYouMean, nearest } from './nearest.ts';
import type { Flags } from './overrides.ts';

/** `serve` is what happens without a command. */
type Command = 'serve' | 'check' | 'healthcheck' | 'help' | 'version';

export type Arguments =
  | { readonly command: Command; readonly flags: Flags }
  | { readonly command: 'doctor'; readonly flags: Flags; readonly doctor: DoctorOptions };

export const HELP = `Usage: ws-keepalive-proxy [options]
       ws-keepalive-proxy check [options]         validate, print the effective configuration
       ws-keepalive-proxy healthcheck [options]   ask the running program, exit 0 or 1
       ws-keepalive-proxy doctor URL [options]    test a public wss:// URL from outside

Keeps quiet WebSockets open between a proxy in front (nginx, HAProxy, ...) and a server behind.

Options:
  --upstream URL      server behind: http://, https://, ws://, wss://, or unix:/path
  --listen ADDR       where to listen, host:port or unix:/path; may be repeated (0.0.0.0:8080)
  --config FILE       YAML file; else ./config.yaml, then /etc/ws-keepalive-proxy/config.yaml
  --demo              run in front of a small upstream of its own
  --log-level LEVEL   trace, debug, info, warn, error, fatal or silent (info)
  -h, --help          show this text
  -v, --version       show the version

Options of doctor:
  --for TIME          how long the connection has to last, for example 5m (90s)
  --find-timeout      find the idle limits on the way; needs "probe: true" at the other end
  --ladder TIMES      silences to try for that (31s,51s,56s,61s,101s,121s,241s,301s)
  --header 'N: V'     a further header of the handshake, such as a cookie; may be repeated
  --insecure          go on after a certificate that cannot be trusted
  --json              for machines

Every key of the configuration has an environment variable: keepalive.ping_interval is
WSKP_KEEPALIVE_PING_INTERVAL. Flags win over the environment, the environment over the file.
Exit codes: 0 fine or healthy, 1 failed or unhealthy, 2 bad arguments or configuration.
`;

const OPTIONS = {
  config: { type: 'string' },
  upstream: { type: 'string' },
  listen: { type: 'string', multiple: true },
  'log-level': { type: 'string' },
  demo: { type: 'boolean' },
  for: { type: 'string' },
  'find-timeout': { type: 'boolean' },
  ladder: { type: 'string' },
  header: { type: 'string', multiple: true },
  insecure: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const satisfies ParseArgsConfig['options'];

const COMMANDS = ['check', 'healthcheck', 'doctor'] as const;
const DOCTOR_FLAGS = ['for', 'find-timeout', 'ladder', 'header', 'insecure', 'json'] as const;

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
  refuseForeignFlags(command, Object.keys(values));
  if (command === 'doctor') return { command, flags, doctor: doctorOptions(values, positionals[1]) };
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

/** A flag that would have no effect is refused. */
function refuseForeignFlags(command: Command | 'doctor', given: readonly string[]): void {
  const isDoctors = (flag: string): boolean => DOCTOR_FLAGS.some((known) => known === flag);
  const foreign = given.find((flag) => isDoctors(flag) !== (command === 'doctor'));
  if (foreign === undefined) return;
  const whose = command === 'doctor' ? 'the doctor needs no configuration' : 'it is for: ws-keepalive-proxy doctor URL';
  throw new UsageError(`--${foreign} does not belong here; ${whose}`);
}

function commandOf(positionals: readonly string[]): Command | 'doctor' {
  const [word, extra, more] = positionals;
  if (word === undefined) return 'serve';
  const command = COMMANDS.find((known) => known === word);
  if (command === undefined) throw new UsageError(unknownCommand(word));
  if (command === 'doctor') {
    if (more !== undefined) throw new UsageError('doctor takes one URL; put it into quotes, because of the & in it');
    return command;
  }
  if (extra !== undefined) throw new UsageError(`${command} takes no argument; flags start with --`);
  return command;
}

function unknownCommand(word: string): string {
  if (word.includes('://')) return 'a URL needs a flag before it; did you mean --upstream URL?';
  if (/\.ya?ml$/.test(word)) return `a file needs a flag before it; did you mean --config ${word}?`;
  return `unknown command ${word}${didYouMean(nearest(word, COMMANDS))}`;
}
