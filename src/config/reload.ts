/** What a running program can take over from a configuration that was read again. */
import { isDeepStrictEqual } from 'node:util';
import type { Settings } from '../core/settings.ts';

/** Each key that is in force from start to end, with how it is kept. */
const FIXED: readonly { readonly key: string; readonly of: (settings: Settings) => unknown }[] = [
  { key: 'listen', of: ({ listen }) => listen },
  { key: 'admin.listen', of: ({ admin }) => admin.listen },
  { key: 'admin.hosts', of: ({ admin }) => admin.hosts },
  { key: 'log.format', of: ({ log }) => log.format },
  { key: 'log.query', of: ({ log }) => log.query },
];

export interface Reloaded {
  /** What is in force from now on. */
  readonly settings: Settings;
  /** Keys that were changed and need a restart. */
  readonly fixed: readonly string[];
}

/** Takes over from `next` what may change while the program runs. */
export function reloadedSettings(current: Settings, next: Settings): Reloaded {
  const { listen, admin, log } = current;
  return {
    settings: { ...next, listen, admin, log: { ...log, level: next.log.level } },
    fixed: FIXED.filter(({ of }) => !isDeepStrictEqual(of(current), of(next))).map(({ key }) => key),
  };
}
