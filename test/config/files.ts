/** Loading from files that exist in memory alone. */
import { ConfigError } from '../../src/config/errors.ts';
import { type Loaded, loadSettings, type LoadOptions } from '../../src/config/load.ts';

/** What is read from a path: text, or the code of an error. */
export type Files = Readonly<Record<string, string | { readonly code: string }>>;

/** Loads with `files` below `/app`; without further options there is no environment and there are no flags. */
export function load(files: Files | string, options: LoadOptions = {}): Loaded {
  const all: Files = typeof files === 'string' ? { '/app/config.yaml': files } : files;
  const readFile = (path: string): string => {
    const content = all[path] ?? { code: 'ENOENT' };
    if (typeof content === 'string') return content;
    throw Object.assign(new Error(path), content);
  };
  return loadSettings({ env: {}, cwd: '/app', readFile, ...options });
}

/** The lines of the error that loading ends with; empty when it succeeds. */
export function problems(files: Files | string, options: LoadOptions = {}): string[] {
  try {
    load(files, options);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
}
