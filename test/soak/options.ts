/** How long to soak, how hard, and with which random numbers. */
import { parseArgs } from 'node:util';

export interface SoakOptions {
  readonly seed: number;
  /** Rounds go on for this long, and there are at least `rounds`. */
  readonly minutes: number;
  readonly rounds: number;
  /** Idle connections that stay from round to round. */
  readonly crowd: number;
  /** Connections of all other kinds in a round. */
  readonly active: number;
}

export const USAGE = 'npm run soak -- [--minutes N] [--crowd N] [--active N] [--seed N]';

/** @throws an error that says what is wrong with the arguments */
export function parseOptions(argv: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string', default: '5' },
      crowd: { type: 'string', default: '2000' },
      active: { type: 'string', default: '500' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    },
  });
  const number = (name: keyof typeof values, least: number): number => {
    const value = Number(values[name]);
    if (Number.isFinite(value) && value >= least) return value;
    throw new Error(`--${name} ${values[name]}: a number of at least ${least} is needed`);
  };
  return {
    seed: number('seed', 0),
    minutes: number('minutes', 0),
    rounds: 6,
    crowd: number('crowd', 1),
    active: number('active', 1),
  };
}
