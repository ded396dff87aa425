/** What is measured side by side: how each of them is started between a port and the echo server's. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missingPrograms, requireProgram } from '../test/support/requirements.ts';
import type { Program } from './process.ts';

export const SYSTEMS = [
  'direct',
  'ours',
  'ours-pinging',
  'other',
  'image',
  'image-newer',
  'read-write',
  'net-pipe',
  'net-pipe-newer',
  'http-proxy',
  'http-library',
  'ws-relay',
  'nginx',
  'haproxy',
  'caddy',
] as const;
export type SystemName = (typeof SYSTEMS)[number];

export const TITLES: Readonly<Record<SystemName, string>> = {
  direct: 'no proxy',
  ours: 'ws-keepalive-proxy',
  'ours-pinging': 'ws-keepalive-proxy, Pings every 100 ms',
  other: 'ws-keepalive-proxy, the other build',
  image: 'ws-keepalive-proxy, as the image starts it',
  'image-newer': '… on the newer Node',
  'read-write': 'reads and writes in Node, nothing else',
  'net-pipe': 'two piped sockets in Node',
  'net-pipe-newer': 'two piped sockets in the newer Node',
  'http-proxy': 'http-proxy 1.18.1',
  'http-library': 'http-proxy-3, bare',
  'ws-relay': 'message relay with ws',
  nginx: 'nginx, default buffers',
  haproxy: 'HAProxy, one thread',
  caddy: 'Caddy, one thread',
};

/** Where a system stands. */
export interface Place {
  readonly port: number;
  readonly upstream: number;
  /** For the status page, where there is one. */
  readonly admin: number;
  readonly folder: string;
}

/** A second build of this program, to compare with. */
export interface OtherBuild {
  /** Its main.js; null: that of this build. */
  readonly main: string | null;
  readonly env: Readonly<Record<string, string>>;
}

/** What can be measured beside this build on this Node. */
export interface Beside {
  readonly other: OtherBuild | null;
  /** The binary of a newer Node. */
  readonly newerNode: string | null;
}

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const PINGING = { WSKP_KEEPALIVE_PING_INTERVAL: '100ms', WSKP_KEEPALIVE_MODE: 'always' };
/** Descriptors that nginx may use; two for each connection. */
const NGINX_CONNECTIONS = 19_000;

/** Why it cannot be measured here, or null. */
export function whyNot(name: SystemName, { other, newerNode }: Beside): string | null {
  if (name === 'other') return other === null ? 'no other build given' : null;
  if (name.endsWith('-newer')) return newerNode === null ? `${name} needs --newer-node` : null;
  const isMissing = missingPrograms().some((program) => program === name);
  return isMissing ? `${name} is not installed` : null;
}

/** The command that starts it; null: there is nothing to start. `peers` is where the compiled peers are. */
export function command(
  name: SystemName,
  place: Place,
  peers: string,
  { other, newerNode }: Beside,
): Omit<Program, 'core'> | null {
  switch (name) {
    case 'direct':
      return null;
    case 'ours':
      return build(MAIN, place, {});
    case 'image':
      return asInTheImage(build(MAIN, place, {}));
    case 'image-newer':
      return on(
        newerNode,
        asInTheImage(build(MAIN, place, {}), () => true),
      );
    case 'net-pipe-newer':
      return on(newerNode, peer('net-pipe', place, peers));
    case 'ours-pinging':
      return build(MAIN, place, PINGING);
    case 'other':
      return build(other?.main ?? MAIN, place, other?.env ?? {});
    case 'read-write':
    case 'net-pipe':
    case 'http-proxy':
    case 'http-library':
    case 'ws-relay':
      return peer(name, place, peers);
    case 'nginx':
      return nginx(place);
    case 'haproxy':
      return haproxy(place);
    case 'caddy':
      return caddy(place);
  }
}

function peer(name: string, place: Place, peers: string): Omit<Program, 'core'> {
  return node([`${peers}/${name}.js`, String(place.port), String(place.upstream)], place, {});
}

function on(binary: string | null, program: Omit<Program, 'core'>): Omit<Program, 'core'> {
  return { ...program, command: binary ?? program.command };
}

/** With what the Dockerfile sets for Node and the C library, but for flags that this Node does not know. */
function asInTheImage(program: Omit<Program, 'core'>, knows = knownHere): Omit<Program, 'core'> {
  const text = readFileSync(`${ROOT}/Dockerfile`, 'utf8');
  const settings = [...text.matchAll(/^ENV (MALLOC_\w+|NODE_OPTIONS)="?([^"\n]+)"?$/gm)].map(([, name, value = '']) => {
    const flags = value.split(' ').filter((flag) => name !== 'NODE_OPTIONS' || knows(flag));
    return [name as string, flags.join(' ')];
  });
  return { ...program, env: { ...program.env, ...Object.fromEntries(settings) } };
}

function knownHere(flag: string): boolean {
  return process.allowedNodeEnvironmentFlags.has(flag);
}

function node(
  args: readonly string[],
  { folder }: Place,
  env: Readonly<Record<string, string>>,
): Omit<Program, 'core'> {
  return { command: process.execPath, args, folder, env: { NODE_ENV: 'production', ...env } };
}

/** As shipped: nothing is set but where it stands. A build without a status page refuses to be told where to put it. */
function build(main: string, place: Place, env: Readonly<Record<string, string>>): Omit<Program, 'core'> {
  const args = [main, '--upstream', `http://127.0.0.1:${place.upstream}`, '--listen', `127.0.0.1:${place.port}`];
  const admin = { WSKP_ADMIN_LISTEN: `127.0.0.1:${place.admin}` };
  return node(args, place, { ...(takes(main, admin) ? admin : {}), ...env });
}

function takes(main: string, env: Readonly<Record<string, string>>): boolean {
  const args = [main, 'check', '--upstream', 'http://127.0.0.1:1'];
  return spawnSync(process.execPath, args, { env: { ...process.env, ...env }, stdio: 'ignore' }).status === 0;
}

function nginx({ port, upstream, folder }: Place): Omit<Program, 'core'> {
  const config = `${folder}/nginx.conf`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const text = `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections ${NGINX_CONNECTIONS}; }
http {
  access_log off;
  keepalive_requests 1000000;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  map $http_upgrade $connection_value { default upgrade; '' ''; }
  upstream echo { server 127.0.0.1:${upstream}; keepalive 64; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://echo;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_value;
      proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 1h;
    }
  }
}
`;
  writeFileSync(config, text);
  return { command: requireProgram('nginx'), args: ['-p', folder, '-e', 'stderr', '-c', config], folder };
}

function haproxy({ port, upstream, folder }: Place): Omit<Program, 'core'> {
  const config = `${folder}/haproxy.cfg`;
  const text = `
global
  nbthread 1
  maxconn 9500
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend front
  bind 127.0.0.1:${port} backlog 4096
  option forwardfor
  default_backend echo
backend echo
  http-reuse always
  server echo 127.0.0.1:${upstream}
`;
  writeFileSync(config, text);
  return { command: requireProgram('haproxy'), args: ['-db', '-f', config], folder };
}

function caddy({ port, upstream, folder }: Place): Omit<Program, 'core'> {
  const config = `${folder}/Caddyfile`;
  const text = `
{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${upstream}
}
`;
  writeFileSync(config, text);
  const args = ['run', '--config', config, '--adapter', 'caddyfile'];
  return { command: requireProgram('caddy'), args, folder, env: { GOMAXPROCS: '1', HOME: folder } };
}

export const ROOT = dirname(dirname(MAIN));
