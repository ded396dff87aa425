/**
 * The blind test of the verdicts: real programs end connections in every way that is known, and each closing line is scored against a key that
 * stands beside the kind of end, not against what the rules say. Takes some minutes.
 *
 *     npm run verdicts                 all kinds, three rounds each
 *     npm run verdicts -- nginx        those that have the word in their description
 *     npm run verdicts -- --rounds 2   two rounds
 *     npm run verdicts -- --write      brings the table in docs/troubleshooting.md up to date
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startProxy } from '../support/process.ts';
import { Scope } from '../support/scope.ts';
import { type Kind, type Score, score } from './kind.ts';
import { ENDPOINT_KINDS } from './kinds-endpoints.ts';
import { FRONT_KINDS } from './kinds-fronts.ts';
import { startNeko, wait } from './rig.ts';

const SCORES = ['right', 'vague', 'wrong'] as const;
const AT_ONCE = 4;
const PATIENCE_MS = 15_000;
const PAGE = new URL('../../docs/troubleshooting.md', import.meta.url);
const BEGIN = '<!-- verdict test: begin, written by npm run verdicts -- --write -->';
const END = '<!-- verdict test: end -->';

interface Result {
  readonly what: string;
  readonly scores: readonly Score[];
  readonly faults: readonly string[];
}

const { values: flags, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, write: { type: 'boolean', default: false } },
});
const rounds = Number(flags.rounds);
const allKinds = [...ENDPOINT_KINDS, ...FRONT_KINDS];
const kinds = allKinds.filter(({ what }) => words.every((word) => what.includes(word)));
const results: Result[] = [];
const queue = [...kinds.entries()];
await Promise.all(Array.from({ length: AT_ONCE }, work));
const ordered = kinds.flatMap(({ what }) => results.filter((result) => result.what === what));
const sum = (wanted: Score): number => ordered.flatMap(({ scores }) => scores).filter((each) => each === wanted).length;
const total = `${ordered.length} kinds, ${rounds} rounds each: ${sum('right')} right, ${sum('vague')} naming the true cause and another, ${sum('wrong')} wrong`;
process.stdout.write(`\n${total}\n`);
if (flags.write) writeTable();
process.exitCode = sum('wrong') > 0 || ordered.some(({ faults }) => faults.length > 0) ? 1 : 0;

async function work(): Promise<void> {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const kind = next[1];
    const result = await judge(kind).catch((error: unknown) => ({
      what: kind.what,
      scores: [],
      faults: [String(error)],
    }));
    results.push(result);
    process.stdout.write(`${result.faults.length > 0 ? '✖' : '✔'} ${result.what}: ${countsOf(result)}\n`);
    for (const fault of result.faults) process.stdout.write(`    ${fault}\n`);
  }
}

/** All rounds of one kind. What is learned in one is known in the next, unless the round ends the programs. */
async function judge(kind: Kind): Promise<Result> {
  const [scores, faults]: [Score[], string[]] = [[], []];
  let stage = await build(kind);
  for (let round = 1; round <= rounds; round += 1) {
    try {
      for (const line of await play(kind, stage, round)) {
        const each = score(kind.key, line);
        scores.push(each);
        if (each === 'wrong')
          faults.push(`${String(line['initiator'])} ${String(line['cause'])}: ${String(line['verdict'])}`);
      }
    } catch (error) {
      faults.push(String(error));
    }
    if (round < rounds && hasEnded(stage)) {
      await stage.scope.undo();
      stage = await build(kind);
    }
  }
  await stage.scope.undo();
  return { what: kind.what, scores, faults: [...new Set(faults)] };
}

type Stage = Parameters<Kind['run']>[0] & { readonly upstreamEnds: boolean };

async function build(kind: Kind): Promise<Stage> {
  const scope = new Scope();
  const neko = await startNeko(scope);
  const upstreamPort = kind.upstream === undefined ? neko.port : await kind.upstream(scope);
  const proxy = await startProxy(scope, upstreamPort, { KEEPALIVE_PING_INTERVAL: '20s', ...kind.settings });
  const front = (await kind.front?.(scope, proxy.port)) ?? null;
  return { scope, neko, proxy, front, port: front?.port ?? proxy.port, upstreamEnds: kind.upstream !== undefined };
}

function hasEnded({ front, proxy, upstreamEnds }: Stage): boolean {
  return upstreamEnds || [front?.child, proxy.child].some((child) => child?.process.killed === true);
}

async function play(kind: Kind, stage: Stage, round: number): Promise<Record<string, unknown>[]> {
  const prefix = `/r${round}`;
  const lines = (): Record<string, unknown>[] =>
    stage.proxy.child.logs.filter(
      (line) => line['msg'] === 'websocket closed' && String(line['path']).startsWith(prefix),
    );
  const expected = await kind.run(stage, prefix, round);
  for (let waited = 0; lines().length < expected && waited < PATIENCE_MS; waited += 100) await wait(100);
  if (lines().length < expected) throw new Error(`round ${round}: ${lines().length} of ${expected} closing lines`);
  return lines();
}

function countsOf({ scores }: Result): string {
  const count = (wanted: Score): number => scores.filter((each) => each === wanted).length;
  return `${count('right')} right, ${count('vague')} vague, ${count('wrong')} wrong`;
}

/** Rows of kinds that were not run stay as they are. */
function writeTable(): void {
  const page = readFileSync(PAGE, 'utf8');
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/troubleshooting.md lacks the line ${BEGIN} or ${END}`);
  const old = [...page.slice(begin, end).matchAll(/^\| ([^|]+) \| (\d+) \| (\d+) \| (\d+) \|$/gm)];
  const rows = allKinds.flatMap(({ what }) => {
    const run = results.find((result) => result.what === what)?.scores;
    if (run !== undefined) return [[what, ...SCORES.map((each) => run.filter((one) => one === each).length)] as const];
    return old.filter((row) => row[1] === what).map((row) => [what, ...row.slice(2, 5).map(Number)] as const);
  });
  const sums = [1, 2, 3].map((column) => rows.reduce((total, row) => total + Number(row[column]), 0));
  const text = `${rows.length} kinds, ${rounds} rounds each: ${sums[0]} right, ${sums[1]} naming the true cause and another, ${sums[2]} wrong.`;
  const table = [
    '| How it ended | right | both named | wrong |',
    '|---|---|---|---|',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ];
  writeFileSync(PAGE, `${page.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${table.join('\n')}\n\n${page.slice(end)}`);
}
