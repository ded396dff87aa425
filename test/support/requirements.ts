/** Programs of the system that some tests need. Without one its tests are skipped, or fail where REQUIRE_ALL is 1. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const PROGRAMS = ['nginx', 'haproxy', 'apache2', 'caddy', 'chromium', 'shellcheck', 'wrk'] as const;
export type ProgramName = (typeof PROGRAMS)[number];

/** Where Debian puts servers, which is not on every user's PATH. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/sbin'];

export const allRequired = process.env['REQUIRE_ALL'] === '1';

/** Full path, or null. */
function findProgram(name: ProgramName): string | null {
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
  return `apt-get install ${names.join(' ')}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
