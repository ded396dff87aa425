/** What a soak has shown, and what of it is wrong. */
import type { Holdings } from './proxy.ts';
import { inWords, type SoakResult } from './soak.ts';

/** Rounds in which the program still warms up. */
const WARM_UP = 2;
/** Bytes that memory may differ by at rest for no reason. */
const NOISE = 1.5 * 2 ** 20;
const DESCRIPTOR_NOISE = 4;

interface Slope {
  /** Change over all rounds, as a straight line through them has it. */
  readonly growth: number;
  /** Twice the standard deviation around that line. */
  readonly spread: number;
}

/** A straight line through values that are equally far apart (least squares). */
export function slopeOf(values: readonly number[]): Slope {
  const count = values.length;
  if (count < 3) return { growth: 0, spread: Infinity };
  const middle = (count - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const moment = values.reduce((sum, value, index) => sum + (index - middle) * (value - mean), 0);
  const perStep = moment / values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
  const rest = values.reduce((sum, value, index) => sum + (value - mean - perStep * (index - middle)) ** 2, 0);
  return { growth: perStep * (count - 1), spread: 2 * Math.sqrt(rest / (count - 2)) };
}

/** Everything that is wrong with it; empty when nothing is. */
export function faultsOf({ books, samples, exitCode }: SoakResult): string[] {
  const settled = samples.slice(WARM_UP);
  const memory = slopeOf(settled.map((sample) => sample.memory));
  const descriptors = settled.map((sample) => sample.descriptors);
  const range = Math.max(...descriptors) - Math.min(...descriptors);
  const { bytesIn, bytesOut, pings, pongs } = books.balance;
  return [
    ...books.faults,
    ...(bytesIn === bytesOut - pings + pongs ? [] : [`${bytesIn} bytes in, ${bytesOut - pings + pongs} accounted for`]),
    ...(memory.growth <= Math.max(NOISE, memory.spread) ? [] : [`memory grew by ${Math.round(memory.growth)} bytes`]),
    ...(range <= DESCRIPTOR_NOISE ? [] : [`descriptors at rest: ${descriptors.join(', ')}`]),
    ...(exitCode === 0 ? [] : [`the proxy ended with ${exitCode}`]),
  ];
}

export function summary(result: SoakResult, seed: number): string {
  const { books, rounds, disturbances, samples } = result;
  const { balance, logged } = books;
  const faults = faultsOf(result);
  const settled = samples.slice(WARM_UP);
  const { growth } = slopeOf(settled.map((sample) => sample.memory));
  const list = (entries: Iterable<readonly [string, number]>): string =>
    [...entries].map(([name, count]) => `${count} × ${name}`).join('; ');
  return [
    `seed ${seed}, ${rounds} rounds: ${list(disturbances)}`,
    `connections: ${logged.opened} opened = ${logged.closed} closed + ${logged.opened - logged.closed} open; ${logged.failed} upgrades failed`,
    `plain HTTP: ${books.plain.lines} requests, ${books.plain.answered} answered as they had to be`,
    `causes: ${list(books.causes)}`,
    `closed in order: ${balance.connections}, ${balance.bytesIn} bytes in = ${balance.bytesOut} bytes out - ${balance.pings} of Pings + ${balance.pongs} of Pongs`,
    ...ends(settled).map((sample, index) => `${index === 0 ? 'first' : 'last'} at rest: ${inWords(sample)}`),
    `memory, by a line through ${settled.length} rounds: ${(growth / 1024).toFixed(0)} KiB from first to last`,
    faults.length === 0 ? 'no faults' : `${faults.length} faults:\n  ${faults.join('\n  ')}`,
    '',
  ].join('\n');
}

function ends(samples: readonly Holdings[]): Holdings[] {
  return [samples[0], samples.at(-1)].filter((sample) => sample !== undefined);
}
