/**
 * Every key of the configuration, said once: its kind (reader, unit, range), default and explanation, and whether a
 * change needs a restart. Variables, flags, `check`, reload, `config.example.yaml`, the tables of the READMEs and the
 * schema for editors follow from this table.
 */
import { z } from 'zod';
import { LOG_LEVELS, PING_MODES, QUERY_LOGGING, type UpstreamTarget } from '../core/settings.ts';
import { key, keyList, perRoute, section, sections } from './key.ts';
import * as kinds from './kinds.ts';
import * as values from './values.ts';

const UPSTREAMS = {
  least: 1,
  // `http://a` and `ws://a:80` are one server.
  sameness: ({ address, tls }: UpstreamTarget) => [address, tls],
  // A comma may stand in a path, and in a password that must not end up in a message.
  separator: /,(?=\s*[a-z]+:\/)/i,
};
const RESTART = { restart: true } as const;

const keepalive = {
  ping_interval: key(
    kinds.duration({ off: true }),
    'A Ping goes to the client after this long without traffic in one of the directions. Stay under half of what the proxy in front allows. `off` sends none: quiet connections are cut and vanished clients not noticed.',
  ).prefault('10s'),
  pong_timeout: key(
    kinds.duration({ off: true }),
    'A client that leaves a Ping unanswered for this long is gone; its upstream connection is ended. `off` never judges.',
  ).prefault('30s'),
  mode: key(kinds.word(PING_MODES), '`idle` Pings only what is quiet, `always` every interval.').prefault('idle'),
  upstream_ping_interval: key(kinds.duration({ off: true }), 'Like `ping_interval`, towards the upstream.').prefault(
    '30s',
  ),
  upstream_pong_timeout: key(kinds.duration({ off: true }), 'Like `pong_timeout`, for the upstream.').prefault('60s'),
  adaptive: key(
    kinds.boolean,
    'Learn a shorter `ping_interval` from connections that were cut while idle. It is used at once.',
  ).prefault(true),
  front_idle_timeout: key(
    kinds.duration({ off: true }),
    'What the proxy in front allows, for warnings and statistics. nginx calls it `proxy_read_timeout`. `off`: no limit.',
  ).prefault('60s'),
};

const timeouts = {
  connect: key(
    kinds.duration(),
    'Until the upstream accepts the connection, TLS included. Of several upstreams each has at most its share of `timeouts.handshake`.',
  ).prefault('5s'),
  handshake: key(
    kinds.duration(),
    'Until the upstream has answered an upgrade, and until a client has sent the head of a request.',
  ).prefault('15s'),
  stall: key(kinds.duration(), 'Until a peer that takes none of the bytes waiting for it is given up.').prefault('60s'),
  drain: key(
    kinds.duration({ least: 0 }),
    'Until open connections are cut when the program stops. `docker stop` kills after 10 s unless told otherwise.',
  ).prefault('8s'),
};

const limits = {
  connections: key(
    kinds.countOrAuto,
    'WebSockets at once, handshakes included; more get 503. `auto`: what the limit on file descriptors (two for each) and the memory of the container or machine allow; `off`: no limit.',
  ).prefault('auto'),
  connections_per_ip: key(
    kinds.count,
    'WebSockets of one client address (IPv6: one /64); more get 429. `off`: no limit.',
  ).prefault('off'),
  handshakes: key(
    kinds.countOrAuto,
    'Handshakes under way with one upstream, and half as many for one client address; more wait, at most for `timeouts.handshake`. `auto`: 256; `off`: no limit.',
  ).prefault('auto'),
  requests: key(
    kinds.countOrAuto,
    'Plain HTTP requests under way at once; more get 503. WebSockets have places of their own. `auto`: what a tenth of the file descriptors allows, two for each; `off`: no limit.',
  ).prefault('auto'),
  requests_per_ip: key(
    kinds.count,
    'Plain HTTP requests of one client address (IPv6: one /64); more get 429. `off`: no limit.',
  ).prefault('off'),
  age: key(
    kinds.duration({ least: 1000, most: 30 * 24 * 3_600_000, off: true }),
    'How old a WebSocket may become. Both sides get a TCP end between two messages, spread over the last tenth of the age; clients come back. `off`: no limit.',
  ).prefault('off'),
  frame: key(
    kinds.size({ least: 125, most: Number.MAX_SAFE_INTEGER, off: true }),
    'Largest WebSocket frame; a longer one ends the connection with 1009. `off`: no limit.',
  ).prefault('off'),
  header_bytes: key(
    kinds.size({ least: 1024, most: 2 ** 20, off: false }),
    'Largest head of a request or an answer.',
  ).prefault('16KiB'),
  buffer: key(
    kinds.size({ least: 4096, most: 2 ** 30, off: false }),
    'Bytes that may wait for a slow reader, each way, before its writer is paused.',
  ).prefault('256KiB'),
  control_frames_per_second: key(
    kinds.count,
    'Pings, Pongs and Closes from one peer, as a sustained rate; more ends the connection with 1008. Bursts of ten times that pass. `off`: no limit.',
  ).prefault(20),
};

const INHERITS = 'what is left out is taken from the top level';

function pick<S extends object, Name extends keyof S>(shape: S, ...names: readonly Name[]): Pick<S, Name> {
  return Object.fromEntries(names.map((name) => [name, shape[name]])) as Pick<S, Name>;
}

