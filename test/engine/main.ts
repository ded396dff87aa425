/**
 * `npm run test:engine`: the image, the compose files, the sidecar's pod and the unit on real engines. Waits for wall-clock time, and is no
 * part of `npm test`. Words after `--` are the parts to run: image, container, compose, systemd, pod. With WRITE=1 its table is put into docs/operations.md.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { tryCompose } from './compose.ts';
import { tryContainer } from './container.ts';
import { build, type Builder, clone, PROJECT, provideBases, provideRooms } from './images.ts';
import { tryPod } from './pod.ts';
import { run, succeeds } from './run.ts';
import { trySystemd } from './systemd.ts';
import { Table } from './table.ts';

const MARKS = ['<!-- engines: written by npm run test:engine -->\n', '<!-- end of engines -->\n'] as const;
/** What the sandbox needs. */
const TOOLS = ['dockerd', 'slirp4netns', 'unshare'];

const words = process.argv.slice(2);
const wants = (part: string): boolean => words.length === 0 || words.includes(part);

const DOCKER_PARTS = ['image', 'container', 'compose', 'systemd'];

const has = (program: string): Promise<boolean> => succeeds('sh', ['-c', `command -v ${program}`]);

if (await succeeds('docker', ['info'])) await runAll(true, await has('podman'));
else if (process.getuid?.() === 0 && (await Promise.all(TOOLS.map(has))).every(Boolean)) await runInSandbox();
else if (await has('podman')) await runAll(false, true);
else
  process.stdout.write(
    'skipped: no Docker daemon runs here and there is no podman; apt-get install docker.io docker-compose podman slirp4netns debootstrap\n',
  );

/** Starts this file again where a daemon of its own runs. */
async function runInSandbox(): Promise<void> {
  const sandbox = fileURLToPath(new URL('sandbox.sh', import.meta.url));
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn(sandbox, again, {
    stdio: 'inherit',
    env: { ...process.env, PATH: `/usr/bin:${process.env['PATH']}` },
  });
  const [code] = (await once(child, 'close')) as [number | null];
  process.exitCode = code ?? 1;
}

async function runAll(hasDocker: boolean, hasPodman: boolean): Promise<void> {
  const table = new Table();
  const source = await clone();
  try {
    if (hasDocker && DOCKER_PARTS.some(wants)) await runDocker(table, source);
    if (hasPodman && (wants('image') || wants('pod'))) await runPodman(table, source);
    // Last: it changes the mounts of cgroups.
    if (hasDocker && wants('systemd')) await runSystemd(table);
  } finally {
    await rm(source.folder, { recursive: true });
  }
  process.stdout.write(`\n${table.markdown()}\n${table.rows.length} rows, ${table.failed} failed\n`);
  if (process.env['WRITE'] === '1') await writeTable(table);
  process.exitCode = table.failed === 0 ? 0 : 1;
}

async function runDocker(table: Table, source: Awaited<ReturnType<typeof clone>>): Promise<void> {
  await table.row('base images', 'docker', 'node:24-slim, nginx:stable', () => provideBases('docker'));
  const builders: Builder[] = [
    { name: 'docker, classic builder', engine: 'docker', env: { DOCKER_BUILDKIT: '0' } },
    { name: 'docker, BuildKit', engine: 'docker', env: { DOCKER_BUILDKIT: '1' } },
  ];
  for (const builder of wants('image') ? builders : builders.slice(1)) await build(table, builder, source);
  await provideRooms('docker');
  if (wants('container')) await tryContainer(table, 'docker');
  if (wants('compose')) await tryCompose(table);
}

/** Images that are pulled have none. */
async function runSystemd(table: Table): Promise<void> {
  const image = 'nginx:stable';
  const looks = ['run', '--rm', '--entrypoint', 'test', image, '-x', '/sbin/init'];
  if (await succeeds('docker', looks)) await trySystemd(table, image);
  else process.stdout.write(`systemd was not tried: ${image} does not have it\n`);
}

async function runPodman(table: Table, source: Awaited<ReturnType<typeof clone>>): Promise<void> {
  await table.row('base images', 'podman', 'node:24-slim, nginx:stable', () => provideBases('podman'));
  await build(table, { name: 'podman (buildah)', engine: 'podman', args: ['--format', 'docker'] }, source);
  await provideRooms('podman');
  await tryPod(table);
}

async function writeTable(table: Table): Promise<void> {
  const file = join(PROJECT, 'docs/operations.md');
  const text = await readFile(file, 'utf8');
  const [begin, end] = [text.indexOf(MARKS[0]), text.indexOf(MARKS[1])];
  if (begin < 0 || end < 0) throw new Error(`${file} has no place for the table`);
  const versions = [await version('docker'), await version('podman')].filter((each) => each !== null).join(', ');
  await writeFile(file, `${text.slice(0, begin)}${MARKS[0]}\n${versions}\n\n${table.markdown()}\n${text.slice(end)}`);
}

async function version(program: string): Promise<string | null> {
  return run(program, ['--version']).catch(() => null);
}
