import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseArguments } from '../../src/command-line/arguments.ts';
import { COMMAND_HELP, HELP } from '../../src/command-line/help.ts';
import { UsageError } from '../../src/config/errors.ts';

const none = { config: undefined, upstream: undefined, listen: undefined, 'log-level': undefined, demo: undefined };
const refused = (argv: string[], message: RegExp) =>
  assert.throws(() => parseArguments(argv), { name: 'UsageError', code: 'ERR_USAGE', message });

test('without arguments the program serves', () => {
  assert.deepEqual(parseArguments([]), { command: 'serve', flags: none });
});

test('flags are read in both spellings, and --upstream and --listen more than once', () => {
  const argv = ['--config=a.yaml', '--upstream', 'http://a', '--upstream=http://b', '--listen', ':1', '--listen=:2'];
  const flags = { ...none, config: 'a.yaml', upstream: ['http://a', 'http://b'], listen: [':1', ':2'] };
  assert.deepEqual(parseArguments(argv), { command: 'serve', flags });
  assert.equal(parseArguments(['--log-level', 'debug']).flags['log-level'], 'debug');
  assert.equal(parseArguments(['--demo']).flags.demo, true);
});

test('commands stand before or after flags', () => {
  assert.equal(parseArguments(['check', '--config', 'a']).command, 'check');
  assert.equal(parseArguments(['--config', 'a', 'healthcheck']).command, 'healthcheck');
});

test('healthcheck asks for life alone unless told otherwise, and --ready belongs to it alone', () => {
  const asks = (argv: string[]): boolean => {
    const parsed = parseArguments(argv);
    return parsed.command === 'healthcheck' && parsed.ready;
  };
  assert.deepEqual([asks(['healthcheck']), asks(['healthcheck', '--ready'])], [false, true]);
  refused(['check', '--ready'], /^--ready does not belong here; it is for: ws-keepalive-proxy healthcheck$/);
  refused(['doctor', 'wss://a', '--ready'], /^--ready does not belong here/);
});

test('help and version are answered whatever else stands there', () => {
  for (const argv of [['--help'], ['-h'], ['check', '-h'], ['nonsense', '-h']])
    assert.equal(parseArguments(argv).command, 'help');
  for (const argv of [['--version'], ['-v']]) assert.equal(parseArguments(argv).command, 'version');
});

test('help after or before a command is about that command, with an example', () => {
  const textOf = (...argv: string[]): string => {
    const parsed = parseArguments(argv);
    return parsed.command === 'help' ? parsed.text : '';
  };
  for (const [command, text] of Object.entries(COMMAND_HELP)) {
    assert.equal(textOf(command, '--help'), text);
    assert.equal(textOf('help', command), text);
    assert.match(text, new RegExp(`^Usage: ws-keepalive-proxy ${command}`));
  }
  for (const argv of [['--help'], ['help'], ['help', 'help'], ['nonsense', '-h']]) assert.equal(textOf(...argv), HELP);
  refused(['help', 'chekc'], /^unknown command chekc; did you mean check\?$/);
});

test('every example in a help text is a command line that works', () => {
  for (const text of [HELP, ...Object.values(COMMAND_HELP)]) {
    const [, line = ''] = /^Example:\n {2}ws-keepalive-proxy (.*)$/m.exec(text) ?? [];
    parseArguments([...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare = '']) => quoted ?? bare));
  }
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
    '--ready',
    '--version',
    'doctor',
    '--for',
    '--find-timeout',
    '--ladder',
    '--header',
    '--insecure',
    '--json',
  ];
  for (const word of words) assert.ok(HELP.includes(word), word);
});

test('an unknown flag is refused with the nearest one', () => {
  refused(['--upstrem', 'x'], /^unknown flag --upstrem; did you mean --upstream\?$/);
  refused(['--loglevel=x'], /did you mean --log-level\?$/);
  refused(['--zzzzzz'], /^unknown flag --zzzzzz$/);
  refused(['-x'], /^unknown flag -x$/);
  refused(['-c', 'a.yaml'], /^unknown flag -c; did you mean --config\?$/);
  refused(['--log'], /did you mean --log-level\?$/);
});

