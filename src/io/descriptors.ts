/** How many connections the limit on file descriptors allows. Each WebSocket takes two: its client's and its upstream's. */
import { readFileSync } from 'node:fs';
import type { Log } from '../core/report.ts';
import type { Settings } from '../core/settings.ts';
import type { AdmissionLimits as Limits } from './admission.ts';

/** Descriptors for everything else: listeners, logs, name lookups, files that are read again. */
const SPARE = 32;
/** Plain HTTP needs some as well: this share of the limit is left for it where it is more than `SPARE`. */
const SPARE_SHARE = 0.1;

/** The most descriptors this process may have open; `Infinity` where there is no such limit, or none is known. */
export function descriptorLimit(read: () => string = readLimits): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(read())?.[1];
    return limit === undefined ? Infinity : Number(limit);
  } catch {
    return Infinity;
  }
}

function readLimits(): string {
  return readFileSync('/proc/self/limits', 'utf8');
}

/** How many clients of whatever kind may be connected, when each may need an upstream connection too. */
export function clientsWithin(descriptors: number): number {
  return Math.max(1, Math.floor((descriptors - SPARE) / 2));
}

/** The limits as they are in force: `connections: auto` is what the descriptors allow. */
export function effectiveLimits({ connections, connectionsPerIp }: Settings['limits'], descriptors: number): Limits {
  return { connections: connections === 'auto' ? connectionsWithin(descriptors) : connections, connectionsPerIp };
}

/** Says so when more connections are allowed than there can be. */
export function warnOfBudget({ connections }: Settings['limits'], descriptors: number, log: Log): void {
  if (connections === 'auto' || connections === Infinity || connections <= clientsWithin(descriptors)) return;
  log.warn(
    { connections, descriptors, auto: connectionsWithin(descriptors) },
    'limits.connections is more than the limit on file descriptors allows (two each); raise that (ulimit -n) or write auto',
  );
}

function connectionsWithin(descriptors: number): number {
  return Math.max(1, Math.floor((descriptors - Math.max(SPARE, descriptors * SPARE_SHARE)) / 2));
}
