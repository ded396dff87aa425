/**
 * Runs the tests: the fast folders, with `--all` all of them with coverage thresholds, or the files named as arguments.
 *
 * `src/core` has to be covered by `test/core` alone, so with `--all` those run first and are judged before the rest adds to the
 * same data. The last lines are the sums of all runs in the form of node's own closing summary.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { allRequired, howToGet, missingPrograms } from './requirements.ts';

const SUMMARY = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo', 'duration_ms'] as const;
type Totals = Record<(typeof SUMMARY)[number], number>;

const C8 = fileURLToPath(import.meta.resolve('c8/bin/c8.js'));
const CORE = ['--lines=100', '--branches=100', '--functions=100', '--statements=100'];
const OVERALL = ['--lines=95', '--branches=90', '--functions=95'];
/** Folders that take minutes, or whose subject a change seldom breaks: only `--all` runs them. */
const SLOW = [
  'browser',
  'clients',
  'closes',
  'conformance',
  'container',
  'crowds',
  'examples',
  'hostile',
  'long',
  'package',
  'sim',
  'soak',
  'timing',
  'verdicts',
];
/** These start the built program, browsers and fronts: they wait more than they compute, so more of them run at once. */
const WAITING = ['e2e', ...SLOW];
/** They start hundreds of programs, each of which would write down what it covers, and reach nothing that the others do not. */
const NOT_COUNTED = ['closes', 'conformance', 'sim', 'soak', 'timing', 'verdicts'];
/** Folders with files that take minutes: they start first, so that none of them is left alone at the end. */
const LONGEST = ['sim', 'verdicts'];
/** For one file, in ms. It is a limit on a test that hangs, far above what any takes on a machine that is ten times slower. */
const FILE_TIMEOUT = 900_000;

const totals = Object.fromEntries(SUMMARY.map((key) => [key, 0])) as Totals;
const scratch = mkdtempSync(join(tmpdir(), 'wskp-test-'));
const coverage = join(scratch, 'coverage');
const complaints: string[] = [];

try {
  const named = process.argv.slice(2);
  if (named.join() === '--all') await runEverything();
  else if (named.length > 0) await runTests(named);
  else await runFast();
  checkSkipped();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const complaint of complaints) print(`✖ ${complaint}`);
for (const key of SUMMARY) print(`# ${key} ${Number(totals[key].toFixed(3))}`);
print(`took ${Math.round(performance.now() / 1000)} s`);
process.exitCode = complaints.length > 0 ? 1 : 0;

async function runEverything(): Promise<void> {
  const files = testFiles();
  await runTests(together(of(files, ['core'])), { coverage });
  await checkCoverage('src/core', CORE, 'test/core alone');
  await runTests(together(without(files, ['core', ...WAITING])), { coverage });
  await runTests(without(of(files, WAITING), NOT_COUNTED), { coverage, atOnce: 4 });
  await checkCoverage('src', OVERALL, `all tests but those in test/${NOT_COUNTED.join(', test/')}`);
  const longest = of(files, LONGEST).map((file) => entryTo(basename(file, '.test.ts'), [file]));
  await runTests([...longest, ...without(of(files, NOT_COUNTED), LONGEST)]);
}

async function runFast(): Promise<void> {
  const files = without(testFiles(), SLOW);
  await runTests(together(without(files, WAITING)));
  await runTests(of(files, WAITING), { atOnce: 4 });
  print(`not run: test/${SLOW.join(', test/')}; npm run test:all runs them as well`);
}

function of(files: readonly string[], folders: readonly string[]): string[] {
  return files.filter((file) => folders.includes(basename(dirname(file))));
}

function without(files: readonly string[], folders: readonly string[]): string[] {
  return files.filter((file) => !folders.includes(basename(dirname(file))));
}

/** Node 20's runner has no globs. */
function testFiles(): string[] {
  const folders = readdirSync('test', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .flatMap(({ name }) => readdirSync(join('test', name)).map((file) => join('test', name, file)))
    .filter((file) => file.endsWith('.test.ts'))
    .sort();
}

/**
 * The files of a folder as one or two, which import them: to load what they test takes a process longer than to test it. Those with hooks,
 * which would count for the whole process, stay by themselves.
 */
function together(files: readonly string[]): string[] {
  const hasHooks = (file: string): boolean => /^(?:before|after)(?:Each)?\(/m.test(readFileSync(file, 'utf8'));
  const groups = new Map<string, string[]>();
  for (const [index, file] of files.filter((each) => !hasHooks(each)).entries()) {
    const group = `${basename(dirname(file))}-${index % 2}`;
    groups.set(group, [...(groups.get(group) ?? []), file]);
  }
  return [...[...groups].map(([group, inside]) => entryTo(group, inside)), ...files.filter(hasHooks)];
}

/** A file that imports these. Node runs files in the order of their names, and this one's comes before `test/`. */
function entryTo(name: string, files: readonly string[]): string {
  const entry = join(scratch, `${name}.test.mts`);
  writeFileSync(entry, files.map((file) => `import ${JSON.stringify(pathToFileURL(file).href)};\n`).join(''));
  return entry;
}

interface RunOptions {
  /** Where the coverage goes; left out: nowhere. */
  readonly coverage?: string;
  /** Files at a time. */
  readonly atOnce?: number;
}

async function runTests(files: readonly string[], { coverage: folder, atOnce = 3 }: RunOptions = {}): Promise<void> {
  const tap = join(scratch, 'results.tap');
  const reporters = ['spec', 'stdout', 'tap', tap].map((value, index) =>
    index % 2 === 0 ? `--test-reporter=${value}` : `--test-reporter-destination=${value}`,
  );
  const limits = [`--test-concurrency=${atOnce}`, `--test-timeout=${FILE_TIMEOUT}`];
  const code = await runNode(
    ['--import', 'tsx', '--import', './test/support/leaks.ts', '--test', ...limits, ...reporters, ...files],
    folder === undefined ? {} : { NODE_V8_COVERAGE: folder },
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
  // Scripts of pages run in Chromium alone.
  const pages = missingPrograms().includes('chromium') ? ['src/**/page/**'] : [];
  const exclude = [...typeOnlyModules(folder), ...pages].map((file) => `--exclude=${file}`);
  const scope = ['--all', `--src=${folder}`, `--include=${folder}/**`, '--exclude-after-remap', ...exclude];
  const report = ['report', `--temp-directory=${coverage}`, '--reporter=text', '--skip-full', '--check-coverage'];
  const code = await runNode([C8, ...report, ...scope, ...thresholds], {});
  if (code !== 0) complaints.push(`${folder} is not covered enough by ${by}: ${thresholds.join(' ')}`);
}

/** A module of types alone is never loaded and has nothing to cover: its compiled form is empty. */
function typeOnlyModules(folder: string): string[] {
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(?<!\.d)\.ts$/.test(file),
  );
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
