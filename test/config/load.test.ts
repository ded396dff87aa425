import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError } from '../../src/config/errors.ts';
import { loadSettings } from '../../src/config/load.ts';
import { load, problems } from './files.ts';

const UP = 'upstream: http://neko:8080\n';
const upstream = { address: { kind: 'tcp', host: 'neko', port: 8080 }, tls: false, url: 'http://neko:8080' };
const DEFAULT_KEEPALIVE = {
  client: { interval: 10_000, timeout: 30_000, mode: 'idle' },
  upstream: { interval: 30_000, timeout: 60_000, mode: 'idle' },
  adaptive: true,
  frontIdleTimeout: 60_000,
};

test('an upstream is enough: everything else has a default', () => {
  const { settings, file, warnings } = load({}, { flags: { upstream: 'http://neko:8080' } });
  assert.deepEqual(settings, {
    listen: [{ kind: 'tcp', host: '0.0.0.0', port: 8080 }],
    routes: [
      {
        name: 'default',
        host: null,
        path: null,
        upstreams: [upstream],
        keepalive: DEFAULT_KEEPALIVE,
        timeouts: settings.timeouts,
        limits: { ...settings.limits, connections: Infinity },
      },
    ],
    upstreamTls: { ca: 'system', verify: true },
    allowedOrigins: [],
    trustedProxies: ['loopback', 'private'],
    drainCode: null,
    proxyProtocol: false,
    timeouts: { connect: 5000, handshake: 15_000, stall: 60_000, drain: 8000 },
    limits: {
      connections: 'auto',
      connectionsPerIp: Infinity,
      age: Infinity,
      handshakes: 'auto',
      requests: 'auto',
      requestsPerIp: Infinity,
      frame: Infinity,
      headerBytes: 16_384,
      buffer: 262_144,
      controlFramesPerSecond: 20,
    },
    admin: { listen: { kind: 'tcp', host: '127.0.0.1', port: 9090 }, hosts: [] },
    probe: false,
    idleCollection: true,
    log: { level: 'info', format: 'auto', query: 'redact', requests: false },
  });
  assert.equal(file, null);
  assert.deepEqual(warnings, []);
});

test('a flag wins over the environment, the environment over the file, the file over the default', () => {
  const yaml = `${UP}log: {level: warn, query: keep}\nlisten: a:1\n`;
  const env = { WSKP_LOG_LEVEL: 'error', WSKP_LISTEN: 'b:2' };
  const { settings } = load(yaml, { env, flags: { listen: ['c:3', 'd:4'] } });
  assert.deepEqual(settings.log, { level: 'error', format: 'auto', query: 'keep', requests: false });
  assert.deepEqual(
    settings.listen.map((address) => address.kind === 'tcp' && address.host),
    ['c', 'd'],
  );
  assert.equal(load(yaml, { env, flags: { 'log-level': 'debug' } }).settings.log.level, 'debug');
});

test('variables reach keys of every kind', () => {
  const env = {
    WSKP_UPSTREAM: 'unix:/run/neko.sock',
    WSKP_UPSTREAM_TLS_VERIFY: 'false',
    WSKP_KEEPALIVE_PING_INTERVAL: '200ms',
    WSKP_LIMITS_HEADER_BYTES: '32KiB',
    WSKP_LISTEN: '0.0.0.0:80, [::]:80',
    WSKP_TRUSTED_PROXIES: '',
    OTHER: 'x',
  };
  const { settings } = load({}, { env });
  assert.equal(settings.routes[0]?.upstreams[0]?.url, 'unix:/run/neko.sock');
  assert.equal(settings.routes[0]?.keepalive.client.interval, 200);
  assert.equal(settings.upstreamTls.verify, false);
  assert.equal(settings.limits.headerBytes, 32_768);
  assert.equal(settings.listen.length, 2);
  assert.deepEqual(settings.trustedProxies, []);
});

test('off is read as Infinity', () => {
  const {
    client,
    upstream: up,
    frontIdleTimeout,
  } = load(
    `${UP}keepalive: {ping_interval: off, pong_timeout: off, upstream_ping_interval: off, front_idle_timeout: off}`,
  ).settings.routes[0]?.keepalive ?? assert.fail();
  assert.deepEqual(
    [client.interval, client.timeout, up.interval, frontIdleTimeout],
    [Infinity, Infinity, Infinity, Infinity],
  );
});

