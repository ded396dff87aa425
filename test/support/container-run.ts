/** Runs what the Dockerfile makes, as a container would: its user, a read-only tree, and where possible as process 1. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Cleanup } from './cleanup.ts';
import type { Image } from './container-steps.ts';
import { type Child, startChild } from './process.ts';
import { allRequired } from './requirements.ts';

/** Words before a command that make it root's; null when there are none. */
const AS_ROOT = findRoot();
const NAMESPACES = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];
const READ_ONLY = ['sh', '-ec', 'mount -o remount,bind,ro / && exec "$@"', 'sh'];

/** For the `skip` of a suite, which nobody counts: where nothing may be skipped it runs, and fails. */
export const skipWithoutRoot =
  !allRequired && AS_ROOT === null && 'only root can become another user: run the tests as root';

/** For the `skip` of a test that needs namespaces of its own. */
export const skipWithoutNamespaces =
  skipWithoutRoot || (!hasNamespaces() && 'this system lets nobody make namespaces: run it outside of a container');

function findRoot(): readonly string[] | null {
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true']).status === 0 ? ['sudo', '-n'] : null;
}

function hasNamespaces(): boolean {
  return AS_ROOT !== null && commandStatus([...AS_ROOT, ...NAMESPACES, 'true']) === 0;
}

function commandStatus([command = '', ...args]: readonly string[]): number | null {
  return spawnSync(command, args).status;
}

/** The list form of an instruction such as ENTRYPOINT, with paths of the image turned into paths of its folder. */
export function commandOf(image: Image, keyword: string): string[] {
  const list = /\[.*\]$/.exec(image.config.get(keyword) ?? '')?.[0];
  if (list === undefined) throw new Error(`${keyword} is not a list`);
  const words = JSON.parse(list) as string[];
  return words.map((word) => (word === 'node' ? process.execPath : word.replace(/^\//, `${image.root}/`)));
}

/** Leaves the tree to its owner, who is not the image's user: that one may read alone. */
export function makeReadOnly({ root }: Image): void {
  execFileSync('chmod', ['-R', 'go-w,a+rX', root]);
}

export interface RunOptions {
  readonly command: readonly string[];
  /** Short form of `WSKP_` variables. */
  readonly settings: Readonly<Record<string, string>>;
  /** As process 1 of a namespace, below a root file system that nobody can write to. */
  readonly first?: boolean;
}

/** Starts a command as the image's user, with the image's environment. */
export function startInImage(cleanup: Cleanup, image: Image, options: RunOptions): Child {
  const variables = Object.entries(options.settings).map(([name, value]) => `WSKP_${name}=${value}`);
  const env = [
    'env',
    '-i',
    ...Object.entries(knownHere(image.env)).map(([name, value]) => `${name}=${value}`),
    ...variables,
  ];
  const namespaces = options.first === true ? [...NAMESPACES, ...READ_ONLY] : [];
  const [program = '', ...words] = [...(AS_ROOT ?? []), ...namespaces, ...asUser(image), ...env, ...options.command];
  return startChild(cleanup, program, words, { cwd: `${image.root}${image.workdir}` });
}

/** The image's Node may know options that this one does not, and would refuse. */
function knownHere(env: Image['env']): Image['env'] {
  const options = (env['NODE_OPTIONS'] ?? '').split(' ');
  const known = options.filter((option) => process.allowedNodeEnvironmentFlags.has(option.split('=')[0] ?? ''));
  return { ...env, NODE_OPTIONS: known.join(' ') };
}

/** The process that `unshare` has started, as seen from outside its namespace. */
export function pidBelow(child: Child): number {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
  return Number(children.trim());
}

function asUser({ config }: Image): string[] {
  const [uid = '', gid = ''] = (config.get('USER') ?? '').split(':');
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs', '--bounding-set=-all'];
}
