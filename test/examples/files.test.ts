/** What the examples say is held against the program, the Dockerfile and each other. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { loadSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/core/settings.ts';
import { load } from '../config/files.ts';
import { EXAMPLES, exampleFiles, PROXY_ADDRESS, readExample } from '../support/examples.ts';
import { requireProgram, skipWithout } from '../support/requirements.ts';

interface Service {
  readonly build?: string;
  readonly environment?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly mem_limit?: string;
  readonly networks?: readonly string[] | Record<string, { readonly aliases?: readonly string[] }>;
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
  readonly stop_grace_period?: string;
  readonly volumes?: readonly string[];
}

interface Compose {
  readonly services: Record<string, Service>;
}

/** Names that services have besides their own, on whatever network. */
function aliasesOf(services: Record<string, Service>): Set<string> {
  const networks = Object.values(services).flatMap(({ networks: each = {} }) => Object.values(each));
  return new Set(networks.flatMap((network) => (typeof network === 'string' ? [] : (network.aliases ?? []))));
}

const YAML_FILES = exampleFiles('.yaml', '.yml');
const READMES = exampleFiles('.md');

/** Every document of a file; a mistake in YAML is an error. */
function documents(file: string): Record<string, unknown>[] {
  return parseAllDocuments(readExample(file)).map((document) => {
    assert.deepEqual(document.errors, [], file);
    return document.toJS() as Record<string, unknown>;
  });
}

const filesWith = (key: string): string[] => YAML_FILES.filter((file) => documents(file)[0]?.[key] !== undefined);
const COMPOSE_FILES = filesWith('services');
const FOREIGN = ['services', 'apiVersion', 'http', 'groups'];
const CONFIG_FILES = YAML_FILES.filter((file) => !FOREIGN.some((key) => filesWith(key).includes(file)));

/** What an environment as in compose or Kubernetes means to the program. */
function settingsOf(env: Record<string, string>): Settings {
  const { settings, warnings } = loadSettings({ env, cwd: '/nowhere' });
  assert.deepEqual(warnings, []);
  return settings;
}

const portOf = ({ listen: [address] }: Settings): number => (address?.kind === 'tcp' ? address.port : assert.fail());

test('every configuration of the proxy is valid and gives no cause for warnings', () => {
  assert.ok(CONFIG_FILES.length >= 7, CONFIG_FILES.join());
  for (const file of CONFIG_FILES) {
    const certificate = { '/etc/ws-keepalive-proxy/ca.pem': '-----BEGIN CERTIFICATE-----\n' };
    const { settings, warnings } = load({ '/app/config.yaml': readExample(file), ...certificate });
    assert.deepEqual(warnings, [], file);
    assert.ok(settings.routes.length > 0, file);
  }
});

for (const file of COMPOSE_FILES) {
  test(`${file} runs the image of this project with a valid environment, and gives it time to say goodbye`, () => {
    const { services } = parse(readExample(file)) as Compose;
    const service = services['keepalive'] ?? assert.fail('no service keepalive');
    const context = join(EXAMPLES, dirname(file), service.build ?? '');
    assert.ok(existsSync(join(context, 'Dockerfile')), context);
    assert.equal(service.read_only, true);
    const settings = settingsOf(service.environment ?? {});
    assert.ok(Number.parseFloat(service.stop_grace_period ?? '') * 1000 > settings.timeouts.drain);
    const { address } = settings.routes[0]?.upstreams[0] ?? assert.fail('no upstream');
    const host = address.kind === 'tcp' ? address.host : '';
    assert.ok(host in services || aliasesOf(services).has(host), host);
    assert.match(service.mem_limit ?? '', /^\d+m$/);
  });

  test(`${file} mounts nginx's folder, whose file looks the proxy up again and again`, () => {
    const { services } = parse(readExample(file)) as Compose;
    const service = services['keepalive'] ?? assert.fail('no service keepalive');
    const names = ['keepalive', ...aliasesOf({ service })].map(
      (name) => `${name}:${portOf(settingsOf(service.environment ?? {}))}`,
    );
    const mounts = Object.values(services).flatMap(({ volumes = [] }) => volumes);
    for (const mount of mounts.filter((each) => each.includes('/etc/nginx/'))) {
      const [source = '', target] = mount.split(':');
      assert.equal(target, '/etc/nginx/conf.d');
      const text = readExample(join(dirname(file), source, 'default.conf'));
      const place = /^ *set \$keepalive (\S+);$/m.exec(text)?.[1];
      assert.ok(place !== undefined && names.includes(place), place);
      assert.match(text, /^ *proxy_pass http:\/\/\$keepalive;$/m);
      assert.match(text, /^ *resolver \S+ valid=5s;$/m);
    }
  });

  test(`${file} shows the status page to its host alone`, () => {
    const { ports = [], environment = {} } = (parse(readExample(file)) as Compose).services['keepalive'] ?? {};
    const { listen } = settingsOf(environment).admin;
    const published = ports.filter((port) => port.endsWith(':9090'));
    assert.deepEqual(published, listen?.kind === 'tcp' && listen.host === '0.0.0.0' ? ['127.0.0.1:9090:9090'] : []);
  });
}

