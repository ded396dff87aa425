/** What a process holds: descriptors, timers, memory. */
import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** For sockets that are just closing, and for clients that left before they were accepted: a loop takes one of them in a round. */
const PATIENCE = 60_000;

export function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

export function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
}

/** Waits until a figure has come down; rejects with what it is instead. */
export async function untilAtMost(
  figure: () => number,
  most: number,
  what: string,
  patience = PATIENCE,
): Promise<void> {
  const deadline = performance.now() + patience;
  while (figure() > most) {
    if (performance.now() > deadline) throw new Error(`${what}: ${figure()} instead of at most ${most}`);
    await setImmediate();
  }
}

/** Bytes of the heap that are in use, garbage excluded. */
export function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
