/**
 * Simulates the proxy: `npm run sim -- --seed N --hours H` runs, and replays, H connection-hours;
 * `--world W` replays one world that was named in a violation. Exit code 1: there are violations.
 */
import { parseArgs } from 'node:util';
import { readArguments } from '../support/usage.ts';
import { describe, simulate, simulateWorld } from './simulate.ts';

const USAGE = 'npm run sim -- [--seed N] [--hours H] [--world W] [--first]';

const { seed, hours, world, first } = readArguments(USAGE, (argv) => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string' },
      hours: { type: 'string' },
      world: { type: 'string' },
      first: { type: 'boolean', default: false },
    },
  });
  return {
    seed: numberOf(values.seed, 'seed') ?? Math.floor(Math.random() * 2 ** 32),
    hours: numberOf(values.hours, 'hours') ?? 10_000,
    world: numberOf(values.world, 'world'),
    first: values.first,
  };
});

const startedAt = performance.now();
/** On the error channel, so that a run that is cut has said how far it came. */
function tellProgress(done: number): void {
  process.stderr.write(`so far ${done.toFixed(0)} of ${hours} connection-hours\n`);
}

const summary = world === null ? simulate(seed, hours, first, tellProgress) : simulateWorld(world);
process.stdout.write(`${describe(summary, (performance.now() - startedAt) / 1000)}\n`);
process.exitCode = summary.violations.length > 0 ? 1 : 0;

function numberOf(text: string | undefined, name: string): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} ${text}: a number is needed`);
  return value;
}