test('routes keep their order, get names, inherit key by key, and end with the top-level upstream', () => {
  const { settings } = load(`${UP}keepalive: {ping_interval: 4s, pong_timeout: 5s}
routes:
  - {host: "*.Example.com", path: /a/, upstream: http://a}
  - {name: b, upstream: http://b, keepalive: {ping_interval: 3s, mode: always}}
`);
  assert.deepEqual(
    settings.routes.map(({ name, host, path }) => [name, host, path]),
    [
      ['route-1', '*.example.com', '/a'],
      ['b', null, null],
      ['default', null, null],
    ],
  );
  const clients = settings.routes.map((route) => route.keepalive.client);
  assert.deepEqual(clients, [
    { interval: 4000, timeout: 5000, mode: 'idle' },
    { interval: 3000, timeout: 5000, mode: 'always' },
    { interval: 4000, timeout: 5000, mode: 'idle' },
  ]);
});

test('a route has timeouts and limits of its own; what is left out is that of the top level', () => {
  const { settings } = load(`${UP}timeouts: {connect: 2s, stall: 3s}
limits: {connections: 100, connections_per_ip: 7, frame: 1KiB, buffer: 64KiB}
routes:
  - {upstream: http://a, timeouts: {stall: 9s}, limits: {connections: 5, buffer: 8KiB}}
`);
  const [own, top] = settings.routes;
  assert.deepEqual(own?.timeouts, { connect: 2000, handshake: 15_000, stall: 9000, drain: 8000 });
  assert.deepEqual(top?.timeouts, settings.timeouts);
  assert.deepEqual(
    [own.limits.connections, own.limits.connectionsPerIp, own.limits.frame, own.limits.buffer],
    [5, Infinity, 1024, 8192],
  );
  // Those of the top level count all, and go on doing so.
  assert.deepEqual([top?.limits.connections, top?.limits.buffer, settings.limits.connections], [Infinity, 65_536, 100]);
});

test('an upstream is one or a list, in the order in which they are tried', () => {
  const urls = (...given: Parameters<typeof load>): string[] =>
    load(...given).settings.routes.flatMap(({ upstreams }) => upstreams.map(({ url }) => url));
  const both = ['http://a', 'unix:/run/b.sock'];
  assert.deepEqual(urls('upstream: [http://a, "unix:/run/b.sock"]'), both);
  assert.deepEqual(urls('upstream: http://a, unix:/run/b.sock'), both);
  assert.deepEqual(urls('routes: [{upstream: [http://a, "unix:/run/b.sock"]}]'), both);
  assert.deepEqual(urls({}, { env: { WSKP_UPSTREAM: both.join(', ') } }), both);
  assert.deepEqual(urls(UP, { flags: { upstream: both } }), both);
  assert.deepEqual(urls(UP, { flags: { upstream: [both.join()] } }), both);
});

test('of several upstreams each has its share of the time that a client waits', () => {
  const connect = (yaml: string) => load(yaml).settings.routes.map(({ timeouts }) => timeouts.connect);
  const four = 'upstream: [http://a, http://b, http://c, http://d]';
  assert.deepEqual(
    connect(`${UP}timeouts: {connect: 20s}\nroutes: [{${four}, timeouts: {handshake: 6s}}]`),
    [1500, 20_000],
  );
  assert.deepEqual(connect(`${four}\ntimeouts: {connect: 1s}`), [1000]);
});

test('what is for all routes alike is refused in one, with the place where it belongs', () => {
  assert.deepEqual(problems('routes: [{upstream: http://a, timeouts: {drain: 1s}, limits: {header_bytes: 1KiB}}]'), [
    'config.yaml:1:42: routes[0].timeouts.drain: is for all routes; write it as timeouts.drain at the top level',
    'config.yaml:1:63: routes[0].limits.header_bytes: is for all routes; write it as limits.header_bytes at the top level',
  ]);
});

