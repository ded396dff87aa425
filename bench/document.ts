/** The whole report. */
import { dirname } from 'node:path';
import { LOADS } from './loads.ts';
import { type Cores, commit, describeCores, machine, versions } from './machine.ts';
import type { Options } from './options.ts';
import { generatorCheck, loadTable, targetTable } from './report.ts';
import type { Results } from './results.ts';

/** Others may use this much of a core before the figures are called noisy. */
const QUIET = 0.05;

export interface Run extends Options {
  readonly cores: Cores;
  readonly from: Date;
  /** One-minute load average at the start. */
  readonly busyBefore: number;
}

export function document(run: Run, results: Results, findings: string): string {
  const tables = run.loads.map((load) => loadTable(load, run.systems, results));
  return `# Benchmarks

Written by \`npm run bench\`.

${conditions(run, results)}

## Targets

${targetTable(run.loads, results)}

## Figures

Every ratio is the median of the ratios within each round, with the smallest and the largest. The spread is the distance from the
smallest to the largest figure, as a share of the median.

${tables.join('\n\n')}

${failures(results)}## How to repeat it

    npm ci && npm run bench

It needs a C compiler, takes an hour and a half, and needs a machine that does nothing else. nginx and HAProxy take part when they are
installed. \`npm run bench -- --help\` shows how to look at a part of it: \`npm run bench -- --quick\` takes a minute.

${findings}`;
}

function conditions(run: Run, results: Results): string {
  const headroom = generatorCheck(run.loads, run.systems, results);
  const isNoisy = results.foreign > QUIET || run.busyBefore > 1;
  const lines = [
    `Machine: ${machine()}; ${describeCores(run.cores)}`,
    `Versions: ${versions(run.systems, run.newerNode).join(', ')}`,
    `Commit: ${commit()}${otherBuild(run)}, ${run.from.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    `Rounds: ${run.rounds} in turn, ${run.secs} s measured after ${run.warm} s of the same load${run.loads.length < LOADS.length ? '; some loads only' : ''}`,
    `Other programs: ${results.foreign.toFixed(2)} cores on average, load average ${run.busyBefore.toFixed(2)} at the start${isNoisy ? ' – **not a quiet machine, so these figures are noisy**' : ''}`,
  ];
  if (headroom.length > 0) lines.push(`Generator without a proxy, against the fastest proxy: ${headroom.join(', ')}`);
  return lines.map((line) => `- ${line}`).join('\n');
}

function otherBuild({ other }: Run): string {
  return other?.main == null ? '' : ` (the other build: ${commit(dirname(other.main))})`;
}

function failures({ failures }: Results): string {
  if (failures.length === 0) return '';
  return `Could not be measured:\n\n${failures.map((failure) => `- ${failure.trim().split('\n')[0]}`).join('\n')}\n\n`;
}
