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
  readonly network_mode?: string;
  readonly read_only?: boolean;
  readonly stop_grace_period?: string;
  readonly volumes?: readonly string[];
}

interface Compose {
  readonly services: Record<string, Service>;
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
    const { address } = settings.routes[0]?.upstream ?? assert.fail('no upstream');
    const host = address.kind === 'tcp' ? address.host : '';
    assert.ok(host in services || service.network_mode !== undefined || host === '127.0.0.1', host);
  });

  test(`${file} mounts files that exist and that name the proxy by its place`, () => {
    const { services } = parse(readExample(file)) as Compose;
    const { network_mode: shared, environment = {} } = services['keepalive'] ?? {};
    const place = `${shared?.replace('service:', '') ?? 'keepalive'}:${portOf(settingsOf(environment))}`;
    for (const { volumes = [] } of Object.values(services)) {
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        if (source.endsWith('.conf')) assert.ok(readExample(join(dirname(file), source)).includes(place), place);
      }
    }
  });
}

test('the sidecar does not take the port that Neko has', () => {
  const { services } = parse(readExample('docker-compose/sidecar.yaml')) as Compose;
  const settings = settingsOf(services['keepalive']?.environment ?? {});
  assert.equal(services['keepalive']?.network_mode, 'service:neko');
  assert.equal(settings.routes[0]?.upstream.url, 'http://127.0.0.1:8080');
  assert.notEqual(portOf(settings), 8080);
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