test('a variable does not reach a section that only shares an alias with its own', () => {
  const yaml = `keepalive: &k {pong_timeout: 7s}\nroutes: [{upstream: http://a, keepalive: *k}]\n`;
  const { settings } = load(yaml, { env: { WSKP_KEEPALIVE_PONG_TIMEOUT: '8s', WSKP_UPSTREAM: 'http://b' } });
  assert.deepEqual(
    settings.routes.map((route) => route.keepalive.client.timeout),
    [7000, 8000],
  );
});

test('a section whose keys are all commented out counts as left out', () => {
  assert.equal(load(`${UP}keepalive:\n  # ping_interval: 5s\nroutes:\n`).settings.routes.length, 1);
});

test('every mistake is reported at once with file, line and column, in the order of the file', () => {
  const yaml = `upstream: neko:8080
keepalive:
  ping_intervall: 10s
  pong_timeout: 10
ping_interval: 3s
routes:
  - name: alpha
  - {name: alpha, upstream: http://a, path: room}
limits: 5
`;
  assert.deepEqual(
    problems(yaml, { env: { WSKP_LISTEN: '80,81', WSKP_UPSTEAM: 'x' }, flags: { 'log-level': 'inf' } }),
    [
      'config.yaml:1:11: upstream: "neko:8080" is not an upstream; write http://neko:8080, or https://, ws://, wss://, unix:/path',
      'config.yaml:3:3: keepalive.ping_intervall: unknown key; did you mean ping_interval?',
      'config.yaml:4:17: keepalive.pong_timeout: 10 has no unit; write 10s, 10ms or 10m',
      'config.yaml:5:1: ping_interval: unknown key; did you mean keepalive.ping_interval?',
      'config.yaml:7:5: routes[0].upstream: is missing',
      'config.yaml:8:12: routes[1].name: route 1 has this name too; choose another',
      'config.yaml:8:45: routes[1].path: a path starts with /',
      'config.yaml:9:9: limits: takes keys of its own, each on a line: connections, connections_per_ip, ...',
      'environment: WSKP_UPSTEAM: unknown variable; did you mean WSKP_UPSTREAM?',
      'environment: WSKP_LISTEN: 80 has no host; write 0.0.0.0:80, or 127.0.0.1:80 for this machine only',
      'environment: WSKP_LISTEN: 81 has no host; write 0.0.0.0:81, or 127.0.0.1:81 for this machine only',
      '--log-level: "inf" is not one of trace, debug, info, warn, error, fatal, silent; did you mean info?',
    ],
  );
});

test('the error carries a code and its problems as fields', () => {
  const error: unknown = (() => {
    try {
      return load('upstream: 5');
    } catch (caught) {
      return caught;
    }
  })();
  assert.ok(error instanceof ConfigError);
  assert.equal(error.code, 'ERR_CONFIG');
  const [{ message, ...place } = assert.fail()] = error.problems;
  assert.deepEqual(place, { file: 'config.yaml', line: 1, col: 11, path: 'upstream' });
  assert.match(message, /"5" is not an upstream/);
});

test('a list entry that is wrong is reported where it stands', () => {
  assert.deepEqual(problems(`${UP}trusted_proxies:\n  - loopback\n  - lan\n  - [a]\n`), [
    'config.yaml:4:5: trusted_proxies[1]: "lan" is not loopback, private, an address or a range such as 10.0.0.0/8',
    'config.yaml:5:5: trusted_proxies[2]: takes one value, not a list',
  ]);
});

test('values of the wrong shape are refused', () => {
  assert.match(problems(`${UP}probe:`)[0] ?? '', /probe: has no value; give one or remove the key$/);
  assert.match(problems(`${UP}probe: ""`)[0] ?? '', /probe: is empty; give a value or leave it out$/);
  assert.match(problems(`${UP}probe: {a: 1}`)[0] ?? '', /probe: takes one value, not a mapping$/);
  assert.match(problems(`${UP}listen: []`)[0] ?? '', /listen: is empty; give at least one$/);
  assert.match(problems(`${UP}listen: 80`)[0] ?? '', /:2:9: listen: 80 has no host/);
  assert.match(problems('routes: 5')[0] ?? '', /routes: takes a list; start each entry with "- "$/);
  assert.deepEqual(problems('- a'), ['config.yaml:1:1: takes keys of its own, each on a line: listen, upstream, ...']);
});

