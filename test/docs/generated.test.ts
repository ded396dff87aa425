import assert from 'node:assert/strict';
import { test } from 'node:test';
import { infoAt, valuePaths } from '../../src/config/schema.ts';
import { readDocument, tableOf } from '../support/documents.ts';
import { generatedFiles } from '../support/generated.ts';

for (const { path, current, wanted } of generatedFiles())
  test(`${path} says what the code says`, () => {
    assert.ok(current === wanted, 'out of date: npm run regenerate');
  });

test('every key has a meaning in both languages', () => {
  for (const path of ['README.md', 'README.zh.md'])
    for (const [key = '', , meaning = ''] of tableOf(readDocument(path), path === 'README.md' ? 'Key' : '键'))
      assert.notEqual(meaning, '', `${path}: ${key} is not explained`);
});

test('a key that takes one of several words explains each of them', () => {
  for (const path of valuePaths()) {
    const { kind, about = '' } = infoAt(path) ?? {};
    const words = (kind?.json['enum'] ?? []) as readonly string[];
    // What on and off mean is said by the name of the key.
    if (words.includes('off')) continue;
    for (const word of words) assert.ok(about.includes(`\`${word}\``), `${path.join('.')}: what is \`${word}\`?`);
  }
});
