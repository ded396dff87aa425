import { Random } from './random.ts';
import { type Violation, World } from './world.ts';

/** Connections that are open at a time. */
const CONNECTIONS = 200;

export interface Summary {
  readonly seed: number;
  worlds: number;
  /** Connection-hours. */
  hours: number;
  connections: number;
  events: number;
  readonly causes: Map<string, number>;
  readonly violations: Violation[];
}

/** Simulates worlds until so many connection-hours have passed. The seed decides everything. @param onProgress told after each world */
export function simulate(
  seed: number,
  hours: number,
  stopsAtFirst = false,
  onProgress: (hours: number) => void = () => {},
): Summary {
  const seeds = new Random(seed);
  const summary = empty(seed);
  const mostViolations = stopsAtFirst ? 0 : Infinity;
  while (summary.hours < hours && summary.violations.length <= mostViolations) {
    if (!addWorld(summary, seeds.int32() >>> 0, stopsAtFirst)) break;
    onProgress(summary.hours);
  }
  return summary;
}

/** Simulates one world of a run. */
export function simulateWorld(seed: number): Summary {
  const summary = empty(seed);
  addWorld(summary, seed, false);
  return summary;
}

function empty(seed: number): Summary {
  return { seed, worlds: 0, hours: 0, connections: 0, events: 0, causes: new Map(), violations: [] };
}

/** @returns whether any time has passed in it */
function addWorld(summary: Summary, seed: number, stopsAtFirst: boolean): boolean {
  const result = new World(seed, stopsAtFirst).run(CONNECTIONS);
  summary.worlds++;
  summary.hours += result.hours;
  summary.connections += result.connections;
  summary.events += result.events;
  summary.violations.push(...result.violations);
  for (const [cause, count] of result.causes) summary.causes.set(cause, (summary.causes.get(cause) ?? 0) + count);
  return result.hours > 0;
}

/** The outcome in a few lines. */
export function describe(summary: Summary, seconds: number): string {
  const { seed, worlds, hours, connections, events, causes, violations } = summary;
  const sorted = [...causes].sort(([, one], [, other]) => other - one);
  const shown = violations.slice(0, 20).map(({ world, connection, at, what }) => {
    return `  world ${world}, connection ${connection}, after ${(at / 1000).toFixed(3)} s: ${what}`;
  });
  return [
    `seed ${seed}: ${hours.toFixed(0)} connection-hours in ${worlds} worlds, ${connections} connections, ${events} events`,
    `ends: ${sorted.map(([cause, count]) => `${cause} ${count}`).join(', ')}`,
    `violations: ${violations.length}${seconds > 0 ? ` (took ${seconds.toFixed(1)} s)` : ''}`,
    ...shown,
  ].join('\n');
}
