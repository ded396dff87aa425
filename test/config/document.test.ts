import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfigDocument } from '../../src/config/document.ts';
import { formatProblem } from '../../src/config/errors.ts';

const flaws = (text: string) => parseConfigDocument('f', text).problems.map(formatProblem);

/** The one problem of a text that cannot be understood. */
function flaw(text: string): string {
  const { broken, problems, tree } = parseConfigDocument('f', text);
  assert.ok(broken, text);
  assert.deepEqual(tree, {});
  assert.equal(problems.length, 1, text);
  return problems.map(formatProblem).join();
}

test('places are those of values, of keys, and of what is nearest around them', () => {
  const document = parseConfigDocument('f', 'a: 1\nb:\n  c: [x, {d: 2}]\ne: &x {y: 1}\nz: *x\n');
  assert.deepEqual(document.locate(['a']), { file: 'f', line: 1, col: 4 });
  assert.deepEqual(document.locate(['b', 'c', 1, 'd']), { file: 'f', line: 3, col: 14 });
  assert.deepEqual(document.locate(['b'], 'c'), { file: 'f', line: 3, col: 3 });
  assert.deepEqual(document.locate(['b', 'none', 'at all']), { file: 'f', line: 3, col: 3 });
  assert.deepEqual(document.locate(['b', 'c', 7]), { file: 'f', line: 3, col: 6 });
  assert.deepEqual(document.locate([], 'a'), { file: 'f', line: 1, col: 1 });
  assert.deepEqual(document.locate(['z', 'y']), { file: 'f', line: 4, col: 11 });
});

test('a key that stands twice is a problem, and the rest is still understood', () => {
  const { tree, broken, problems } = parseConfigDocument('f', 'a: 1\na: 2\nb: 3');
  assert.deepEqual(problems.map(formatProblem), ['f:2:1: this key appears for the second time; keep one']);
  assert.equal(broken, false);
  assert.equal((tree as { b: unknown }).b, 3);
});

test('a file without content is a problem: it may be half written', () => {
  for (const text of ['', '\n\n', '# just a comment\n', '---\n'])
    assert.match(flaw(text), /^f:1:1: the file holds no settings/);
});

test('syntax errors have their place and advice', () => {
  assert.match(flaw('a:\n\tb: 1'), /^f:2:1: tabs cannot indent YAML; use spaces$/);
  assert.match(flaw('a: 1\n---\nb: 2'), /^f:2:1: a second document starts after ---/);
  assert.match(flaw('listen: [::]:8080'), /^f:1:13: not valid YAML: .*starts with \[.*needs quotes/);
  assert.match(flaw('a: "x'), /^f:1:6: not valid YAML: Missing closing "quote/);
  assert.match(
    flaw('host: *.example.com'),
    /^f:1:7: \*\.example\.com refers to an anchor that does not exist .*needs quotes/,
  );
});

test('tags are refused, so that every value is text, number, boolean, list or mapping', () => {
  for (const tag of ['!!binary aGk=', '!!set {a}', '!!timestamp 2020-01-01', '!mine x']) {
    assert.match(flaw(`a: ${tag}`), /^f:1:4: not valid YAML: Unresolved tag/);
  }
});

test('aliases that multiply are refused', () => {
  const rows = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
  for (const [name, from] of ['ba', 'cb', 'dc', 'ed']) rows.push(`${name}: &${name} [${`*${from},`.repeat(10)}]`);
  assert.equal(flaw(rows.join('\n')), 'f:1:1: the file repeats its aliases too often');
});

test('nesting without end is refused before it exhausts the stack', () => {
  for (const text of ['[', '{', '- ', '? ', '[\n']) {
    assert.equal(flaw(text.repeat(60_000)), 'f:1:1: the file is nested too deeply', text);
  }
});

test('a file of unreasonable size is refused', () => {
  assert.equal(flaw(`a: ${'x'.repeat(2 ** 18)}`), 'f:1:1: the file is larger than 256 KiB');
});

test('a flood of syntax errors is cut short', () => {
  assert.equal(flaws('a: 1\n'.repeat(100)).length, 10);
});