test('a flag without its value, or with one too many, is refused', () => {
  refused(['--config'], /--config <value>' argument missing/);
  refused(['--listen', '--demo'], /^[^\n]*--listen[^\n]*ambiguous[^\n]*$/);
  refused(['--demo=yes'], /--demo' does not take an argument/);
});

test('an unknown command is refused with what was probably meant', () => {
  refused(['chekc'], /^unknown command chekc; did you mean check\?$/);
  refused(['health'], /did you mean healthcheck\?$/);
  refused(['hepl'], /did you mean help\?$/);
  refused(['start'], /the proxy starts without one: ws-keepalive-proxy --upstream URL$/);
  refused(['chek'], /^unknown command chek; did you mean check\?$/);
  refused(['http://user:hunter2@neko'], /^(?!.*hunter2).*did you mean --upstream URL\?$/);
  refused(['my.yaml'], /did you mean --config my\.yaml\?$/);
  refused(['check', 'my.yaml'], /check takes no argument/);
});

test('the doctor takes a URL and has defaults', () => {
  const argv = ['doctor', 'https://user:pw@neko.example.com/ws?password=x#top'];
  const parsed = parseArguments(argv);
  assert.ok(parsed.command === 'doctor');
  const { url, ...rest } = parsed.doctor;
  assert.equal(url.href, 'wss://user:pw@neko.example.com/ws?password=x');
  assert.deepEqual(rest, { forMs: 90_000, ladder: null, headers: {}, insecure: false, json: false });
});

test('the doctor has flags of its own', () => {
  const argv = ['doctor', 'ws://a/', '--for', '5m', '--ladder', '3s, 500ms,3s', '--json', '--insecure'];
  const parsed = parseArguments([...argv, '--header', 'Cookie: a=b; c', '--header=X-Empty:']);
  assert.ok(parsed.command === 'doctor');
  const { url, ...rest } = parsed.doctor;
  assert.equal(url.href, 'ws://a/');
  assert.deepEqual(rest, {
    forMs: 300_000,
    ladder: [500, 3000],
    headers: { Cookie: 'a=b; c', 'X-Empty': '' },
    insecure: true,
    json: true,
  });
});

test('--find-timeout brings the usual ladder, and a ladder needs no --find-timeout', () => {
  const ladderOf = (...flags: string[]): readonly number[] | null => {
    const parsed = parseArguments(['doctor', 'ws://a', ...flags]);
    return parsed.command === 'doctor' ? parsed.doctor.ladder : null;
  };
  const usual = [31_000, 51_000, 56_000, 61_000, 101_000, 121_000, 241_000, 301_000];
  assert.deepEqual(ladderOf('--find-timeout'), usual);
  assert.deepEqual(ladderOf('--find-timeout', '--ladder', '1s'), [1000]);
  assert.deepEqual(ladderOf('--ladder', '15m'), [900_000]);
});

test('the doctor refuses what it cannot use, and repeats no secret', () => {
  refused(['doctor'], /needs a URL/);
  refused(['doctor', 'neko.example.com/ws?password=hunter2'], /^(?!.*hunter2).*starts with wss:/);
  refused(['doctor', 'ftp://neko.example.com'], /starts with wss:/);
  refused(['doctor', 'ws://a', 'ws://b?password=hunter2'], /^(?!.*hunter2).*quotes/);
  refused(['doctor', 'ws://a', '--for', '90'], /^--for: 90 has no unit/);
  for (const time of ['0s', 'off', '25h']) refused(['doctor', 'ws://a', '--for', time], /^--for: must be more than 0/);
  refused(['doctor', 'ws://a', '--ladder', '1s,901s'], /^--ladder: must be .* at most 15m$/);
  refused(['doctor', 'ws://a', '--ladder', '1s,,2s'], /^--ladder: .* not a duration/);
  const many = Array.from({ length: 17 }, (_, index) => `${index + 1}s`).join(',');
  refused(['doctor', 'ws://a', '--ladder', many], /^--ladder: at most 16 steps/);
});

test('the doctor refuses headers that are none, or that break the handshake', () => {
  const header = (text: string): string[] => ['doctor', 'ws://a', '--header', text];
  for (const text of ['hunter2', 'A B: hunter2', 'A: hunter2\r\nB: c', ': hunter2'])
    refused(header(text), /^(?!.*hunter2).*--header takes one header with its name/);
  refused(header('Sec-WebSocket-Key: x'), /Sec-WebSocket-Key belongs to the handshake itself/);
  for (const value of ['', 'a b', 'a,,b', 'a, a'])
    refused(header(`Sec-WebSocket-Protocol: ${value}`), /--header: Sec-WebSocket-Protocol .* names/);
});

test('flags stay with their command', () => {
  refused(['--json'], /^--json does not belong here; it is for: ws-keepalive-proxy doctor URL$/);
  refused(['check', '--for', '1s'], /--for does not belong here/);
  refused(['doctor', 'ws://a', '--config', 'x'], /^--config does not belong here; the doctor needs no configuration$/);
});

test('the demo and an upstream exclude each other', () => {
  refused(['--demo', '--upstream', 'http://a'], /brings an upstream of its own/);
});

test('no arguments make it throw anything but a UsageError', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'doctor',
      'ws://a',
      '--for',
      '--ladder=',
      '--header=',
      '--',
      '-',
      '--config',
      '--listen',
      '--demo',
      '--no-demo',
      '-hv',
      'check',
    ),
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
