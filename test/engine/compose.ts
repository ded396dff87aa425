/** Every compose file: started, and each of its services killed and restarted in turn. */
import { dirname, join } from 'node:path';
import { askBoth } from './ask.ts';
import { IMAGE, PROJECT } from './images.ts';
import { run, succeeds, until } from './run.ts';
import type { Table } from './table.ts';

interface Sheet {
  readonly file: string;
  /** Where people come in. */
  readonly place: string;
  /** Those whose program can be had here; default: all. */
  readonly only?: readonly string[];
}

const SHEETS: readonly Sheet[] = [
  { file: 'docker-compose/compose.yaml', place: '127.0.0.1:80' },
  { file: 'docker-compose/sidecar.yaml', place: '127.0.0.1:80' },
  { file: 'balanced/compose.yaml', place: '127.0.0.1:80' },
  { file: 'rooms/neko-rooms.compose.yaml', place: '127.0.0.1:8080' },
  { file: 'traefik/compose.yaml', place: 'keepalive:8080', only: ['keepalive', 'neko'] },
  { file: 'nginx-proxy-manager/compose.yaml', place: 'keepalive:8080', only: ['keepalive', 'neko'] },
];

/** `docker compose`, or its forerunner; null: there is neither. */
async function composeCommand(): Promise<readonly [string, ...string[]] | null> {
  if (await succeeds('docker', ['compose', 'version'])) return ['docker', 'compose'];
  return (await succeeds('docker-compose', ['version'])) ? ['docker-compose'] : null;
}

export async function tryCompose(table: Table): Promise<void> {
  const command = await composeCommand();
  if (command === null) {
    const why = new Error("neither Docker's compose plugin nor docker-compose is here");
    await table.row('compose files', 'docker', 'up', () => Promise.reject(why));
    return;
  }
  const [program, ...words] = command;
  for (const sheet of SHEETS) {
    const folder = join(PROJECT, 'examples', dirname(sheet.file));
    const compose = (...args: string[]): Promise<string> =>
      run(program, [...words, '--project-name', 'wskp', '--file', join(PROJECT, 'examples', sheet.file), ...args], {
        cwd: folder,
        env: { DOCKER_BUILDKIT: '0', COMPOSE_DOCKER_CLI_BUILD: '0' },
      });
    // Built already, under the name that the file would give it.
    await run('docker', ['tag', IMAGE, 'wskp_keepalive']);
    await run('docker', ['tag', IMAGE, 'wskp-keepalive']);
    try {
      await trySheet(table, sheet, compose);
    } finally {
      await compose('down', '--timeout', '1', '--remove-orphans');
    }
  }
}

type Compose = (...args: string[]) => Promise<string>;

async function trySheet(table: Table, { file, place, only = [] }: Sheet, compose: Compose): Promise<void> {
  const ask = async (): Promise<void> => askBoth(await resolvePlace(place, compose));
  await table.row(file, 'docker', only.length === 0 ? 'up' : `up (${only.join(' and ')})`, async () => {
    await compose('up', '--detach', '--no-build', ...only);
    return `answered after ${await until(ask)} s`;
  });
  const services = only.length > 0 ? only : (await compose('config', '--services')).split('\n');
  for (const service of services) {
    await table.row(file, 'docker', `kill ${service}`, async () => {
      for (const id of await idsOf(service, compose)) {
        const pid = Number(await run('docker', ['inspect', '--format', '{{.State.Pid}}', id]));
        // Not "docker kill", which counts as stopped by hand: then nothing restarts it.
        process.kill(pid, 'SIGKILL');
      }
      return `answered again after ${await until(ask)} s`;
    });
    await table.row(file, 'docker', `restart ${service}`, async () => {
      await compose('restart', '--timeout', '9', service);
      return `answered again after ${await until(ask)} s`;
    });
  }
  if (services.includes('nginx') && services.includes('neko')) await swap(table, file, compose, ask);
}

/** The two take each other's address, and nginx must not end up past the proxy. */
async function swap(table: Table, file: string, compose: Compose, ask: () => Promise<void>): Promise<void> {
  await table.row(file, 'docker', 'stop keepalive and neko, start them in turn', async () => {
    await compose('stop', '--timeout', '1', 'keepalive', 'neko');
    const before = await opened(compose);
    await compose('start', 'keepalive');
    await compose('start', 'neko');
    const seconds = await until(ask);
    const after = await opened(compose);
    if (after <= before) throw new Error('answered, but past the proxy');
    return `answered through the proxy after ${seconds} s`;
  });
}

async function opened(compose: Compose): Promise<number> {
  const logs = await compose('logs', '--no-color', 'keepalive');
  return logs.split('websocket opened').length - 1;
}

async function idsOf(service: string, compose: Compose): Promise<string[]> {
  return (await compose('ps', '--quiet', service)).split('\n').filter((id) => id !== '');
}

/** A service that publishes no port is asked at its address. */
async function resolvePlace(place: string, compose: Compose): Promise<string> {
  const [host = '', port] = place.split(':');
  if (host !== 'keepalive') return place;
  const [id = ''] = await idsOf(host, compose);
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}';
  const [address] = (await run('docker', ['inspect', '--format', format, id])).split(' ');
  return `${address}:${port}`;
}
