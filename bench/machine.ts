/** What the figures were measured on, and with. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { requireProgram } from '../test/support/requirements.ts';
import { ROOT, type SystemName } from './systems.ts';

/** Where the proxy runs, and where the load: null when they cannot be kept apart. */
export interface Cores {
  readonly proxy: number | null;
  readonly load: number | null;
}

export function chooseCores(): Cores {
  const canPin = availableParallelism() >= 2 && output('taskset', ['--version']) !== null;
  return canPin ? { proxy: 0, load: 1 } : { proxy: null, load: null };
}

export function describeCores({ proxy, load }: Cores): string {
  if (proxy === null) return 'nothing pinned: there is one core, or no taskset';
  return `every proxy on core ${proxy}, echo server and generator on core ${load}`;
}

export function machine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${cpus().length} cores, ${memory} GiB, ${type()} ${release()} ${arch()}`;
}

/** One-minute load average. */
export function busyness(): number {
  return loadavg()[0] as number;
}

/** Commit of the build that runs, with a mark when its tree differed from it. */
export function commit(folder = join(ROOT, 'dist')): string {
  const file = join(folder, 'commit');
  return (existsSync(file) && readFileSync(file, 'utf8').trim()) || 'unknown';
}

/** Versions of what is compared, as sentences of a few words. */
export function versions(systems: readonly SystemName[], newerNode: string | null): string[] {
  const found = [`Node ${process.versions.node}`, library('ws'), library('http-proxy-classic'), library('http-proxy')];
  if (systems.includes('nginx')) found.push(`nginx ${firstVersion(requireProgram('nginx'))}`);
  if (systems.includes('haproxy')) found.push(`HAProxy ${firstVersion(requireProgram('haproxy'))}`);
  if (systems.includes('caddy')) found.push(`Caddy ${firstVersion(requireProgram('caddy'), 'version')}`);
  if (newerNode !== null) found.push(`the newer Node ${firstVersion(newerNode)}`);
  return found;
}

function library(folder: string): string {
  const text = readFileSync(`${ROOT}/node_modules/${folder}/package.json`, 'utf8');
  const { name, version } = JSON.parse(text) as { name: string; version: string };
  return `${name} ${version}`;
}

function firstVersion(program: string, argument = '-v'): string {
  return /\d+(\.\d+)+/.exec(output('sh', ['-c', `"${program}" ${argument} 2>&1`]) ?? '')?.[0] ?? 'of unknown version';
}

function output(command: string, args: readonly string[]): string | null {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