/** What is left out of `timeouts` and `limits` is decided before a route is known, or is for the whole program. */
const route = z.strictObject({
  name: key(kinds.text(values.parseRouteName), 'for logs and metrics; by default route-1, route-2, ...', {
    sample: 'alpha',
  }).optional(),
  host: key(kinds.text(values.parseRouteHost), 'exact, or "*.example.com"; left out: every host', {
    sample: 'rooms.example.com',
  }).optional(),
  path: key(kinds.routePath, 'whole path segments, never rewritten; left out: every path', {
    sample: '/room/alpha',
  }).optional(),
  upstream: keyList(kinds.upstream, 'as at the top level', { ...UPSTREAMS, sample: 'http://neko-alpha:8080' }),
  keepalive: perRoute(INHERITS, keepalive, { ping_interval: '5s' }, {}),
  timeouts: perRoute(INHERITS, pick(timeouts, 'connect', 'handshake', 'stall'), { connect: '2s' }, {}),
  limits: perRoute(
    `${INHERITS}; connections are those of this route`,
    pick(limits, 'age', 'frame', 'buffer', 'control_frames_per_second'),
    { connections: 20 },
    {
      connections: key(kinds.count, 'WebSockets of this route at once, within those of the top level.').prefault('off'),
      connections_per_ip: key(
        kinds.count,
        'WebSockets of one client address on this route, within those of the top level.',
      ).prefault('off'),
    },
  ),
});

/** Sections, keys and routes in the order in which they are explained. */
export const schema = z.strictObject({
  listen: keyList(
    kinds.addressOrDescriptor,
    'Where to listen: `host:port`, `[::]:port`, `unix:/path`, or `fd:3` for a socket that systemd or another parent holds; or a list. What begins with [ needs quotes in YAML.',
    {
      ...RESTART,
      flag: 'listen',
      least: 1,
    },
  ).prefault('0.0.0.0:8080'),
  upstream: keyList(
    kinds.upstream,
    'The server behind the proxy: `http://` (or `ws://`), `https://` (or `wss://`), or `unix:/path`; or a list: the next one when those before it cannot be reached. No path and no password: those of requests pass unchanged.',
    { ...UPSTREAMS, flag: 'upstream', sample: 'http://neko:8080' },
  ).optional(),
  upstream_tls: section('For upstreams with https:// or wss://.', {
    ca: key(
      kinds.text((given) => given),
      'Which certificate authorities are trusted: `system`, or the path of a PEM file.',
    ).prefault('system'),
    verify: key(kinds.boolean, '`false` accepts any certificate.').prefault(true),
  }),
  keepalive: section('When Pings are sent, and when a peer is gone.', keepalive),
  routes: sections(
    'Several servers behind one address, by host and path. The first match wins; without one, the top-level upstream, or 404 if there is none.',
    route,
  ),
  allowed_origins: keyList(
    kinds.text(values.parseOrigin),
    'Pages that may open WebSockets: exact origins such as `https://neko.example.com`, or `same-host`; empty: every page.',
  ).prefault([]),
  trusted_proxies: keyList(
    kinds.text(values.parseTrustedProxy),
    'Peers whose `X-Forwarded-*` and `X-Real-IP` are believed: `loopback`, `private`, addresses or ranges such as `10.0.0.0/8`.',
  ).prefault(['loopback', 'private']),
  drain_code: key(
    kinds.closeCodeOrOff,
    'When the program stops, open WebSockets end between two messages: `off` without a Close frame, as if the connection was lost, after which most clients come back; or with this close code first, such as 1012, for clients that know it.',
  ).prefault('off'),
  proxy_protocol: key(
    kinds.onOff,
    '`on`: every connection begins with a PROXY head, version 1 or 2, as HAProxy, nginx stream and network load balancers write it. `trusted_proxies` has to be written out then, and any other peer is refused.',
    RESTART,
  ).prefault('off'),
  timeouts: section('How long things may take.', timeouts),
  limits: section('How much one client, and all of them, may take.', limits),
  admin: section('What operators open. It shows client addresses and has no password: keep it private.', {
    listen: key(
      kinds.addressOrOff,
      'Where the status page, `/metrics`, `/healthz`, `/readyz` and `/status` are. `off` disables them.',
      RESTART,
    ).prefault('127.0.0.1:9090'),
    hosts: keyList(
      kinds.text(values.parseHostName),
      'Further Host names it answers to, such as a compose service name. Addresses always work.',
      RESTART,
    ).prefault([]),
  }),
  probe: key(
    kinds.boolean,
    "The doctor's endpoint on the public listener, for `doctor --find-timeout`. Any path that ends in `/.well-known/ws-keepalive/probe` is then answered here and not by the upstream.",
  ).prefault(false),
  idle_collection: key(
    kinds.boolean,
    'Collect garbage in quiet moments, after many connections have left some: half of the memory for a pause of about ten ms. `false`: V8 decides when.',
    RESTART,
  ).prefault(true),
  log: section('Log lines go to standard output.', {
    level: key(kinds.word(LOG_LEVELS), '`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.', {
      flag: 'log-level',
    }).prefault('info'),
    format: key(
      kinds.word(['auto', 'json', 'pretty']),
      '`json`, `pretty` or `auto`: readable on a terminal, JSON elsewhere.',
      RESTART,
    ).prefault('auto'),
    query: key(
      kinds.word(QUERY_LOGGING),
      '`redact`: no value of a query is logged; `keep`: all are, except those of parameters known to be secret.',
      RESTART,
    ).prefault('redact'),
    requests: key(kinds.boolean, '`true`: one line for each plain HTTP request as well.').prefault(false),
  }),
});

/** What a configuration file says, as a program writes it. */
export type ConfigInput = z.input<typeof schema>;

/** What the schema makes of a file, environment and flags. Durations are milliseconds, sizes bytes. */
export type Config = z.output<typeof schema>;
