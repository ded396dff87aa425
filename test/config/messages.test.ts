/** What people write, and what they are told: each message says what to write instead. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, problems } from './files.ts';

const UP = 'upstream: http://neko:8080\n';
const LONG = 'keepalive.ping_interval';

const FILES: readonly (readonly [yaml: string, message: string])[] = [
  // Durations and sizes as they are written elsewhere.
  ...(
    [
      ['30 sec', '"30 sec" has an unknown unit; write 30s'],
      ['1d', '"1d" has an unknown unit; write 24h'],
      ['5 minutes', '"5 minutes" has an unknown unit; write 5m'],
      ['250MS', '"250MS" has an unknown unit; write 250ms'],
      ['1h30m', '"1h30m" is not a duration; write 90m'],
      ['"1,5s"', '"1,5s" is not a duration; write 1.5s'],
      [
        '3 fortnights',
        '"3 fortnights" has an unknown unit; write for example 10s, 10ms or 10m; the units are ms, s, m, h',
      ],
      ['soon', '"soon" is not a duration; write for example 10s, 10ms or 10m; the units are ms, s, m, h'],
      ['10', '10 has no unit; write 10s, 10ms or 10m'],
      ['0s', '0s is too short; write at least 10ms, or off'],
      ['25h', '25h is too long; write at most 24h, or off'],
    ] as const
  ).map(([text, message]) => [`keepalive: {ping_interval: ${text}}`, `2:28: ${LONG}: ${message}`] as const),
  ['timeouts: {stall: 0s}', '2:19: timeouts.stall: 0s is too short; write at least 10ms'],
  ['limits: {buffer: 256KB}', '2:18: limits.buffer: "256KB" has an unknown unit; write 256KiB'],
  ['limits: {buffer: 16k}', '2:18: limits.buffer: "16k" has an unknown unit; write 16KiB'],
  ['limits: {buffer: 1 Mb}', '2:18: limits.buffer: "1 Mb" has an unknown unit; write 1MiB'],
  ['limits: {frame: 1B}', '2:17: limits.frame: 1B is too small; write at least 125B, or off'],
  // Addresses, hosts and paths.
  [
    'listen: "::1:8080"',
    '2:9: listen: "::1:8080" may be an address without a port; write "[::1]:8080", with quotes in YAML',
  ],
  ['listen: "::1"', '2:9: listen: "::1" has no port; write "[::1]:8080", with quotes in YAML'],
  [
    'routes: [{host: "*.*.example.com", upstream: http://a}]',
    '2:17: routes[0].host: "*.*.example.com": a * stands once, at the beginning, for all names below; write *.example.com',
  ],
  [
    'routes: [{host: "rooms*.example.com", upstream: http://a}]',
    '2:17: routes[0].host: "rooms*.example.com": a * stands once, at the beginning, for all names below; write *.example.com',
  ],
  [
    'routes: [{path: "/room/*", upstream: http://a}]',
    '2:17: routes[0].path: a path matches all that is below it; write /room',
  ],
  ['routes: [{path: "/*", upstream: http://a}]', '2:17: routes[0].path: leave path out to match every path'],
  // Several upstreams.
  ['routes: [{upstream: []}]', '2:21: routes[0].upstream: is empty; give at least one'],
  [
    'routes: [{upstream: [http://a, "ws://a:80"]}]',
    '2:32: routes[0].upstream[1]: entry 2 is the same as entry 1; leave one of them out',
  ],
  [
    'routes: [{upstream: "http://a, http://a/"}]',
    '2:21: routes[0].upstream: entry 2 is the same as entry 1; leave one of them out',
  ],
  [
    'routes: [{upstream: [http://a, http://b/room]}]',
    '2:32: routes[0].upstream[1]: an upstream has no path: paths pass unchanged; end the URL after the host and port',
  ],
  ['routes: [{upstream: [http://a, ""]}]', '2:32: routes[0].upstream[1]: is empty; give a value or leave it out'],
  [
    'routes: [{upstream: "http://a,http://u:hun,ter2@b"}]',
    '2:21: routes[0].upstream: an upstream carries no user name or password; remove them from the URL',
  ],
  // The beginning of a key, and two letters in the wrong order.
  ['keepalive: {ping: 5s}', '2:13: keepalive.ping: unknown key; did you mean ping_interval?'],
  ['limist: {}', '2:1: limist: unknown key; did you mean limits?'],
  // YAML.
  ['probe:true', '2:1: a space is missing after the colon; write probe: true'],
  ['log:\n  level:debug', '3:3: log: a space is missing after the colon; write level: debug'],
  ['log: {format: "json, level: info}\nprobe: true', '2:15: the quote that opens here is not closed on this line'],
  ["allowed_origins: ['same-host]\n", '2:19: the quote that opens here is not closed on this line'],
];

for (const [yaml, message] of FILES)
  test(`file: ${yaml.replaceAll('\n', '⏎')}`, () => {
    assert.deepEqual(problems(UP + yaml), [`config.yaml:${message}`]);
  });

const WHOLE: readonly (readonly [what: string, text: string, message: string])[] = [
  ['no space', 'upstream:http://neko:8080', 'a space is missing after the colon; write upstream: http://neko:8080'],
  [
    'no space, with a password',
    'upstream:http://u:hunter2@neko',
    'a space is missing after the colon; write upstream: ...',
  ],
  [
    'UTF-16',
    Buffer.from(`\uFEFF${UP}`, 'utf16le').toString(),
    'the file is not UTF-8 text (UTF-16?); save it as UTF-8',
  ],
  [
    'UTF-16 without a mark',
    Buffer.from(UP, 'utf16le').toString(),
    'the file is not UTF-8 text (UTF-16?); save it as UTF-8',
  ],
  [
    'TOML',
    '# a comment\n[limits]\nframe = "1KiB"\n',
    'the file looks like TOML or INI; write YAML, as in "key: value"',
  ],
  ['INI', 'upstream = http://neko:8080\n', 'the file looks like TOML or INI; write YAML, as in "key: value"'],
  ['HTML', '<!DOCTYPE html>\n<html lang="en">', 'the file is a web page (HTML), not YAML; download the file itself'],
];

for (const [what, text, message] of WHOLE)
  test(`whole file: ${what}`, () => {
    assert.deepEqual(problems(text), [`config.yaml:1:1: ${message}`]);
  });

const VARIABLES: readonly (readonly [name: string, value: string, message: string])[] = [
  ['WSKP_UPSTREAM', '"http://neko:8080"', 'has quotes in its value; leave them out: they became part of the value'],
  ['WSKP_KEEPALIVE_PING', '5s', 'unknown variable; did you mean WSKP_KEEPALIVE_PING_INTERVAL?'],
  ['WSKP_LIMITS_FRAME', '256KB', '"256KB" has an unknown unit; write 256KiB'],
];

for (const [name, value, message] of VARIABLES)
  test(`environment: ${name}=${value}`, () => {
    assert.deepEqual(problems(UP, { env: { [name]: value } }), [`environment: ${name}: ${message}`]);
  });

test('what only looks like a mistake is none', () => {
  for (const yaml of [
    'upstream: "unix:/run/neko.sock"',
    `${UP}listen: [localhost:8080, "[::1]:8080"]`,
    `${UP}# upstream:http\n`,
  ])
    assert.deepEqual(problems(yaml), []);
  assert.equal(load(`\uFEFF${UP}`).settings.routes.length, 1);
});
