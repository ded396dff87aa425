import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remembering } from '../../src/http/remembering.ts';

/** With the texts that it was asked about. */
function upperCase() {
  const asked: string[] = [];
  const answer = remembering((text) => {
    asked.push(text);
    return text.toUpperCase();
  });
  return { answer, asked };
}

test('a text is thought about once', () => {
  const { answer, asked } = upperCase();
  assert.deepEqual(['a', 'b', 'a', ''].map(answer), ['A', 'B', 'A', '']);
  assert.deepEqual(asked, ['a', 'b', '']);
});

test('it remembers neither long texts nor many', () => {
  const { answer, asked } = upperCase();
  const long = 'x'.repeat(513);
  assert.deepEqual([answer(long), answer(long)], [long.toUpperCase(), long.toUpperCase()]);
  assert.equal(asked.length, 2);
  answer('first');
  for (let i = 0; i < 256; i++) answer(String(i));
  answer('first');
  assert.equal(asked.filter((text) => text === 'first').length, 2);
});
