/** Tables in Markdown: for the terminal, and for docs/benchmarks.md. */
import { count, type Load, METRICS, type Metric } from './loads.ts';
import type { Results } from './results.ts';
import { median, spread } from './statistics.ts';
import { type SystemName, TITLES } from './systems.ts';
import { type Judgement, judge, type Target, TARGETS } from './targets.ts';

/** One table for a load. */
export function loadTable(load: Load, systems: readonly SystemName[], results: Results): string {
  const metrics = load.metrics;
  const shown = systems.filter((system) => results.values(load.name, system, metrics[0]).length > 0);
  const titles = metrics.flatMap((metric, i) =>
    i === 0 ? [METRICS[metric].title, 'spread'] : [METRICS[metric].title],
  );
  const head = ['', ...titles, 'ours ÷ this'];
  const rows = shown.map((system) => [
    TITLES[system],
    ...metrics.flatMap((metric, i) => cells(results.values(load.name, system, metric), metric, i === 0)),
    ratioToOurs(load, system, results),
  ]);
  const rounds = results.rounds(load.name);
  return `### ${load.name}: ${load.title}\n\nMedian of ${rounds} ${rounds === 1 ? 'round' : 'rounds'}.\n\n${table(head, rows)}`;
}

function cells(values: readonly number[], metric: Metric, withSpread: boolean): string[] {
  if (values.length === 0) return withSpread ? ['', ''] : [''];
  const text = figure(median(values), metric);
  return withSpread ? [text, `${Math.round(spread(values) * 100)} %`] : [text];
}

function ratioToOurs(load: Load, system: SystemName, results: Results): string {
  if (system === 'ours') return '';
  const [metric] = load.metrics;
  const ratios = results.ratios(load.name, 'ours', { load: load.name, system }, metric);
  if (ratios.length === 0) return '';
  const range = ratios.length === 1 ? '' : ` (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`;
  return `${median(ratios).toFixed(2)}${range}`;
}

function figure(value: number, metric: Metric): string {
  const { digits } = METRICS[metric];
  return digits === 0 ? count(Math.round(value)) : value.toFixed(digits);
}

/** Every target of the loads that were measured, with a mark. */
export function targetTable(loads: readonly Load[], results: Results): string {
  const names = loads.map((load) => load.name);
  const judged = TARGETS.filter((target) => names.includes(target.load)).map((target) => judge(target, results));
  const rows = judged.map((judgement) => [
    mark(judgement),
    words(judgement.target),
    wanted(judgement.target),
    got(judgement),
  ]);
  return table(['', 'load, figure', 'target', 'measured'], rows);
}

function mark({ value, isMet }: Judgement): string {
  if (value === null) return '–';
  return isMet ? '✓' : '✗';
}

function words({ load, metric, system, by }: Target): string {
  const what = `${load}: ${METRICS[metric].title}`;
  const who = system === 'ours' ? '' : ` of ${TITLES[system]}`;
  if (by === undefined) return `${what}${who}`;
  return `${what}${who} ÷ ${by.load === undefined ? TITLES[by.system] : `that of ${by.load}`}`;
}

function wanted({ least, most }: Target): string {
  if (least !== undefined && most !== undefined) return `${least}–${most}`;
  return least === undefined ? `≤ ${most}` : `≥ ${least}`;
}

function got({ value, target }: Judgement): string {
  if (value === null) return 'not measured';
  return value.toFixed(target.by === undefined ? METRICS[target.metric].digits : 2);
}

/** Whether the generator is faster than what it measures, for each load that has a run without a proxy. */
export function generatorCheck(loads: readonly Load[], systems: readonly SystemName[], results: Results): string[] {
  return loads.flatMap((load) => {
    const [metric] = load.metrics;
    const direct = results.values(load.name, 'direct', metric);
    const proxied = systems
      .filter((system) => system !== 'direct')
      .map((system) => results.values(load.name, system, metric))
      .filter((values) => values.length > 0);
    if (direct.length === 0 || proxied.length === 0) return [];
    const headroom = median(direct) / Math.max(...proxied.map(median));
    const verdict = headroom > 1 ? '' : ' – too slow: these figures show the generator';
    return [`${load.name} ${headroom.toFixed(2)} ×${verdict}`];
  });
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(3, ...all.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}
