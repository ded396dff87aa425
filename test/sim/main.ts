/**
 * Simulates the proxy: `npm run sim -- --seed N --hours H` runs, and replays, H connection-hours;
 * `--world W` replays one world that was named in a violation. Exit code 1: there are violations.
 */
import { parseArgs } from 'node:util';
import { describe, simulate, simulateWorld } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    hours: { type: 'string' },
    world: { type: 'string' },
    first: { type: 'boolean' },
  },
});
const seed = numberOf(values.seed, 'seed') ?? Math.floor(Math.random() * 2 ** 32);
const hours = numberOf(values.hours, 'hours') ?? 10_000;
const world = numberOf(values.world, 'world');

const startedAt = performance.now();
const summary = world === null ? simulate(seed, hours, values.first === true) : simulateWorld(world);
process.stdout.write(`${describe(summary, (performance.now() - startedAt) / 1000)}\n`);
process.exitCode = summary.violations.length > 0 ? 1 : 0;

function numberOf(text: string | undefined, name: string): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} takes a number, not ${text}`);
  return value;
}
