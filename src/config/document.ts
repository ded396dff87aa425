/** A YAML file as a plain tree that remembers where everything stands. */
import {
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  Parser,
  parseDocument,
  visit,
} from 'yaml';
import type { Problem } from './errors.ts';
import { isKeyName, type KeyPath } from './schema.ts';

export interface ConfigDocument {
  /** What the file says; an empty mapping when it cannot be understood. */
  readonly tree: unknown;
  /** The file cannot be understood: nothing can be said about what it holds. */
  readonly broken: boolean;
  readonly problems: readonly Problem[];
  /** The place of the value at `path`, or of the nearest thing around it; with `key`, of that key inside it. */
  locate(path: KeyPath, key?: string): Pick<Problem, 'file' | 'line' | 'col'>;
}

/** Beyond this nobody wrote it by hand, and YAML's checks take too long. */
const MOST_CHARACTERS = 256 * 1024;
/** Deeper nesting has no meaning here, and would exhaust the stack of YAML's composer. */
const MOST_LEVELS = 50;
/** One slip can make hundreds of syntax errors. */
const MOST_SYNTAX_PROBLEMS = 10;

const ADVICE: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key appears for the second time; keep one',
  MULTIPLE_DOCS: 'a second document starts after ---; a file holds one',
  TAB_AS_INDENT: 'tabs cannot indent YAML; use spaces',
};
const QUOTES = 'a value that starts with [ { * & ! % @ or ` needs quotes';

/** Reads `text`. Never throws: what is wrong is among the problems. */
export function parseConfigDocument(file: string, text: string): ConfigDocument {
  if (text.length > MOST_CHARACTERS) return brokenDocument(file, `is larger than ${MOST_CHARACTERS / 1024} KiB`);
  const kind = foreignKind(text);
  if (kind !== null) return brokenDocument(file, kind);
  if (isDeep(text)) return brokenDocument(file, 'is nested too deeply');
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      resolveKnownTags: false,
      logLevel: 'error',
    });
    return readDocument(file, text, document, lines);
  } catch {
    // toJS() refuses aliases that multiply one another.
    return brokenDocument(file, 'repeats its aliases too often');
  }
}

/** What the file is when it is no YAML; null when it may be some. */
function foreignKind(text: string): string | null {
  // UTF-16 read as UTF-8: its mark becomes two replacement characters, and every other byte is 0.
  if (text.startsWith('\uFFFD\uFFFD') || text.includes('\0')) return 'is not UTF-8 text (UTF-16?); save it as UTF-8';
  if (/^\uFEFF?\s*<(?:!doctype|html|\?xml)\b/i.test(text))
    return 'is a web page (HTML), not YAML; download the file itself';
  const first = text.split('\n').find((line) => !/^\s*(?:[#;].*)?$/.test(line)) ?? '';
  if (/^\s*(?:\[[\w.-]+\]\s*$|[\w.-]+\s*=(?!=))/.test(first))
    return 'looks like TOML or INI; write YAML, as in "key: value"';
  return null;
}

/** Walks the tokens level by level: the parser that finds them does not recurse. */
function isDeep(text: string): boolean {
  let tokens: CST.Token[] = [...new Parser().parse(text)];
  for (let level = 0; level <= MOST_LEVELS; level += 1) {
    if (tokens.length === 0) return false;
    tokens = tokens.flatMap(childTokens);
  }
  return true;
}

function childTokens(token: CST.Token): CST.Token[] {
  const parts = token.type === 'document' ? [token.value] : [];
  const pairs = 'items' in token ? token.items.flatMap((item) => [item.key, item.value]) : [];
  return [...parts, ...pairs].filter((child) => child !== undefined && child !== null);
}

function brokenDocument(file: string, message: string): ConfigDocument {
  const start = { file, line: 1, col: 1 };
  return {
    tree: {},
    broken: true,
    problems: [{ ...start, path: '', message: `the file ${message}` }],
    locate: () => start,
  };
}

function readDocument(file: string, text: string, document: Document.Parsed, lines: LineCounter): ConfigDocument {
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), col: Math.max(col, 1) };
  };
  const { contents } = document;
  if (document.errors.length === 0 && (contents === null || (isScalar(contents) && contents.value === null))) {
    return brokenDocument(file, 'holds no settings; write some or remove it');
  }
  const syntax = syntaxFlaws(document);
  const slips = syntax.length === 0 ? [] : [...openQuotes(document, lines), ...missingSpaces(text)];
  const flaws = [...(slips.length === 0 ? syntax : slips), ...aliasFlaws(document)];
  const broken = flaws.some((flaw) => flaw.code !== 'DUPLICATE_KEY');
  return {
    tree: broken ? {} : document.toJS(),
    broken,
    problems: flaws.slice(0, MOST_SYNTAX_PROBLEMS).map(({ offset, message }) => ({ ...at(offset), path: '', message })),
    locate: (path, key) => at(offsetOf(document, path, key)),
  };
}

