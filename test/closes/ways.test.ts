/** The table in docs/design.md of what peers see directly, through nginx and here. `WRITE=1` brings it up to date. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROJECT, readDocument } from '../support/documents.ts';
import { skipWithout } from '../support/requirements.ts';
import { playAll, type WayRow } from './ways.ts';

const PAGE = 'docs/design.md';
const BEGIN = '<!-- ways: begin, written by WRITE=1 npm test -- test/closes/ways.test.ts -->\n';
const END = '<!-- ways: end -->';

/** What differs from the direct way is bold. */
function line([who, what, sees, direct = '', ...others]: WayRow): string {
  const marked = others.map((seen) => (seen === direct || direct === '–' ? seen : `**${seen}**`));
  return `| ${[`${who} ${what}`, sees, direct, ...marked].join(' | ')} |`;
}

test('the table of ends says what peers see', { skip: skipWithout('nginx') }, async () => {
  const head = ['| What happens | Who looks | directly | through nginx | here |', '|---|---|---|---|---|'];
  const table = [...head, ...(await playAll()).map(line)].join('\n');
  const page = readDocument(PAGE);
  const [begin, end] = [page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END)];
  assert.ok(begin >= BEGIN.length && end >= begin, `${PAGE} has lost its marks`);
  if (process.env['WRITE'] === '1')
    writeFileSync(join(PROJECT, PAGE), `${page.slice(0, begin)}\n${table}\n\n${page.slice(end)}`);
  else assert.equal(page.slice(begin, end).trim(), table, 'out of date: run it with WRITE=1');
});
