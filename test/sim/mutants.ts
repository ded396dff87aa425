/** Makes each mistake in a copy of the proxy, and lets the simulation look for it in a process of its own. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MUTATIONS, mutated, type Mutation } from './mutations.ts';
import { ROOT, runSim } from './run-sim.ts';

/** Connection-hours of each seed, in one of which a mistake has to be found. */
const HOURS = 200;
/** Two that meet what is rare early. */
const SEEDS = [1, 3];
/** What a mistake that no longer fits the code around it comes to. */
const MISFIT = /^(?:Reference|Syntax)Error/;

export const NO_MISTAKE = 'no mistake';
const PARTS = [
  'src/core',
  'src/http',
  'src/runtime',
  'src/tunnel',
  'test/sim',
  'test/support/usage.ts',
  'package.json',
];

export interface Verdict {
  readonly name: string;
  readonly isCaught: boolean;
  /** The first violation, or what happened instead. */
  readonly by: string;
}

/** A copy of the parts that the simulation needs; the caller removes it. Its files are compiled once for all mistakes made in it. */
function copyProxy(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wskp-mutant-'));
  for (const part of PARTS) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  return folder;
}

function sourceOf(mutation: Mutation, folder: string): string {
  return mutated(readFileSync(join(folder, 'src', mutation.file), 'utf8'), mutation);
}

/** @returns what keeps mistakes of the list from being made */
export function inapplicable(): string[] {
  return MUTATIONS.flatMap((mutation) => {
    try {
      sourceOf(mutation, ROOT);
      return [];
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  });
}

/** Simulates the copy of the proxy in `folder` with the mistake in it; with none when it is null. */
async function judge(folder: string, mutation: Mutation | null): Promise<Verdict> {
  const verdict = { name: mutation?.name ?? NO_MISTAKE, isCaught: false, by: 'nothing was found' };
  if (mutation !== null) writeFileSync(join(folder, 'src', mutation.file), sourceOf(mutation, ROOT));
  try {
    for (const seed of seedsFor(mutation)) {
      const output = await runSim(folder, ['--seed', String(seed), '--hours', String(HOURS), '--first']);
      const violation = /^violations: [1-9].*\n.*? s: (.*)/m.exec(output)?.[1];
      if (violation !== undefined) return { ...verdict, isCaught: !MISFIT.test(violation), by: violation };
      if (!/^violations: 0 /m.test(output)) return { ...verdict, by: `no result: ${output.slice(-500)}` };
    }
    return verdict;
  } finally {
    if (mutation !== null) cpSync(join(ROOT, 'src', mutation.file), join(folder, 'src', mutation.file));
  }
}

function seedsFor(mutation: Mutation | null): readonly number[] {
  // test/sim/sim.test.ts looks longer at the proxy without a mistake.
  if (mutation === null) return SEEDS.slice(0, 1);
  return mutation.seed === undefined ? SEEDS : [mutation.seed, ...SEEDS];
}

/** Judges all mistakes, two at a time, and at the end the proxy without one. */
export async function judgeAll(onVerdict: (verdict: Verdict) => void): Promise<void> {
  const waiting: (Mutation | null)[] = [...MUTATIONS, null];
  const work = async (): Promise<void> => {
    const folder = copyProxy();
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) onVerdict(await judge(folder, next));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  await Promise.all([work(), work()]);
}