test('values out of range are refused with the bound', () => {
  const refused = (yaml: string, message: RegExp) => assert.match(problems(UP + yaml)[0] ?? '', message);
  refused('keepalive: {ping_interval: 9ms}', /at least 10ms, or off$/);
  refused('keepalive: {ping_interval: 25h}', /at most 24h/);
  refused('timeouts: {stall: off}', /cannot be off; write at most 24h$/);
  refused('limits: {header_bytes: 1B}', /at least 1KiB$/);
  refused('limits: {buffer: 2GiB}', /at most 1GiB$/);
  refused('limits: {connections: 0}', /whole number from 1, or off$/);
  assert.deepEqual(problems(`${UP}keepalive: {ping_interval: 10ms}\ntimeouts: {drain: 0s}`), []);
});

test('a section is no variable, and routes are for files', () => {
  const [section, routes, nested] = problems(UP, { env: { WSKP_LOG: 'x', WSKP_ROUTES: 'x', WSKP_ROUTES_0_NAME: 'x' } });
  assert.equal(
    section,
    'environment: WSKP_LOG: log has several keys, each with a variable: WSKP_LOG_LEVEL, WSKP_LOG_FORMAT, WSKP_LOG_QUERY, WSKP_LOG_REQUESTS',
  );
  assert.equal(
    routes,
    'environment: WSKP_ROUTES: routes can be given only in a configuration file; name it with WSKP_CONFIG',
  );
  assert.match(nested ?? '', /WSKP_ROUTES_0_NAME: routes can be given only in a configuration file/);
});

test('an unknown variable is refused, with a guess when one is near', () => {
  assert.deepEqual(problems(UP, { env: { WSKP_ZZZZZZZZ: 'x' } }), ['environment: WSKP_ZZZZZZZZ: unknown variable']);
  assert.match(problems(UP, { env: { WSKP_CONFG: 'x' } })[0] ?? '', /did you mean WSKP_CONFIG\?$/);
});

test('a mistake is reported where the value in force was given', () => {
  const env = { WSKP_LOG_LEVEL: 'warm' };
  assert.match(problems(`${UP}log: {level: x}`, { env }).join(), /^environment: WSKP_LOG_LEVEL: "warm" is not/);
  assert.match(problems(UP, { env, flags: { 'log-level': 'inf' } }).join(), /^--log-level: "inf" is not[^:]*$/);
});

test('a file that cannot be understood is not also said to lack an upstream', () => {
  assert.equal(problems('log: "x').length, 1);
});

test('the environment does not hide that a section in the file has the wrong shape', () => {
  assert.match(
    problems(`${UP}log: 5`, { env: { WSKP_LOG_LEVEL: 'info' } })[0] ?? '',
    /^config\.yaml:2:6: log: takes keys/,
  );
});

test('without an upstream the error says how to give one, unless none is needed', () => {
  assert.match(
    problems({})[0] ?? '',
    /^no upstream to forward to; give one with --upstream http:\/\/neko:8080, WSKP_UPSTREAM, or .* a configuration file$/,
  );
  assert.match(problems('routes: []')[0] ?? '', /in config\.yaml$/);
  assert.deepEqual(load({}, { flags: { demo: true } }).settings.routes, []);
  assert.deepEqual(load({}, { needsUpstream: false }).settings.routes, []);
  assert.deepEqual(problems('routes: [{upstream: http://a}]'), []);
});

test('two routes of one name are refused, given or by default', () => {
  const yaml = 'routes: [{upstream: http://a}, {name: route-1, upstream: http://b}]';
  assert.match(problems(yaml)[0] ?? '', /^config\.yaml:1:39: routes\[1\]\.name: route 1 has this name too/);
});

test('the default files are tried in turn', () => {
  const etc = '/etc/ws-keepalive-proxy/config.yaml';
  assert.equal(load({ [etc]: UP }).file, etc);
  assert.equal(load({ [etc]: UP, '/app/config.yaml': UP }).file, 'config.yaml');
});

