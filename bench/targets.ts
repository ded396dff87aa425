/** What the figures have to reach, as data, and the judgement on them. */
import type { Metric } from './loads.ts';
import type { Results } from './results.ts';
import { median } from './statistics.ts';
import type { SystemName } from './systems.ts';

export interface Target {
  readonly load: string;
  readonly metric: Metric;
  readonly system: SystemName;
  /** Divides what was measured by this, round by round; without it the figure itself counts. */
  readonly by?: { readonly load?: string; readonly system: SystemName };
  readonly least?: number;
  readonly most?: number;
}

const ours = { system: 'ours' } as const;

function rates(load: string, least: Partial<Record<SystemName, number>>): Target[] {
  return Object.entries(least).map(([system, value]) => ({
    ...ours,
    load,
    metric: 'rate',
    by: { system: system as SystemName },
    least: value,
  }));
}

function flatRate(load: string): Target {
  return { ...ours, load, metric: 'per_core', by: { load: 'N10', system: 'ours' }, least: 0.9, most: 1.1 };
}

/** It may fall: what the first connections cost once is shared by more. */
function flatMemory(load: string): Target {
  return { ...ours, load, metric: 'bytes', by: { load: 'E1000', system: 'ours' }, most: 1.1 };
}

function stormMemory(system: SystemName): Target[] {
  return [
    { load: 'S', metric: 'peak_bytes', system, most: 16 * 1024 },
    { load: 'S', metric: 'bytes', system, most: 7.5 * 1024 },
    { load: 'S100', metric: 'peak_bytes', system, most: 12 * 1024 },
    { load: 'S128', metric: 'survivors', system, least: 3000 },
  ];
}

export const TARGETS: readonly Target[] = [
  { ...ours, load: 'A', metric: 'p50_us', by: { system: 'haproxy' }, most: 1.4 },
  { ...ours, load: 'A', metric: 'rate', by: { system: 'haproxy' }, least: 0.75 },
  { ...ours, load: 'A', metric: 'p99_us', by: { system: 'http-proxy' }, most: 1 },
  ...rates('B', { 'http-proxy': 1, 'net-pipe': 1, 'ws-relay': 2.5, haproxy: 0.75 }),
  ...rates('C', { 'http-proxy': 1, 'net-pipe': 1, 'ws-relay': 2.5, haproxy: 0.95, nginx: 1.5 }),
  ...rates('D', { 'http-proxy': 1, 'net-pipe': 1, 'ws-relay': 2.5, haproxy: 1, nginx: 2.5 }),
  { load: 'G', metric: 'rate', system: 'ours-pinging', by: { system: 'ours' }, least: 0.95 },
  { ...ours, load: 'F', metric: 'rate', by: { system: 'http-proxy' }, least: 1 },
  flatRate('N100'),
  flatRate('N1000'),
  flatRate('N5000'),
  { ...ours, load: 'E', metric: 'bytes', by: { system: 'net-pipe' }, most: 1.05 },
  { ...ours, load: 'E', metric: 'bytes', by: { system: 'nginx' }, most: 0.65 },
  { ...ours, load: 'E9000', metric: 'idle_cores', most: 0.06 },
  { ...ours, load: 'E9000', metric: 'memory_left', most: 1.15 },
  flatMemory('E'),
  flatMemory('E9000'),
  { ...ours, load: 'S', metric: 'in_us', by: { system: 'net-pipe' }, most: 1.9 },
  { ...ours, load: 'S', metric: 'back_s', by: { system: 'http-proxy' }, most: 0.8 },
  ...stormMemory('image'),
  ...stormMemory('image-newer'),
  { ...ours, load: 'H', metric: 'rate', by: { system: 'http-library' }, least: 1 },
  { ...ours, load: 'H', metric: 'p99_us', by: { system: 'http-library' }, most: 1 },
  { ...ours, load: 'I', metric: 'mb_per_s', by: { system: 'http-library' }, least: 1 },
];

export interface Judgement {
  readonly target: Target;
  /** Null when what it needs was not measured. */
  readonly value: number | null;
  readonly isMet: boolean;
}

export function judge(target: Target, results: Results): Judgement {
  const value = measured(target, results);
  const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = target;
  return { target, value, isMet: value !== null && value >= least && value <= most };
}

function measured({ load, metric, system, by }: Target, results: Results): number | null {
  const values =
    by === undefined
      ? results.values(load, system, metric)
      : results.ratios(load, system, { load: by.load ?? load, system: by.system }, metric);
  return values.length === 0 ? null : median(values);
}
