/** A reload: what a running program takes over from a configuration that was read again, and whether it was the same file again. */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Settings } from '../core/settings.ts';
import { camelCase } from './effective.ts';
import { infoAt, valuePaths } from './schema.ts';

export interface Reloaded {
  /** What is in force from now on. */
  readonly settings: Settings;
  /** Keys that were changed and need a restart. */
  readonly fixed: readonly string[];
}

/** The keys that are in force from start to end. */
const FIXED = valuePaths().filter((path) => infoAt(path)?.restart === true);

/** Takes over from `next` what may change while the program runs. */
export function reloadedSettings(current: Settings, next: Settings): Reloaded {
  const changed = FIXED.filter((path) => !isDeepStrictEqual(valueAt(current, path), valueAt(next, path)));
  return {
    settings: changed.reduce((settings, path) => withValue(settings, path, valueAt(current, path)), next),
    fixed: changed.map((path) => path.join('.')),
  };
}

function valueAt(settings: object, path: readonly string[]): unknown {
  return path.reduce<unknown>((here, key) => (here as Record<string, unknown>)[camelCase(key)], settings);
}

function withValue<T extends object>(tree: T, [key = '', ...rest]: readonly string[], value: unknown): T {
  const name = camelCase(key) as keyof T;
  return { ...tree, [name]: rest.length === 0 ? value : withValue(tree[name] as object, rest, value) };
}

/** What is asked of the system. Each throws where there is no answer. */
export interface FileSystem {
  readonly stat: (path: string) => { dev: number; ino: number; mtimeMs: number; size: number; nlink: number };
  /** As in /proc/self/mountinfo. */
  readonly mounts: () => string;
}

const SYSTEM: FileSystem = { stat: statSync, mounts: () => readFileSync('/proc/self/mountinfo', 'utf8') };

/**
 * The configuration file of a running program, from one reload to the next. A file that a container engine mounted by itself is the one
 * that was there when the mount was made: when an editor puts a new file in its place, a reload reads the old one again.
 */
export class MountedFile {
  readonly #system: FileSystem;
  #seen: string | null;

  /** @param file as it was read at the start; null: there was none */
  constructor(file: string | null, system: FileSystem = SYSTEM) {
    this.#system = system;
    this.#seen = this.#look(file)?.identity ?? null;
  }

  /** For each reload. @returns what to do when the same file was read again because of its mount, else null */
  reread(file: string | null): string | null {
    const now = this.#look(file);
    const before = this.#seen;
    this.#seen = now?.identity ?? null;
    if (file === null || now === null || now.identity !== before) return null;
    if (now.nlink === 0)
      return 'it was replaced where it comes from, and its mount shows the old one; mount its folder, and start the container again';
    return this.#isMounted(file)
      ? 'it has not changed since; if it was replaced where it comes from, mount its folder instead of the file'
      : null;
  }

  #look(file: string | null): { identity: string; nlink: number } | null {
    try {
      const { dev, ino, mtimeMs, size, nlink } = this.#system.stat(resolve(file ?? ''));
      return { identity: [file, dev, ino, mtimeMs, size].join(' '), nlink };
    } catch {
      return null;
    }
  }

  #isMounted(file: string): boolean {
    try {
      // The fifth field is where it is mounted; spaces in it are written as \040.
      const points = this.#system
        .mounts()
        .split('\n')
        .map((line) => line.split(' ')[4]);
      return points.includes(resolve(file).replaceAll(' ', '\\040'));
    } catch {
      return false;
    }
  }
}
