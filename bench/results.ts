/** Everything that was measured, by load, system and round. */
import type { Metric, Sample } from './loads.ts';
import type { SystemName } from './systems.ts';

export class Results {
  /** What could not be measured, and why. */
  readonly failures: string[] = [];
  /** CPU time of programs outside the benchmark, in cores. */
  foreign = 0;
  readonly #samples = new Map<string, Sample[]>();

  /** @param round from 0; what is measured twice in a round counts with its mean */
  add(load: string, system: SystemName, round: number, sample: Sample): void {
    const key = `${load} ${system}`;
    const samples = this.#samples.get(key) ?? [];
    const before = samples[round];
    samples[round] = before === undefined ? sample : meanOf(before, sample);
    this.#samples.set(key, samples);
  }

  /** Without the rounds in which it failed; empty when it was not measured. */
  values(load: string, system: SystemName, metric: Metric): number[] {
    return this.#perRound(load, system, metric).filter((value) => value !== undefined);
  }

  /** What was measured in the same round, divided: what slows a whole round down does not reach it. */
  ratios(load: string, system: SystemName, by: { load: string; system: SystemName }, metric: Metric): number[] {
    const others = this.#perRound(by.load, by.system, metric);
    return this.#perRound(load, system, metric)
      .map((value, round) => (value ?? Number.NaN) / (others[round] ?? Number.NaN))
      .filter(Number.isFinite);
  }

  rounds(load: string): number {
    const all = [...this.#samples].filter(([key]) => key.startsWith(`${load} `));
    return Math.max(0, ...all.map(([, samples]) => samples.length));
  }

  #perRound(load: string, system: SystemName, metric: Metric): (number | undefined)[] {
    const samples = this.#samples.get(`${load} ${system}`) ?? [];
    // A round that failed is a hole.
    return Array.from(samples, (sample: Sample | undefined) => sample?.[metric]);
  }
}

function meanOf(one: Sample, other: Sample): Sample {
  const entries = Object.entries(one) as [Metric, number][];
  return Object.fromEntries(entries.map(([metric, value]) => [metric, (value + (other[metric] ?? value)) / 2]));
}
