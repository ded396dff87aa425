/** A password as servers repeat it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findDisguised } from '../../src/http/disguises.ts';

const PASSWORD = 'Hünter/2"&x';

/** The text with every place that was found marked. */
function show(text: string, values: readonly string[] = [PASSWORD]): string {
  const spans = findDisguised(text, values);
  return text
    .split('')
    .map((unit, at) => (spans.some(([start, end]) => at >= start && at < end) ? '*' : unit))
    .join('')
    .replace(/\*+/g, '*');
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

for (const [how, text] of [
  ['as it is', PASSWORD],
  ['in another case', PASSWORD.toUpperCase()],
  ['percent-encoded', 'H%C3%BCnter%2F2%22%26x'],
  ['percent-encoded with lower-case digits', 'H%c3%bcnter%2f2%22%26x'],
  ['percent-encoded wholly', '%48%c3%bc%6e%74%65%72%2f%32%22%26%78'],
  ['percent-encoded twice', 'H%25C3%25BCnter%252F2%2522%2526x'],
  ['percent-encoded three times', 'H%2525C3%2525BCnter%25252F2%252522%252526x'],
  ['escaped as JavaScript once did', '%48%u00fcnter/2%22%26x'],
  ['in JSON', 'H\\u00fcnter\\/2\\"\\u0026x'],
  ['in JavaScript', '\\x48\\u{fc}nter/2\\x22\\x26x'],
  ['in HTML', 'Hünter/2&quot;&amp;x'],
  ['in HTML with every name', 'H&uuml;nter&sol;2&quot;&amp;x'],
  ['in HTML with numbers', 'H&#252;nter&#x2F;2&#34;&#x26;x'],
  ['in JSON in a query', 'H%5Cu00fcnter%2F2%5C%22%5Cu0026x'],
  ['in base64', base64(PASSWORD)],
  ['in base64 of upper case', base64(PASSWORD).toUpperCase()],
  ['in base64 of something longer', base64(`{"password":"${PASSWORD.replace('"', '_')}"}`)],
  ['in base64 for URLs', Buffer.from(`a${PASSWORD}`).toString('base64url')],
  ['in hex', Buffer.from(PASSWORD).toString('hex')],
] as const) {
  test(`a value is found ${how}`, () => {
    const values = [PASSWORD, PASSWORD.replace('"', '_')];
    assert.equal(show(`<${text.replace(/=+$/, '')}>`, values), '<*>');
  });
}

test('a value is found in base64 that begins anywhere', () => {
  for (const before of ['', 'a', 'ab', 'abc']) {
    assert.equal(show(`.${before}/${base64(`ann:${PASSWORD}`).replace(/=+$/, '')}.`), '.*.');
  }
});

test('what a cut left of a value at the end of a text is found', () => {
  assert.equal(show('no H%C3%BCnter%2'), 'no *');
  assert.equal(show('no Hünter'), 'no *');
  assert.equal(show('no Hün'), 'no Hün');
});

test('every occurrence is found, the longest of several values wholly, and nothing else', () => {
  assert.equal(show('ann and anna and Ann', ['ann', 'anna']), '* and * and *');
  assert.equal(show('a+b %zz &unknown; \\u12 &#x110000; 100%', ['secret']), 'a+b %zz &unknown; \\u12 &#x110000; 100%');
});

test('a plus is a space to those who encode forms', () => {
  assert.equal(show('<my+secret>', ['my secret']), '<*>');
});
