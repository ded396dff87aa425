/** The images: the base ones where they cannot be pulled, the project's own with every builder, and one that stands for Neko. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, succeeds } from './run.ts';
import type { Table } from './table.ts';

export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));
export const IMAGE = 'ws-keepalive-proxy';
const BASE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'ws-keepalive-proxy', 'base-image.tar');
/** The second for a machine that trusts more than Node does by itself on its way to npm. */
const ENVIRONMENT = [
  'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt',
];
const BASES = [
  ['node:24-slim', 'CMD ["node"]'],
  ['nginx:stable', 'CMD ["nginx","-g","daemon off;"]'],
] as const;

/** Names in the examples that a room of the demo is put behind: a server as quiet as Neko, without a browser of 2 GB. */
const ROOMS = ['ghcr.io/m1k1o/neko/firefox', 'm1k1o/neko-rooms'];
const ROOM = `
FROM ${IMAGE}
USER 0:0
HEALTHCHECK NONE
ENTRYPOINT ["node", "-e", "process.on('SIGTERM', () => process.exit()); import('/app/dist/demo/room.js').then(({ startRoom }) => startRoom({ host: '0.0.0.0', port: 8080 }))"]
`;

/** Pulls the base images, or makes them of Debian and tags them alike. */
export async function provideBases(engine: string): Promise<string> {
  const how = new Set<string>();
  for (const [name, command] of BASES) {
    if (await succeeds(engine, ['image', 'inspect', name])) how.add('there already');
    else if (await succeeds(engine, ['pull', `docker.io/library/${name}`], { patience: 120_000 })) how.add('pulled');
    else {
      if (!existsSync(BASE)) await run(join(PROJECT, 'test/engine/base-image.sh'), [BASE], { patience: 1_200_000 });
      await run(engine, ['import', ...[command, ...ENVIRONMENT].flatMap((each) => ['--change', each]), BASE, name]);
      how.add('made of Debian and the npm package node@24');
    }
  }
  return [...how].join(', ');
}

/** A clone, as a newcomer has it. @returns its folder and the commit */
export async function clone(): Promise<{ folder: string; commit: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'wskp-clone-'));
  await run('git', ['clone', '--quiet', PROJECT, folder]);
  return { folder, commit: await run('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: folder }) };
}

export interface Builder {
  readonly name: string;
  readonly engine: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Builds from a clone and looks at what is in the image. */
export async function build(table: Table, builder: Builder, source: { folder: string; commit: string }): Promise<void> {
  const { name, engine, args = [], env = {} } = builder;
  await table.row('image', name, 'build from a clone', async () => {
    const begun = performance.now();
    await run(engine, ['build', '--network', 'host', ...args, '--tag', IMAGE, source.folder], {
      env,
      patience: 1_200_000,
    });
    const seconds = Math.round((performance.now() - begun) / 1000);
    const version = await run(engine, ['run', '--rm', IMAGE, '--version']);
    if (!version.includes(source.commit)) throw new Error(`--version says ${version}, not ${source.commit}`);
    const find = ['find', '/app', '-name', '*.map', '-o', '-name', '*.d.ts', '-o', '-name', 'test', '-type', 'd'];
    const useless = await run(engine, ['run', '--rm', '--entrypoint', 'env', IMAGE, ...find]);
    if (useless !== '') throw new Error(`in the image: ${useless.slice(0, 200)}`);
    const [size] = (await run(engine, ['run', '--rm', '--entrypoint', 'du', IMAGE, '-sm', '/app'])).split('\t');
    return `${seconds} s; ${size} MiB of program, no maps, declarations or tests; \`${version}\``;
  });
}

/** Tags a quiet room with the names of the servers in the examples. */
export async function provideRooms(engine: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'wskp-room-'));
  await writeFile(join(folder, 'Dockerfile'), ROOM);
  const tags = ROOMS.flatMap((name) => ['--tag', name]);
  await run(engine, ['build', ...tags, folder], { env: { DOCKER_BUILDKIT: '0' } });
  await rm(folder, { recursive: true });
}