test('a default file that exists but cannot be read is not skipped', () => {
  const [line] = problems({ '/app/config.yaml': { code: 'EISDIR' } }, { env: { WSKP_UPSTREAM: 'http://a' } });
  assert.match(line ?? '', /^config\.yaml: cannot read config\.yaml: it is a directory/);
});

test('a named file is read, relative to the working directory, and the flag wins over the variable', () => {
  const files = { '/app/a.yaml': UP, '/b.yaml': UP };
  assert.equal(load(files, { flags: { config: 'a.yaml' }, env: { WSKP_CONFIG: '/b.yaml' } }).file, 'a.yaml');
  assert.equal(load(files, { env: { WSKP_CONFIG: '/b.yaml' } }).file, '/b.yaml');
});

test('a named file that cannot be read is the only problem', () => {
  assert.deepEqual(problems({}, { flags: { config: 'a.yaml' } }), ['--config: cannot read a.yaml: no such file']);
  assert.deepEqual(problems({ '/b': { code: 'EACCES' } }, { env: { WSKP_CONFIG: '/b' } }), [
    'environment: WSKP_CONFIG: cannot read /b: permission denied',
  ]);
  assert.deepEqual(problems({ '/b': { code: 'EIO' } }, { flags: { config: '/b' } }), ['--config: cannot read /b: EIO']);
  assert.deepEqual(problems({}, { env: { WSKP_CONFIG: '' } }), [
    'environment: WSKP_CONFIG: is empty; name a file or leave it out',
  ]);
});

test('certificates of an own authority have to be there', () => {
  const yaml = `${UP}upstream_tls: {ca: ca.pem}`;
  const withCa = (ca: string) => ({ '/app/config.yaml': yaml, '/app/ca.pem': ca });
  assert.equal(load(withCa('-----BEGIN CERTIFICATE-----\n')).settings.upstreamTls.ca, 'ca.pem');
  assert.match(problems(yaml)[0] ?? '', /^config\.yaml:2:20: upstream_tls\.ca: cannot read ca\.pem: no such file/);
  assert.match(problems(withCa('hello'))[0] ?? '', /ca\.pem holds no certificate in PEM form$/);
});

test('a password in the upstream does not reach the error', () => {
  const messages = [
    problems('upstream: http://u:hunter2@neko'),
    problems({}, { env: { WSKP_UPSTREAM: 'http://u:hunter2@neko' } }),
  ];
  for (const lines of messages) {
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines.join(), /hunter2/);
  }
});

test('files on disk are read', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wskp-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'proxy.yaml');
  writeFileSync(config, UP);
  assert.equal(loadSettings({ flags: { config }, env: {} }).settings.routes[0]?.upstreams[0]?.url, 'http://neko:8080');
  assert.throws(() => loadSettings({ flags: { config: folder }, env: {} }), /cannot read .*: it is a directory/);
});

test('proxy_protocol is on or off, and needs trusted_proxies to be written out', () => {
  assert.match(
    problems(`${UP}proxy_protocol: on\n`).join(),
    /^config\.yaml:2:\d+: proxy_protocol: needs trusted_proxies/,
  );
  assert.match(problems(`${UP}proxy_protocol: v2\ntrusted_proxies: [10.0.0.5]\n`).join(), /neither on nor off/);
  const { settings } = load(`${UP}proxy_protocol: on\ntrusted_proxies: [10.0.0.5]\n`);
  assert.equal(settings.proxyProtocol, true);
});

test('drain_code is off, or a close code that a proxy may send', () => {
  for (const code of [1001, 1012, 3000, 4999]) {
    assert.equal(load(`${UP}drain_code: ${code}\n`).settings.drainCode, code);
  }
  assert.equal(load(`${UP}drain_code: off\n`).settings.drainCode, null);
  for (const code of ['1000', '1006', '1014', '2999', '5000', '1012.5', 'restart']) {
    assert.match(problems(`${UP}drain_code: ${code}\n`).join(), /is no code for this; write 1001, 1011, 1012, 1013/);
  }
});
