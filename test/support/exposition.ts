/** A small strict parser of Prometheus text and OpenMetrics, for tests: whatever it does not expect, it throws at. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Exposition {
  readonly samples: readonly Sample[];
  /** Declared names and types. */
  readonly types: ReadonlyMap<string, string>;
  /** The value of one series; labels in any order. */
  readonly value: (name: string, labels?: Readonly<Record<string, string>>) => number | undefined;
}

const SAMPLE = /^([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)$/;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
};

export function parseExposition(body: string, format: 'text' | 'openmetrics'): Exposition {
  const lines = body.split('\n');
  if (lines.pop() !== '') throw new Error('the last line has no line break');
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('no # EOF at the end');
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of lines) {
    if (line === '' && format === 'text') continue;
    const declaration = /^# (HELP|TYPE) ([a-z_][a-z0-9_]*) (.+)$/.exec(line);
    if (declaration === null) samples.push(parseSample(line, types, format));
    else if (declaration[1] === 'TYPE') declare(types, String(declaration[2]), String(declaration[3]));
  }
  refuseDuplicates(samples);
  return {
    samples,
    types,
    value: (name, labels = {}) => samples.find((sample) => keyOf(sample) === keyOf({ name, labels }))?.value,
  };
}

function declare(types: Map<string, string>, name: string, type: string): void {
  if (types.has(name)) throw new Error(`${name} is declared twice`);
  types.set(name, type);
}

function parseSample(line: string, types: ReadonlyMap<string, string>, format: string): Sample {
  const match = SAMPLE.exec(line);
  if (match === null) throw new Error(`not a sample: ${line}`);
  const [, name = '', labelText = '', number = ''] = match;
  const counterSuffix = format === 'openmetrics' ? '_total' : '';
  const isDeclared = [...types].some(([declared, type]) =>
    (SUFFIXES[type] ?? [counterSuffix]).some((suffix) => declared + suffix === name),
  );
  if (!isDeclared) throw new Error(`${name} is not declared before its sample`);
  const labels = [...labelText.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map((pair) => [pair[1], pair[2]]);
  const value = number === '+Inf' ? Infinity : Number(number);
  if (Number.isNaN(value) && number !== 'NaN') throw new Error(`not a number: ${line}`);
  return { name, labels: Object.fromEntries(labels) as Record<string, string>, value };
}

function refuseDuplicates(samples: readonly Sample[]): void {
  const keys = samples.map(keyOf);
  if (new Set(keys).size !== keys.length) throw new Error('a series occurs twice');
}

function keyOf({ name, labels }: Pick<Sample, 'name' | 'labels'>): string {
  return `${name} ${JSON.stringify(labels, Object.keys(labels).sort())}`;
}
