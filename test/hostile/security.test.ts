/** SECURITY.md names a test for each threat. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const text = read('SECURITY.md');
const rows = text
  .slice(text.indexOf('| Threat |'))
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(1);

test('the table of threats has rows', () => assert.ok(rows.length > 15, `${rows.length}`));

for (const row of rows) {
  test(`there is a test for this: ${row.split(' | ')[0]?.slice(2)}`, () => {
    const match = /\| `(test\/[a-z0-9/-]+\.test\.ts)`: "([^"]{5,})" \|$/.exec(row);
    assert.ok(match, `the last cell of the row names no test: ${row}`);
    const [, file = '', name = ''] = match;
    assert.ok(
      ["test('", 'test(`', "describe('", 'describe(`'].some((start) => read(file).includes(start + name)),
      `${file} has no test or suite called "${name}"`,
    );
  });
}

test('every suite of attacks is in the table', () => {
  for (const part of ['frames', 'handshake', 'plain', 'requests', 'secrets', 'upstream']) {
    for (const [, name = ''] of read(`test/hostile/${part}.test.ts`).matchAll(/^\s*describe\(['`]([^'`$]*)/gm)) {
      assert.ok(text.includes(`"${name.trim()}"`), `SECURITY.md lacks "${name}"`);
    }
  }
});
