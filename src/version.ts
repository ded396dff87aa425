/** What runs: the version of the package and the commit it was made of. */
import { readFileSync } from 'node:fs';

const PACKAGE = new URL('../package.json', import.meta.url);
/** One line, written by the build; not there when the sources came without their history. */
const COMMIT = new URL('commit', import.meta.url);

export interface Build {
  readonly version: string;
  /** Empty when it is not known. */
  readonly commit: string;
}

export function readBuild(): Build {
  const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string };
  return { version, commit: readCommit() };
}

/** As `--version` shows it: `0.1.0 (1a2b3c4d5e6f)`. */
export function describeBuild({ version, commit }: Build): string {
  return commit === '' ? version : `${version} (${commit})`;
}

function readCommit(): string {
  try {
    return readFileSync(COMMIT, 'utf8').trim();
  } catch {
    return '';
  }
}
