/** Programs and libraries of the system that some tests need. Without one its tests are skipped, or fail where REQUIRE_ALL is 1. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const PROGRAMS = [
  'nginx',
  'haproxy',
  'apache2',
  'caddy',
  'chromium',
  'shellcheck',
  'wrk',
  'prometheus',
  'promtool',
  // Debian's modules and libraries, by the name of their package.
  'libnginx-mod-stream',
  'python3-aiohttp',
  'python3-tornado',
  'python3-websocket',
  'python3-websockets',
] as const;
export type ProgramName = (typeof PROGRAMS)[number];

/** Where Debian puts servers, which is not on every user's PATH. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/sbin'];

/** Where Debian puts what its own Python finds. */
const PYTHON_LIBRARIES = '/usr/lib/python3/dist-packages';

/** As in Debian; elsewhere nginx may have it built in, and then this one is not to be loaded. */
export const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

export const allRequired = process.env['REQUIRE_ALL'] === '1';

/** Full path, or null. Of a library its folder. */
function findProgram(name: ProgramName): string | null {
  if (name === 'libnginx-mod-stream') return existsSync(STREAM_MODULE) ? STREAM_MODULE : null;
  const [, library] = /^python3-(.*)$/.exec(name) ?? [];
  if (library !== undefined) return [join(PYTHON_LIBRARIES, library)].find(existsSync) ?? null;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

/** Full path; throws with what to do. */
export function requireProgram(name: ProgramName): string {
  const path = findProgram(name);
  if (path === null) throw new Error(`${name} is not installed: ${howToGet(name)}`);
  return path;
}

/** For the `skip` of a test: false to run it, or why not. */
export function skipWithout(...names: readonly ProgramName[]): string | false {
  const missing = names.filter((name) => findProgram(name) === null);
  return missing.length === 0 || allRequired ? false : `${missing.join(', ')} not installed`;
}

export function missingPrograms(): ProgramName[] {
  return PROGRAMS.filter((name) => findProgram(name) === null);
}

export function howToGet(...names: readonly ProgramName[]): string {
  // promtool comes with Prometheus.
  const packages = new Set(names.map((name) => (name === 'promtool' ? 'prometheus' : name)));
  return `apt-get install ${[...packages].join(' ')}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
