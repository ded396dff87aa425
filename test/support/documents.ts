/** The documents of the project, cut into what a test can hold against the program. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

/** Paths from the project's root. */
export const DOCUMENTS: readonly string[] = [
  'README.md',
  'README.zh.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(PROJECT, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

export function readDocument(path: string): string {
  return readFileSync(join(PROJECT, path), 'utf8');
}

export interface Block {
  readonly language: string;
  readonly text: string;
}

/** What stands between fences. */
export function blocksOf(document: string): Block[] {
  return [...document.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language = '', text = '']) => ({
    language,
    text,
  }));
}

/** Shell commands without their comments: fenced ones, and lines that are indented as code. */
export function commandsOf(document: string): string[] {
  const fenced = blocksOf(document).filter(({ language }) => language === 'sh');
  const indented = [...document.matchAll(/^ {4}((?:npm|\.ci|node) ?.*)$/gm)].map(([, line = '']) => line);
  const lines = [...fenced.flatMap(({ text }) => text.split('\n')), ...indented];
  return lines.map((line) => line.replace(/\s+#.*$/, '').trim()).filter((line) => line !== '');
}

/** Rows of the table with this first column, as cells; code in the first cell is taken apart by the caller. */
export function tableOf(document: string, heading: string): string[][] {
  const lines = document.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} |`));
  if (start < 0) throw new Error(`no table that begins with ${heading}`);
  const rest = lines.slice(start + 2);
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return rest.slice(0, end < 0 ? rest.length : end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** What a cell or a sentence has between backticks. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}
