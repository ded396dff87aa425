/** How the doctor's findings look: lines for people, one JSON document for machines. */
import { styleText } from 'node:util';
import { count, type Finding, type Level } from './findings.ts';

export interface Output {
  readonly write: (text: string) => unknown;
  /** A line may be written over, to show progress. */
  readonly isTerminal: boolean;
  readonly colors: boolean;
}

export interface Display {
  /** @param url safe to show */
  start(url: string): void;
  found(finding: Finding): void;
  /** Something that takes long begins; `progress` is asked every second. @returns what ends it */
  during(what: string, progress: () => string): () => void;
  /** @param isStopped the user ended it early */
  end(url: string, findings: readonly Finding[], isStopped: boolean): void;
}

const WORDS: Readonly<Record<Level, string>> = { ok: 'ok  ', note: 'note', warn: 'warn', bad: 'FAIL' };
const COLORS = { ok: 'green', note: 'cyan', warn: 'yellow', bad: 'red' } as const;
/** Of every line, in characters. */
const WIDTH = 80;
/** Where texts begin. */
const INDENT = ' '.repeat(19);
const ERASE_LINE = '\r\u001B[K';
const PROGRESS_MS = 1000;

export function isHealthy(findings: readonly Finding[]): boolean {
  return findings.every(({ level }) => level !== 'bad');
}

export function createDisplay(output: Output, json: boolean): Display {
  return json ? new JsonDisplay(output) : new LineDisplay(output);
}

class LineDisplay implements Display {
  readonly #output: Output;
  #progress = '';

  constructor(output: Output) {
    this.#output = output;
  }

  start(url: string): void {
    this.#line(`${url}\n`);
  }

  found({ level, subject, text, advice }: Finding): void {
    const word = this.#paint(COLORS[level], WORDS[level]);
    this.#line(`  ${word}  ${subject.padEnd(9)}  ${indented(text).trimStart()}`);
    if (advice !== '') this.#line(indented(advice));
  }

  during(what: string, progress: () => string): () => void {
    if (!this.#output.isTerminal) {
      this.#line(`  ...   ${what}`);
      return () => {};
    }
    const show = (): void => {
      // A line that wraps cannot be written over: one column stays free, where some terminals put the cursor.
      this.#progress = `  ...   ${what}: ${progress()}`.slice(0, WIDTH - 1);
      this.#output.write(ERASE_LINE + this.#progress);
    };
    show();
    const timer = setInterval(show, PROGRESS_MS);
    return () => {
      clearInterval(timer);
      this.#progress = '';
      this.#output.write(ERASE_LINE);
    };
  }

  end(_url: string, findings: readonly Finding[], isStopped: boolean): void {
    const warnings = findings.filter(({ level }) => level === 'warn').length;
    const besides = warnings === 0 ? '' : `, with ${count(warnings, 'warning')}`;
    const well = isStopped ? 'Stopped early; nothing failed until then' : 'Healthy';
    const verdict = isHealthy(findings)
      ? this.#paint('green', `${well}${besides}.`)
      : this.#paint('red', `Not healthy${besides}.`);
    this.#line(`\n${verdict}`);
  }

  /** What is written stays above the progress. */
  #line(text: string): void {
    const { write } = this.#output;
    if (this.#progress !== '') write(ERASE_LINE);
    write(`${text}\n${this.#progress}`);
  }

  #paint(color: 'green' | 'cyan' | 'yellow' | 'red', text: string): string {
    return this.#output.colors ? styleText(color, text, { validateStream: false }) : text;
  }
}

/** Under each other, each line at most {@link WIDTH} characters unless one word is longer. */
function indented(text: string): string {
  return text
    .split('\n')
    .flatMap(wrap)
    .map((line) => INDENT + line)
    .join('\n');
}

/** Configuration, which is indented, is left as it is. */
function wrap(line: string): string[] {
  if (line.startsWith(' ')) return [line];
  const lines = [''];
  for (const word of line.split(' ')) {
    const current = lines.at(-1) ?? '';
    if (current === '') lines[lines.length - 1] = word;
    else if (INDENT.length + current.length + 1 + word.length <= WIDTH) lines[lines.length - 1] = `${current} ${word}`;
    else lines.push(word);
  }
  return lines;
}

class JsonDisplay implements Display {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  start(): void {}

  found(): void {}

  during(): () => void {
    return () => {};
  }

  end(url: string, findings: readonly Finding[], isStopped: boolean): void {
    const report = { url, healthy: isHealthy(findings), stopped: isStopped, findings };
    this.#output.write(`${JSON.stringify(report, null, 2)}\n`);
  }
}