interface Flaw {
  readonly code: string;
  readonly offset: number;
  readonly message: string;
}

function syntaxFlaws(document: Document.Parsed): Flaw[] {
  return [...document.errors, ...document.warnings].map(({ code, message, pos }) => {
    return { code, offset: pos[0], message: ADVICE[code] ?? `not valid YAML: ${message} (${QUOTES})` };
  });
}

/** Where quotes open that are not closed on their line: YAML itself complains where it ends up, often at the end of the file. */
function openQuotes(document: Document.Parsed, lines: LineCounter): Flaw[] {
  const flaws: Flaw[] = [];
  visit(document, {
    Scalar: (_, { type, range }) => {
      if (!range || (type !== 'QUOTE_DOUBLE' && type !== 'QUOTE_SINGLE')) return;
      const [offset, end] = range;
      if (lines.linePos(offset).line === lines.linePos(end).line && end - offset > 1) return;
      flaws.push({ code: 'OPEN_QUOTE', offset, message: 'the quote that opens here is not closed on this line' });
    },
  });
  return flaws.slice(0, 1);
}

/** `upstream:http://neko:8080`: without a space the colon belongs to the value. */
function missingSpaces(text: string): Flaw[] {
  return [...text.matchAll(/^([ \t]*(?:- )?)([a-z_]+):([^\s:].*)$/gm)]
    .filter(([, , key = '']) => isKeyName(key))
    .map(({ index, 1: indent = '', 2: key = '', 3: value = '' }) => {
      return { code: 'MISSING_SPACE', offset: index + indent.length, message: missingSpace(key, value) };
    });
}

/** @param value may hold a password */
export function missingSpace(key: string, value: string): string {
  return `a space is missing after the colon; write ${key}: ${/[@?]/.test(value) ? '...' : value.trim()}`;
}

function aliasFlaws(document: Document.Parsed): Flaw[] {
  const flaws: Flaw[] = [];
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return;
      const message = `*${alias.source} refers to an anchor that does not exist (${QUOTES})`;
      flaws.push({ code: 'UNRESOLVED_ALIAS', offset: alias.range?.[0] ?? 0, message });
    },
  });
  return flaws;
}

function offsetOf(document: Document.Parsed, path: KeyPath, key: string | undefined): number {
  let here: unknown = document.contents;
  let offset = startOf(here) ?? 0;
  for (const step of path) {
    here = childOf(resolved(document, here), step)?.value;
    offset = startOf(here) ?? offset;
  }
  const named = key === undefined ? undefined : childOf(resolved(document, here), key)?.key;
  return startOf(named) ?? offset;
}

function resolved(document: Document.Parsed, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function childOf(
  node: unknown,
  step: string | number,
): { readonly key?: unknown; readonly value: unknown } | undefined {
  if (isSeq(node)) return { value: node.items[Number(step)] };
  if (!isMap(node)) return undefined;
  return node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === step);
}

function startOf(node: unknown): number | undefined {
  return (node as Partial<Node> | null | undefined)?.range?.[0];
}
