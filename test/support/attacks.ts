/**
 * Prints a table of all attacks and what they came to; fails when one of them got through.
 * `npm run build && node --import tsx test/support/attacks.ts`
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../hostile', import.meta.url));
/** What separates an attack from what it comes to, in the name of its test. */
const ARROW = ' → ';

interface Row {
  /** The suite that it is a part of. */
  readonly part: string;
  readonly attack: string;
  readonly outcome: string;
  readonly result: string;
}

function rowOf(part: string, name: string, result: string): Row | null {
  const [attack = '', outcome] = name.split(ARROW);
  return outcome === undefined ? null : { part, attack, outcome, result };
}

async function runAttacks(files: readonly string[]): Promise<readonly Row[]> {
  const rows: (Row | null)[] = [];
  let part = '';
  // Several at once would count each other's load as their own.
  const stream = run({ files: [...files], concurrency: 1 });
  stream.on('test:start', ({ name, nesting }) => {
    if (nesting === 0) part = name.includes(ARROW) ? 'load' : name;
  });
  stream.on('test:pass', ({ name, skip }) => rows.push(rowOf(part, name, skip ? 'skipped' : 'held')));
  stream.on('test:fail', ({ name, details }) => {
    rows.push(rowOf(part, name, `BROKEN: ${String(details.error.cause ?? details.error.message).split('\n')[0]}`));
  });
  for await (const _event of stream);
  return rows.filter((row) => row !== null);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const files = readdirSync(FOLDER).filter((file) => file.endsWith('.test.ts'));
const rows = await runAttacks(files.map((file) => join(FOLDER, file)));
print('| Part | Attack | Comes to | Result |\n|---|---|---|---|');
for (const { part, attack, outcome, result } of rows) {
  print(`| ${[part, attack, outcome, result].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
}
const held = rows.filter(({ result }) => result === 'held').length;
const skipped = rows.filter(({ result }) => result === 'skipped').length;
print(`\n${rows.length} attacks, ${held} held, ${skipped} skipped, ${rows.length - held - skipped} broken`);
if (rows.length === 0 || held + skipped < rows.length) process.exitCode = 1;
