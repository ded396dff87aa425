import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HELP, parseArguments } from '../../src/config/arguments.ts';
import { UsageError } from '../../src/config/errors.ts';

const none = { config: undefined, upstream: undefined, listen: undefined, logLevel: undefined, demo: undefined };
const refused = (argv: string[], message: RegExp) =>
  assert.throws(() => parseArguments(argv), { name: 'UsageError', code: 'ERR_USAGE', message });

test('without arguments the program serves', () => {
  assert.deepEqual(parseArguments([]), { command: 'serve', flags: none });
});

test('flags are read in both spellings, and --listen more than once', () => {
  const argv = ['--config=a.yaml', '--upstream', 'http://a', '--listen', ':1', '--listen=:2', '--log-level', 'debug'];
  const flags = { config: 'a.yaml', upstream: 'http://a', listen: [':1', ':2'], logLevel: 'debug', demo: undefined };
  assert.deepEqual(parseArguments(argv), { command: 'serve', flags });
  assert.equal(parseArguments(['--demo']).flags.demo, true);
});

test('commands stand before or after flags', () => {
  assert.equal(parseArguments(['check', '--config', 'a']).command, 'check');
  assert.equal(parseArguments(['--config', 'a', 'healthcheck']).command, 'healthcheck');
});

test('help and version are answered whatever else stands there', () => {
  for (const argv of [['--help'], ['-h'], ['check', '-h'], ['nonsense', '-h']])
    assert.equal(parseArguments(argv).command, 'help');
  for (const argv of [['--version'], ['-v']]) assert.equal(parseArguments(argv).command, 'version');
});

test('the help text names every flag and command', () => {
  const words = [
    'check',
    'healthcheck',
    '--config',
    '--upstream',
    '--listen',
    '--demo',
    '--log-level',
    '--help',
    '--version',
  ];
  for (const word of words) assert.ok(HELP.includes(word), word);
});

test('an unknown flag is refused with the nearest one', () => {
  refused(['--upstrem', 'x'], /^unknown flag --upstrem; did you mean --upstream\?$/);
  refused(['--loglevel=x'], /did you mean --log-level\?$/);
  refused(['--zzzzzz'], /^unknown flag --zzzzzz$/);
  refused(['-x'], /^unknown flag -x$/);
});

test('a flag without its value, or with one too many, is refused', () => {
  refused(['--config'], /--config <value>' argument missing/);
  refused(['--listen', '--demo'], /^[^\n]*--listen[^\n]*ambiguous[^\n]*$/);
  refused(['--demo=yes'], /--demo' does not take an argument/);
});

test('an unknown command is refused with what was probably meant', () => {
  refused(['chek'], /^unknown command chek; did you mean check\?$/);
  refused(['http://user:hunter2@neko'], /^(?!.*hunter2).*did you mean --upstream URL\?$/);
  refused(['my.yaml'], /did you mean --config my\.yaml\?$/);
  refused(['check', 'my.yaml'], /check takes no argument/);
});

test('what does not work yet is refused', () => {
  refused(['doctor', 'https://neko.example.com'], /doctor does not work yet/);
});

test('the demo and an upstream exclude each other', () => {
  refused(['--demo', '--upstream', 'http://a'], /brings an upstream of its own/);
});

test('no arguments make it throw anything but a UsageError', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('--', '-', '--config', '--listen', '--demo', '--no-demo', '-hv', 'check'),
  );
  fc.assert(
    fc.property(fc.array(word), (argv) => {
      try {
        parseArguments(argv);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
      }
    }),
  );
});
