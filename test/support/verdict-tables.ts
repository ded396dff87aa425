/** The tables of docs/troubleshooting.md, written from the rules in src/observe. */
import type { CloseCause, UpgradeFailureReason } from '../../src/core/events.ts';
import { VERDICT_TABLE } from '../../src/observe/verdict.ts';
import type { VerdictRule } from '../../src/observe/verdict-words.ts';
import { judgedEnd, upgradeFailure } from './reports.ts';

/** One row for each verdict, with an example of its sentence. */
export function verdictTables(): string {
  const closes = Object.entries(VERDICT_TABLE.closes).flatMap(([cause, rules]) =>
    rules.map((rule) => row(cause, rule, judgedEnd({ cause: cause as CloseCause, ...rule.example }))),
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
