/**
 * Runs the tests: all of them with coverage thresholds, or the files named as arguments without.
 *
 * `src/core` has to be covered by `test/core` alone, so those run first and are judged before the rest adds to the same
 * data. The last lines are the sums of both runs in the form of node's own closing summary.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { allRequired, howToGet, missingPrograms } from './requirements.ts';

const SUMMARY = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo', 'duration_ms'] as const;
type Totals = Record<(typeof SUMMARY)[number], number>;

const C8 = fileURLToPath(import.meta.resolve('c8/bin/c8.js'));
const CORE = ['--lines=100', '--branches=100', '--functions=100', '--statements=100'];
const OVERALL = ['--lines=95', '--branches=90', '--functions=95'];
/** For one file, in milliseconds. */
const FILE_TIMEOUT = 300_000;

const totals = Object.fromEntries(SUMMARY.map((key) => [key, 0])) as Totals;
const scratch = mkdtempSync(join(tmpdir(), 'wskp-test-'));
const coverage = join(scratch, 'coverage');
const complaints: string[] = [];

try {
  const named = process.argv.slice(2);
  if (named.length > 0) await runTests(named, null);
  else await runEverything();
  checkSkipped();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const complaint of complaints) print(`✖ ${complaint}`);
for (const key of SUMMARY) print(`# ${key} ${Number(totals[key].toFixed(3))}`);
process.exitCode = complaints.length > 0 ? 1 : 0;

async function runEverything(): Promise<void> {
  const files = testFiles();
  const isCore = (file: string): boolean => file.startsWith(join('test', 'core'));
  await runTests(files.filter(isCore), coverage);
  await checkCoverage('src/core', CORE, 'test/core alone');
  await runTests(
    files.filter((file) => !isCore(file)),
    coverage,
  );
  await checkCoverage('src', OVERALL, 'the tests');
}

/** Node 20's runner has no globs. */
function testFiles(): string[] {
  const folders = readdirSync('test', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .flatMap(({ name }) => readdirSync(join('test', name)).map((file) => join('test', name, file)))
    .filter((file) => file.endsWith('.test.ts'))
    .sort();
}

async function runTests(files: readonly string[], coverageFolder: string | null): Promise<void> {
  const tap = join(scratch, 'results.tap');
  const reporters = ['spec', 'stdout', 'tap', tap].map((value, index) =>
    index % 2 === 0 ? `--test-reporter=${value}` : `--test-reporter-destination=${value}`,
  );
  const limits = ['--test-concurrency=2', `--test-timeout=${FILE_TIMEOUT}`];
  const code = await runNode(
    ['--import', 'tsx', '--import', './test/support/leaks.ts', '--test', ...limits, ...reporters, ...files],
    coverageFolder === null ? {} : { NODE_V8_COVERAGE: coverageFolder },
  );
  if (code !== 0) complaints.push('tests failed: see "failing tests" above');
  addTotals(readFileSync(tap, 'utf8'));
}

/** Resolves with the exit code. Node's own summary is left out: there is one for everything at the end. */
async function runNode(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) },
  });
  const exited = once(child, 'close') as Promise<[number | null]>;
  const summary = new RegExp(`ℹ (${SUMMARY.join('|')}) [\\d.]+`);
  for await (const line of createInterface({ input: child.stdout })) if (!summary.test(line)) print(line);
  return (await exited)[0] ?? 1;
}

function addTotals(tap: string): void {
  for (const key of SUMMARY) {
    const value = new RegExp(`^# ${key} ([\\d.]+)$`, 'm').exec(tap)?.[1];
    totals[key] += Number(value ?? 0);
  }
}

async function checkCoverage(folder: string, thresholds: readonly string[], by: string): Promise<void> {
  const exclude = typeOnlyModules(folder).map((file) => `--exclude=${file}`);
  const scope = ['--all', `--src=${folder}`, `--include=${folder}/**`, '--exclude-after-remap', ...exclude];
  const report = ['report', `--temp-directory=${coverage}`, '--reporter=text', '--skip-full', '--check-coverage'];
  const code = await runNode([C8, ...report, ...scope, ...thresholds], {});
  if (code !== 0) complaints.push(`${folder} is not covered enough by ${by}: ${thresholds.join(' ')}`);
}

/** A module of types alone is never loaded and has nothing to cover: its compiled form is empty. */
function typeOnlyModules(folder: string): string[] {
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return sources.map((file) => join(folder, file)).filter(isTypeOnly);
}

function isTypeOnly(source: string): boolean {
  const compiled = join('dist', relative('src', source)).replace(/\.ts$/, '.js');
  const code = readFileSync(compiled, 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  return code.trim() === 'export {};';
}

function checkSkipped(): void {
  const missing = missingPrograms();
  if (missing.length > 0) print(`tests that need ${missing.join(', ')} did not run; ${howToGet(...missing)}`);
  if (allRequired && missing.length > 0) complaints.push(`REQUIRE_ALL=1, but ${missing.join(', ')} is missing`);
  if (allRequired && totals.skipped > 0) complaints.push(`REQUIRE_ALL=1, but ${totals.skipped} tests were skipped`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
