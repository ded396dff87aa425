/** Which configuration file is read. */
import type { Problem } from './errors.ts';

/** Reads a file as text, or throws an error with a `code`. */
export type ReadFile = (path: string) => string;

export type Source =
  | { readonly file: string; readonly text: string; readonly problems: readonly Problem[] }
  | { readonly file: null; readonly text: null; readonly problems: readonly Problem[] };

/** Tried in this order when no file is named. */
const DEFAULT_FILES = ['config.yaml', '/etc/ws-keepalive-proxy/config.yaml'] as const;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory (container engines make one where a mounted file does not exist)',
};

/** The file of `--config`, else of `WSKP_CONFIG`, else the first default that exists, else none. */
export function findSource(flag: string | undefined, variable: string | undefined, readFile: ReadFile): Source {
  if (flag !== undefined) return read(flag, { file: null, path: '--config' }, readFile);
  if (variable !== undefined) return read(variable, { file: 'environment', path: 'WSKP_CONFIG' }, readFile);
  for (const file of DEFAULT_FILES) {
    const source = read(file, { file, path: '' }, readFile);
    if (source.problems.length > 0 || source.text !== null) return source;
  }
  return { file: null, text: null, problems: [] };
}

function read(file: string, namedBy: Pick<Problem, 'file' | 'path'>, readFile: ReadFile): Source {
  const failed = (message: string): Source => {
    return { file: null, text: null, problems: [{ ...namedBy, line: null, col: null, message }] };
  };
  if (file === '') return failed('is empty; name a file or leave it out');
  try {
    return { file, text: readFile(file), problems: [] };
  } catch (error) {
    const reason = failureReason(error);
    const optional = namedBy.file === file && reason === REASONS['ENOENT'];
    return optional ? { file: null, text: null, problems: [] } : failed(`cannot read ${file}: ${reason}`);
  }
}

/** Why a file could not be read, in a few words. */
export function failureReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return REASONS[code] ?? code;
}
