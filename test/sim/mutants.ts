/** Makes each mistake in a copy of the proxy, and lets the simulation look for it in a process of its own. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MUTATIONS, type Mutation } from './mutations.ts';
import { ROOT, runSim } from './run-sim.ts';

/** Connection-hours in which a mistake has to be found. */
const HOURS = 1500;
const SEED = 1;

export interface Verdict {
  readonly name: string;
  readonly isCaught: boolean;
  /** The first violation, or what happened instead. */
  readonly by: string;
}

/** A copy of the parts that the simulation needs; the caller removes it. */
function copyProxy(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wskp-mutant-'));
  for (const part of ['src/core', 'src/io', 'test/sim', 'test/support/usage.ts', 'package.json'])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  return folder;
}

/** @throws when the text that is to be changed does not stand in the file exactly once */
function apply(mutation: Mutation, folder: string): void {
  const path = join(folder, 'src', mutation.file);
  const parts = readFileSync(path, 'utf8').split(mutation.find);
  if (parts.length !== 2)
    throw new Error(
      `${mutation.file} has the text of "${mutation.name}" ${parts.length - 1} times, not once: adapt it`,
    );
  writeFileSync(path, parts.join(mutation.replace));
}

/** Simulates a copy of the proxy with the mistake in it; with none when it is null. */
export async function judge(mutation: Mutation | null, hours = HOURS): Promise<Verdict> {
  const folder = copyProxy();
  try {
    if (mutation !== null) apply(mutation, folder);
    const output = await runSim(folder, ['--seed', String(SEED), '--hours', String(hours), '--first']);
    const violation = /^violations: [1-9].*\n.*? s: (.*)/m.exec(output)?.[1];
    const isClean = /^violations: 0 /m.test(output);
    return {
      name: mutation?.name ?? 'no mistake',
      isCaught: violation !== undefined,
      by: violation ?? (isClean ? 'nothing was found' : `no result: ${output.slice(-500)}`),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Judges all mistakes, two at a time. */
export async function judgeAll(onVerdict: (verdict: Verdict) => void): Promise<void> {
  const waiting = [...MUTATIONS];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) onVerdict(await judge(next));
  };
  await Promise.all([work(), work()]);
}
