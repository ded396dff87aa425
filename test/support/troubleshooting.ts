/**
 * The generated part of docs/troubleshooting.md, written from the verdict table.
 * `node --import tsx test/support/troubleshooting.ts` brings the page up to date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CloseCause, UpgradeFailureReason } from '../../src/core/report.ts';
import { VERDICT_TABLE } from '../../src/observe/verdict.ts';
import type { VerdictRule } from '../../src/observe/verdict-words.ts';
import { closeReport, upgradeFailure } from './reports.ts';

const PAGE = new URL('../../docs/troubleshooting.md', import.meta.url);
const BEGIN = '<!-- verdicts: begin, written from the rules in src/observe -->';
const END = '<!-- verdicts: end -->';

/** The page as it is, and as it should be. */
export function troubleshooting(): { current: string; wanted: string } {
  const current = readFileSync(PAGE, 'utf8');
  const begin = current.indexOf(BEGIN);
  const end = current.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`docs/troubleshooting.md lacks the line ${BEGIN} or ${END}`);
  const wanted = `${current.slice(0, begin + BEGIN.length)}\n\n${tables()}\n\n${current.slice(end)}`;
  return { current, wanted };
}

function tables(): string {
  const closes = Object.entries(VERDICT_TABLE.closes).flatMap(([cause, rules]) =>
    rules.map((rule) => row(cause, rule, closeReport({ cause: cause as CloseCause, ...rule.example }))),
  );
  const failures = Object.entries(VERDICT_TABLE.failures).flatMap(([reason, rules]) =>
    rules.map((rule) => row(reason, rule, upgradeFailure({ reason: reason as UpgradeFailureReason, ...rule.example }))),
  );
  return [
    '## A connection ended: `websocket closed`',
    '',
    ...table('cause', closes),
    '',
    '## A connection never began: `upgrade failed`',
    '',
    ...table('reason', failures),
  ].join('\n');
}

function table(key: string, rows: readonly string[]): string[] {
  return [`| What you see | \`${key}\` | What the log says, for example | What to do |`, '|---|---|---|---|', ...rows];
}

function row<Facts>(cause: string, rule: VerdictRule<Facts>, facts: Facts): string {
  const remedy = rule.remedy === undefined ? 'Nothing' : capital(rule.remedy(facts));
  const cells = [rule.symptom, `\`${cause}\``, rule.sentence(facts), remedy];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, troubleshooting().wanted);