test("the sidecar has Neko's name where clients come from, and nobody but it is where Neko is", () => {
  const { services } = parse(readExample('docker-compose/sidecar.yaml')) as Compose;
  const networksOf = (name: string): string[] => {
    const { networks = {} } = services[name] ?? {};
    return Array.isArray(networks) ? [...(networks as string[])] : Object.keys(networks);
  };
  assert.deepEqual(networksOf('nginx'), ['front']);
  assert.deepEqual(networksOf('neko'), ['back']);
  assert.deepEqual(networksOf('keepalive'), ['front', 'back']);
  assert.deepEqual([...aliasesOf({ service: services['keepalive'] ?? {} })], ['neko']);
});

test('no container shares the network of one that may be made again', () => {
  for (const file of COMPOSE_FILES) assert.doesNotMatch(readExample(file), /^ *network_mode:/m, file);
});

test('every nginx file keeps the port in Host and lets uploads through', () => {
  const files = exampleFiles('.conf').filter((file) => readExample(file).includes('proxy_pass'));
  assert.ok(files.length >= 6, files.join());
  for (const file of files) {
    assert.match(readExample(file), /^ *proxy_set_header Host \$http_host;$/m, file);
    assert.match(readExample(file), /^ *client_max_body_size 0;$/m, file);
  }
});

test("Traefik's labels and its file send to the proxy", () => {
  const { services } = parse(readExample('traefik/compose.yaml')) as Compose;
  const { environment = {}, labels = {} } = services['keepalive'] ?? {};
  const port = labels['traefik.http.services.neko.loadbalancer.server.port'];
  assert.equal(Number(port), portOf(settingsOf(environment)));
  assert.equal(services['neko']?.labels, undefined);
  const { http } = parse(readExample('traefik/dynamic.yaml')) as {
    http: { services: { neko: { loadBalancer: { servers: { url: string }[] } } } };
  };
  assert.deepEqual(http.services.neko.loadBalancer.servers, [{ url: `http://${PROXY_ADDRESS}` }]);
});

test('every README names files that exist, and the index names every folder', () => {
  for (const file of READMES) {
    for (const [, target = ''] of readExample(file).matchAll(/\]\(([^)]+)\)/g)) {
      if (!/^https?:/.test(target)) assert.ok(existsSync(join(EXAMPLES, dirname(file), target)), `${file}: ${target}`);
    }
  }
  const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders) {
    assert.ok(existsSync(join(EXAMPLES, name, 'README.md')), name);
    assert.ok(readExample('README.md').includes(`(${name}/)`), name);
  }
});

test('every shell line is one that shellcheck has nothing to say about', { skip: skipWithout('shellcheck') }, () => {
  const blocks = READMES.flatMap((file) =>
    [...readExample(file).matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text = '']) => ({ file, text })),
  );
  assert.ok(blocks.length >= 4, `${blocks.length} blocks`);
  for (const { file, text } of blocks) {
    const { stdout } = spawnSync(requireProgram('shellcheck'), ['--shell=sh', '-'], { input: text, encoding: 'utf8' });
    assert.equal(stdout, '', file);
  }
});
