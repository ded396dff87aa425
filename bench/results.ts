/** Everything that was measured, by load, system and round. */
import type { Metric, Sample } from './loads.ts';
import type { SystemName } from './systems.ts';

export class Results {
  /** What could not be measured, and why. */
  readonly failures: string[] = [];
  /** CPU time of programs outside the benchmark, in cores. */
  foreign = 0;
  readonly #samples = new Map<string, Sample[]>();

  add(load: string, system: SystemName, sample: Sample): void {
    const key = `${load} ${system}`;
    this.#samples.set(key, [...(this.#samples.get(key) ?? []), sample]);
  }

  /** In the order of the rounds; empty when it was not measured. */
  values(load: string, system: SystemName, metric: Metric): number[] {
    const samples = this.#samples.get(`${load} ${system}`) ?? [];
    return samples.map((sample) => sample[metric]).filter((value) => value !== undefined);
  }

  rounds(load: string): number {
    const all = [...this.#samples].filter(([key]) => key.startsWith(`${load} `));
    return Math.max(0, ...all.map(([, samples]) => samples.length));
  }
}
