/** Every text that is made from the code. `npm run regenerate` brings the files up to date; a test says which are not. */
import { exampleFile, keyTable } from './key-tables.ts';
import { readDocument } from './documents.ts';
import { editorSchema } from './editor-schema.ts';
import { verdictTables } from './verdict-tables.ts';

export interface GeneratedFile {
  /** Below the project's folder. */
  readonly path: string;
  readonly current: string;
  readonly wanted: string;
}

export function generatedFiles(): GeneratedFile[] {
  return [
    whole('config.example.yaml', exampleFile),
    whole('config.schema.json', editorSchema),
    part('README.md', 'keys', keyTable),
    part('README.zh.md', 'keys', keyTable),
    part('docs/troubleshooting.md', 'verdicts', verdictTables),
  ];
}

function whole(path: string, write: () => string): GeneratedFile {
  return { path, current: readDocument(path), wanted: write() };
}

/** @param write is given the part as it is */
function part(path: string, name: string, write: (current: string) => string): GeneratedFile {
  const current = readDocument(path);
  const begin = `<!-- ${name}: begin, made by npm run regenerate -->\n`;
  const [before, middle] = cut(current, begin);
  const [inside, after] = cut(middle, `<!-- ${name}: end -->`);
  const wanted = `${before}${begin}\n${write(inside)}\n\n<!-- ${name}: end -->${after}`;
  return { path, current, wanted };
}

function cut(text: string, mark: string): [before: string, after: string] {
  const at = text.indexOf(mark);
  if (at < 0) throw new Error(`the line ${mark.trim()} is missing`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
