/** The command line. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError } from '../config/errors.ts';
import { didYouMean, nearest } from '../config/nearest.ts';
import type { Flags } from '../config/overrides.ts';
import { type DoctorOptions, doctorOptions } from './doctor-options.ts';
import { COMMAND_HELP, COMMANDS, HELP } from './help.ts';

/** `serve` is what happens without a command. */
type Command = 'serve' | 'check' | 'version';

export type Arguments =
  | { readonly command: Command; readonly flags: Flags }
  | { readonly command: 'help'; readonly flags: Flags; readonly text: string }
  | { readonly command: 'healthcheck'; readonly flags: Flags; readonly ready: boolean }
  | { readonly command: 'doctor'; readonly flags: Flags; readonly doctor: DoctorOptions };

const OPTIONS = {
  config: { type: 'string' },
  upstream: { type: 'string', multiple: true },
  listen: { type: 'string', multiple: true },
  'log-level': { type: 'string' },
  demo: { type: 'boolean' },
  ready: { type: 'boolean' },
  for: { type: 'string' },
  'find-timeout': { type: 'boolean' },
  ladder: { type: 'string' },
  header: { type: 'string', multiple: true },
  insecure: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const satisfies ParseArgsConfig['options'];

/** What other programs call it. */
const STARTING = /^(?:start|run|serve|up|proxy)$/;
const DOCTOR_FLAGS = ['for', 'find-timeout', 'ladder', 'header', 'insecure', 'json'] as const;

/** Reads `argv`, which starts after the program's own name. Throws UsageError. */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parse(argv);
  const { config, upstream, listen, 'log-level': logLevel, demo } = values;
  const flags: Flags = { config, upstream, listen, 'log-level': logLevel, demo };
  if (values.help || positionals[0] === 'help') return { command: 'help', flags, text: helpFor(positionals) };
  if (values.version) return { command: 'version', flags };
  const command = commandOf(positionals);
  refuseForeignFlags(command, Object.keys(values));
  if (command === 'doctor') return { command, flags, doctor: doctorOptions(values, positionals[1]) };
  if (demo && upstream !== undefined) {
    throw new UsageError('--demo brings an upstream of its own; leave out --demo or --upstream');
  }
  return command === 'healthcheck' ? { command, flags, ready: values.ready === true } : { command, flags };
}

/** @throws UsageError for `help` with what is no command */
function helpFor([word, topic]: readonly string[]): string {
  if (word === 'help' && topic !== undefined && topic !== 'help') return COMMAND_HELP[knownCommand(topic)];
  const command = COMMANDS.find((known) => known === word);
  return command === undefined ? HELP : COMMAND_HELP[command];
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
function refuseForeignFlags(command: Arguments['command'], given: readonly string[]): void {
  if (given.includes('ready') && command !== 'healthcheck') {
    throw new UsageError('--ready does not belong here; it is for: ws-keepalive-proxy healthcheck');
  }
  const isDoctors = (flag: string): boolean => DOCTOR_FLAGS.some((known) => known === flag);
  const foreign = given.find((flag) => isDoctors(flag) !== (command === 'doctor'));
  if (foreign === undefined) return;
  const whose = command === 'doctor' ? 'the doctor needs no configuration' : 'it is for: ws-keepalive-proxy doctor URL';
  throw new UsageError(`--${foreign} does not belong here; ${whose}`);
}

function commandOf(positionals: readonly string[]): 'serve' | (typeof COMMANDS)[number] {
  const [word, extra, more] = positionals;
  if (word === undefined) return 'serve';
  const command = knownCommand(word);
  if (command === 'doctor') {
    if (more !== undefined) throw new UsageError('doctor takes one URL; put it into quotes, because of the & in it');
    return command;
  }
  if (extra !== undefined) throw new UsageError(`${command} takes no argument; flags start with --`);
  return command;
}

function knownCommand(word: string): (typeof COMMANDS)[number] {
  const command = COMMANDS.find((known) => known === word);
  if (command === undefined) throw new UsageError(unknownCommand(word));
  return command;
}

function unknownCommand(word: string): string {
  if (word.includes('://')) return 'a URL needs a flag before it; did you mean --upstream URL?';
  if (/\.ya?ml$/.test(word)) return `a file needs a flag before it; did you mean --config ${word}?`;
  if (STARTING.test(word))
    return `unknown command ${word}; the proxy starts without one: ws-keepalive-proxy --upstream URL`;
  return `unknown command ${word}${didYouMean(nearest(word, [...COMMANDS, 'help']))}`;
}
