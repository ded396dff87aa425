/** Words that read badly stay out of the documents, the examples and what the program says. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { PROJECT, readDocument } from '../support/documents.ts';

const TEXTS = /\.(?:md|ts|html|ya?ml|conf|cfg|service|mjs)$/;
const PROGRAM = /\.(?:ts|mjs)$/;
const COMMENT = /(?<=^|\s)\/\*[^]*?\*\/|(?<=^|\s)\/\/.*$/gm;

interface Word {
  readonly bad: RegExp;
  readonly better: string;
  readonly sample: string;
}

const WORDS: readonly Word[] = [
  { bad: /\bknown for secrets\b/, better: 'known to hold secrets', sample: 'names that are not known for secrets' },
  { bad: /\bhas a default but\b/, better: 'only X has no default', sample: 'Everything has a default but `upstream`' },
  { bad: /\bgoes the way of\b/, better: 'connects as X would', sample: 'The doctor goes the way of a browser' },
  { bad: /\bwrong on it\b/, better: 'wrong on the way', sample: 'says what is wrong on it' },
  { bad: /\bcut by nothing\b/, better: 'stays open', sample: 'cut by nothing for 75 s' },
  { bad: /\b(?:held|hold|holds) (?:\S+ ){0,6}?against\b/, better: 'check against', sample: 'held against the metrics' },
  { bad: /\balone\b/, better: 'only, or on its own', sample: 'for this host alone' },
  { bad: /\bas Neko\b(?!(?:'s)? (?:does|is|sends)\b)/, better: 'like Neko', sample: 'quiet as Neko' },
  { bad: /\bElse\b|, else\b/, better: 'otherwise', sample: '`--config FILE`, else `./config.yaml`' },
  { bad: /\bmounted by itself\b/, better: 'mounted as a single file', sample: 'a file that was mounted by itself' },
  { bad: /\btold of\b/, better: 'reported, or known to', sample: 'upstreams that are down are told of' },
  { bad: /\bknows no\b(?! such)/, better: 'has no', sample: 'The admin listener knows no password' },
  { bad: /\bfor nobody (?:who|whose)\b/, better: 'only for X who', sample: 'opened for nobody whose handshake' },
  { bad: /\bsome ten\b/, better: 'about ten', sample: 'a pause of some ten ms' },
  { bad: /\bwants a\b/, better: 'needs a, or asks for a', sample: 'it wants a login' },
];

/** What was renamed to the standard words of the field. */
const CHINESE: readonly Word[] = [
  { bad: /前端/, better: '前置代理', sample: '前端允许的空闲时间' },
  { bad: /读者|写入方/, better: '接收方, 发送方', sample: '慢速读者' },
  { bad: /算活着/, better: '视为存活', sample: '任何字节都算活着' },
  { bad: /秘密/, better: '敏感参数', sample: '已知秘密' },
];

function filesIn(folder: string): string[] {
  return readdirSync(`${PROJECT}${folder}`, { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file}`)
    .filter((file) => TEXTS.test(file));
}

/** What a reader or an operator sees of it: comments of the code are for its authors. */
function seenOf(path: string): string {
  const text = readDocument(path);
  return PROGRAM.test(path) ? text.replaceAll(COMMENT, '') : text;
}

function checkWords(path: string, words: readonly Word[]): void {
  // A phrase may go on in the next line.
  const text = seenOf(path).replaceAll(/\s+/g, ' ');
  for (const { bad, better } of words) {
    const found = bad.exec(text);
    const place = found === null ? '' : text.slice(Math.max(0, found.index - 40), found.index + 60);
    assert.equal(place, '', `${path}: better "${better}"`);
  }
}

test('each word of the list is found where it was', () => {
  for (const { bad, sample } of [...WORDS, ...CHINESE]) assert.match(sample, bad);
});

test('documents and examples use the better words', () => {
  const top = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'config.example.yaml'];
  for (const path of [...top, ...filesIn('docs'), ...filesIn('examples')]) checkWords(path, WORDS);
});

test('what the program says uses the better words', () => {
  for (const path of filesIn('src')) checkWords(path, WORDS);
});

test('README.zh.md uses the words of its field', () => {
  checkWords('README.zh.md', [...WORDS, ...CHINESE]);
});
