/** One container as people run it: read-only, other users, little memory, signals, health. */
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocketServer } from 'ws';
import { askBoth } from './ask.ts';
import { IMAGE } from './images.ts';
import { run, until } from './run.ts';
import type { Table } from './table.ts';

const NAME = 'wskp-engine';
const ROOM = 'wskp-engine-room';
const CROWD = 3000;

export async function tryContainer(table: Table, engine: string): Promise<void> {
  const remove = (name: string): Promise<unknown> => run(engine, ['rm', '--force', name]).catch(() => undefined);
  const address = (name: string): Promise<string> =>
    run(engine, ['inspect', '--format', '{{.NetworkSettings.IPAddress}}', name]);
  await remove(ROOM);
  await run(engine, ['run', '--detach', '--name', ROOM, 'ghcr.io/m1k1o/neko/firefox']);
  const upstream = `http://${await address(ROOM)}:8080`;
  const start = async (flags: readonly string[], to = upstream): Promise<string> => {
    await remove(NAME);
    const all = ['--read-only', '--cap-drop', 'ALL', '--env', `WSKP_UPSTREAM=${to}`, ...flags];
    await run(engine, ['run', '--detach', '--name', NAME, ...all, IMAGE]);
    return `${await address(NAME)}:8080`;
  };
  const state = (field: string): Promise<string> => run(engine, ['inspect', '--format', `{{.State.${field}}}`, NAME]);
  const exec = (...words: string[]): Promise<string> =>
    run(engine, ['exec', NAME, 'node', '/app/dist/main.js', ...words]);

  for (const user of ['65532', '12345:23456', '0:0']) {
    await table.row('container', engine, `run read-only without rights as user ${user}`, async () => {
      const place = await start(['--user', user]);
      await until(() => askBoth(place));
      return 'HTTP and WebSocket answered';
    });
  }
  await table.row('container', engine, 'health, then again with the upstream gone', async () => {
    const place = await start([]);
    await until(() => askBoth(place));
    const before = [await exec('healthcheck'), await exec('healthcheck', '--ready')].join(', ');
    await run(engine, ['stop', '--time', '1', ROOM]);
    await until(async () => {
      if (
        await exec('healthcheck', '--ready').then(
          () => true,
          () => false,
        )
      )
        throw new Error('still ready');
    });
    const alive = await exec('healthcheck');
    await run(engine, ['start', ROOM]);
    return `${before}; then ${alive}, and --ready exits with 1`;
  });
  await table.row('container', engine, 'SIGHUP, SIGTERM', async () => {
    const place = await start(['--env', 'WSKP_TIMEOUTS_DRAIN=1s'], `http://${await address(ROOM)}:8080`);
    await until(() => askBoth(place));
    await run(engine, ['kill', '--signal', 'HUP', NAME]);
    await until(async () => {
      if (!(await run(engine, ['logs', NAME])).includes('configuration reloaded')) throw new Error('no reload');
    });
    await run(engine, ['stop', '--time', '9', NAME]);
    const code = await state('ExitCode');
    if (code !== '0') throw new Error(`exit code ${code}`);
    return 'reloaded; exit code 0';
  });
  await table.row('container', engine, 'replace a configuration file mounted as a single file, SIGHUP', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wskp-config-'));
    const file = join(folder, 'config.yaml');
    await writeFile(file, `upstream: ${upstream}\n`);
    await start(['--volume', `${file}:/etc/ws-keepalive-proxy/config.yaml:ro`, '--env', 'WSKP_LOG_LEVEL=info']);
    await until(() => exec('healthcheck'));
    await writeFile(`${file}.new`, `upstream: ${upstream}\nlog: { level: warn }\n`);
    await rename(`${file}.new`, file);
    await run(engine, ['kill', '--signal', 'HUP', NAME]);
    const sentence = 'it was replaced where it comes from, and its mount shows the old one';
    await until(async () => {
      if (!(await run(engine, ['logs', NAME])).includes(sentence)) throw new Error('the log does not say so');
    });
    await rm(folder, { recursive: true });
    return 'the log says that the mount shows the old one';
  });
  await table.row('container', engine, `${CROWD} WebSockets at once in 128 MiB`, () => crowd(start, state));
  await remove(NAME);
  await remove(ROOM);
}

/** Its own upstream: the room is a container with limits of its own. */
async function crowd(
  start: (flags: readonly string[], to: string) => Promise<string>,
  state: (field: string) => Promise<string>,
): Promise<string> {
  const http = createServer((_, response) => response.end());
  const server = new WebSocketServer({ server: http, perMessageDeflate: false });
  http.listen(0, '0.0.0.0', 4096);
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const flags = ['--memory', '128m', '--memory-swap', '128m', '--add-host', 'upstream:host-gateway'];
  const place = await start([...flags, '--env', 'WSKP_LOG_LEVEL=warn'], `http://upstream:${port}`);
  const [host = '', at = ''] = place.split(':');
  try {
    await until(() => fetch(`http://${place}/`, { signal: AbortSignal.timeout(5000) }));
    const statuses = await Promise.all(Array.from({ length: CROWD }, () => openOne(host, Number(at))));
    const open = statuses.filter((status) => status === '101').length;
    if (open !== CROWD) throw new Error(`${open} of ${CROWD} opened; OOMKilled ${await state('OOMKilled')}`);
    if ((await state('Running')) !== 'true') throw new Error('it died');
    return `all opened, it lives`;
  } finally {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const client of server.clients) client.terminate();
    http.close();
  }
}

const sockets: ReturnType<typeof connect>[] = [];

/** @returns the status, or why there is none */
function openOne(host: string, port: number): Promise<string> {
  const socket = connect({ host, port });
  sockets.push(socket);
  const lines = [
    'GET /ws HTTP/1.1',
    'Host: a',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
  ];
  return new Promise((resolve) => {
    socket.on('connect', () =>
      socket.write(`${lines.join('\r\n')}\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`),
    );
    socket.once('data', (data) => resolve(data.toString('latin1').slice(9, 12)));
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve('closed'));
  });
}
