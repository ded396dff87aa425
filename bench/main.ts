/** `npm run bench`: everything in one run, in one document. Exit codes: 0 fine, 1 something could not be measured, 2 bad arguments. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { document, type Run } from './document.ts';
import { busyness, chooseCores } from './machine.ts';
import { HELP, OptionError, type Options, readOptions } from './options.ts';
import { foreignCpu } from './process.ts';
import { Results } from './results.ts';
import { Runner } from './run.ts';
import { ROOT, type SystemName, whyNot } from './systems.ts';
import { compileTools } from './tools.ts';

const OUTPUT = `${ROOT}/docs/benchmarks.md`;
const FINDINGS = `${ROOT}/bench/findings.md`;

function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Those that are here; the others are named. */
function present(options: Options): SystemName[] {
  return options.systems.filter((system) => {
    const reason = whyNot(system, options);
    if (reason !== null && system !== 'other') complain(`left out: ${reason}`);
    return reason === null;
  });
}

async function bench(options: Options): Promise<number> {
  const folder = mkdtempSync(`${tmpdir()}/wskp-bench-`);
  const results = new Results();
  let isStopped = false;
  const run: Run = {
    ...options,
    systems: present(options),
    cores: chooseCores(),
    busyBefore: busyness(),
    from: new Date(),
  };
  try {
    const tools = compileTools(folder);
    const [foreign, from] = [foreignCpu(), performance.now()];
    process.once('SIGINT', () => (isStopped = true));
    await new Runner({ ...run, folder, isStopped: () => isStopped }, tools, results, complain).run();
    results.foreign = ((foreignCpu() - foreign) * 1000) / (performance.now() - from);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const text = document(run, results, readFileSync(FINDINGS, 'utf8'));
  if (options.writes) writeFileSync(OUTPUT, text);
  process.stdout.write(text);
  for (const failure of results.failures) complain(`failed: ${failure}`);
  return results.failures.length > 0 ? 1 : 0;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === null) process.stdout.write(HELP);
  else process.exitCode = await bench(options);
} catch (error) {
  const isUsage =
    error instanceof OptionError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  complain(isUsage ? `${(error as Error).message}\n\n${HELP}` : String((error as Error).stack));
  process.exitCode = isUsage ? 2 : 1;
}
