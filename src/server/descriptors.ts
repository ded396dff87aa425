/**
 * How many connections the limit on file descriptors and the memory allow. Each WebSocket takes two descriptors: its
 * client's and its upstream's.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { Log } from '../core/events.ts';
import type { Settings } from '../core/settings.ts';

/** `Infinity`: no limit. */
export interface AdmissionLimits {
  readonly connections: number;
  readonly connectionsPerIp: number;
}

/** Descriptors for everything else: listeners, logs, name lookups, files that are read again. */
const SPARE = 32;
/** Plain HTTP needs some as well: this share of the limit is left for it where it is more than `SPARE`. */
const SPARE_SHARE = 0.1;

/** Memory that a process takes without connections, with a margin, in bytes. */
const SPARE_MEMORY = 48 * 1024 * 1024;
/** What a WebSocket takes at its peak, while thousands open at once, the kernel's share included; measured in containers. In bytes. */
const CONNECTION_MEMORY = 27 * 1024;

/** The memory there is for this process, in bytes: what its cgroup (container, unit) may have, else the machine's. */
export function memoryLimit(
  constrained = process.constrainedMemory() as number | undefined,
  total = totalmem(),
): number {
  // 0 or nothing where there is no limit, and with cgroup v1 more than any machine has.
  return constrained ? Math.min(constrained, total) : total;
}

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

/** What a process may use. */
export interface Budget {
  readonly descriptors: number;
  /** In bytes. */
  readonly memory: number;
}

/** That of this process. */
export function budgetHere(): Budget {
  return { descriptors: descriptorLimit(), memory: memoryLimit() };
}

/** The limits as they are in force: `connections: auto` is what descriptors and memory allow. */
export function effectiveLimits(
  { connections, connectionsPerIp }: Settings['limits'],
  budget: Budget,
): AdmissionLimits {
  return { connections: connections === 'auto' ? connectionsWithin(budget) : connections, connectionsPerIp };
}

/** `auto`: enough to keep an upstream busy that is 100 ms away, and few enough for the listen backlog of most. */
const AUTO_HANDSHAKES = 256;

/** How many handshakes may be under way with one upstream. */
export function handshakesWithin({ handshakes }: Pick<Settings['limits'], 'handshakes'>): number {
  return handshakes === 'auto' ? AUTO_HANDSHAKES : handshakes;
}

/** `Infinity`: no limit. */
export interface RequestLimits {
  readonly requests: number;
  readonly requestsPerIp: number;
}

/** Plain requests: `auto` is what the share of the descriptors allows that WebSockets leave. */
export function requestLimits(
  { requests, requestsPerIp }: Pick<Settings['limits'], 'requests' | 'requestsPerIp'>,
  descriptors: number,
): RequestLimits {
  const auto = Math.max(1, Math.floor((descriptors * SPARE_SHARE) / 2));
  return { requests: requests === 'auto' ? auto : requests, requestsPerIp };
}

/** Warns of a `limits.connections` that descriptors or memory do not allow. */
export function warnOfBudget({ connections }: Settings['limits'], budget: Budget, log: Log): void {
  if (connections === 'auto' || connections === Infinity) return;
  const { descriptors, memory } = budget;
  const auto = connectionsWithin(budget);
  if (connections > clientsWithin(descriptors)) {
    log.warn(
      { connections, descriptors, auto },
      'limits.connections is more than the limit on file descriptors allows (two each); raise that (ulimit -n) or write auto',
    );
  }
  if (connections > withinMemory(memory)) {
    log.warn(
      { connections, memory, auto },
      'limits.connections is more than fits into the memory when all come at once; raise the memory limit or write auto',
    );
  }
}

function connectionsWithin({ descriptors, memory }: Budget): number {
  const open = Math.floor((descriptors - Math.max(SPARE, descriptors * SPARE_SHARE)) / 2);
  return Math.max(1, Math.min(open, withinMemory(memory)));
}

function withinMemory(memory: number): number {
  return Math.max(1, Math.floor((memory - SPARE_MEMORY) / CONNECTION_MEMORY));
}

function inMebibytes(bytes: number): number {
  return Math.floor(bytes / 1024 / 1024);
}

/** Counts, for the log; `off` where there is no limit. */
export function limitsInForce({ limits }: Pick<Settings, 'limits'>): Record<string, number | 'off'> {
  const budget = budgetHere();
  const { connections, connectionsPerIp } = effectiveLimits(limits, budget);
  const { requests, requestsPerIp } = requestLimits(limits, budget.descriptors);
  const all = {
    connections,
    connections_per_ip: connectionsPerIp,
    handshakes: handshakesWithin(limits),
    requests,
    requests_per_ip: requestsPerIp,
    descriptors: budget.descriptors,
    memory_mib: inMebibytes(budget.memory),
  };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, value === Infinity ? 'off' : value]));
}
