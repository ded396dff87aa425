/** `config.example.yaml` and the READMEs' tables of keys, written from `src/config/keys.ts`. */
import { stringify } from 'yaml';
import { defaultAt, infoAt, keysAt, sectionAt, valuePaths } from '../../src/config/schema.ts';

const WIDTH = 118;
const HEAD = `# ws-keepalive-proxy: every key with its default. Only \`upstream\` has to be given.
# Durations carry a unit (500ms, 10s, 1m, 2h), sizes too (512B, 16KiB, 1MiB). Lines that start with # are not in force.
# Each key is also an environment variable: keepalive.ping_interval is WSKP_KEEPALIVE_PING_INTERVAL.
# Editors with a YAML language server complete and check it by config.schema.json, which the package has beside it.
# Test this file with: ws-keepalive-proxy check --config config.example.yaml
# yaml-language-server: $schema=./config.schema.json
`;
const NEEDS_RESTART = 'A change needs a restart.';

/** All of `config.example.yaml`. */
export function exampleFile(): string {
  return `${HEAD}\n${keysAt([]).map(block).join('\n\n')}\n`;
}

function block(key: string): string {
  const section = sectionAt([key]);
  if (section === undefined) return valueLines([key]).join('\n');
  const inside = key === 'routes' ? routeLines() : keysAt([key]).flatMap((name) => valueLines([key, name]));
  return [...comment(section.about), key === 'routes' ? '#routes:' : `${key}:`, ...inside].join('\n');
}

function valueLines(path: readonly string[]): string[] {
  const { about = '', restart, sample } = infoAt(path) ?? {};
  const lines = comment(restart === true ? `${about} ${NEEDS_RESTART}` : about);
  lines.push(`${path.at(-1)}: ${flow(defaultAt(path) ?? sample)}`);
  return lines.map((line) => '  '.repeat(path.length - 1) + line);
}

/** A route with everything a route can say, not in force. */
function routeLines(): string[] {
  return keysAt(['routes', 0]).map((key, index) => {
    const { about, sample } = infoAt(['routes', 0, key]) ?? sectionAt(['routes', 0, key]) ?? {};
    return `${`#  ${index === 0 ? '-' : ' '} ${key}: ${flow(sample)}`.padEnd(44)}# ${about}`;
  });
}

/** A value as it stands behind its key. */
function flow(value: unknown): string {
  return stringify(value, {
    collectionStyle: 'flow',
    flowCollectionPadding: !Array.isArray(value),
  }).trim();
}

function comment(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > WIDTH) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}

/**
 * The table of keys in the language of `current`: its heading and the words of rows that exist stay, unless they are
 * English, which come from the code.
 */
export function keyTable(current: string): string {
  const [heading = '', line = '', ...rows] = current.trim().split('\n');
  const isEnglish = heading.includes('Meaning');
  const words = new Map(rows.map((row) => row.split(' | ')).map(([key = '', , ...text]) => [key, text.join(' | ')]));
  const keys = [...valuePaths(), ['routes']].toSorted((one, other) => place(one) - place(other));
  const wanted = keys.map((path) => {
    const key = `| \`${path.join('.')}\``;
    const value = defaultAt(path);
    const shown = value === undefined || key.includes('routes') ? '' : `\`${flow(value)}\``;
    return `${key} | ${shown} | ${isEnglish ? `${meaning(path)} |` : (words.get(key) ?? '|')}`;
  });
  return [heading, line, ...wanted].join('\n');
}

function place([key = '']: readonly string[]): number {
  return keysAt([]).indexOf(key);
}

/** The first sentence; the others are in the example. */
function meaning(path: readonly string[]): string {
  const about = (infoAt(path) ?? sectionAt(path))?.about ?? '';
  return about.replace(/(?<=[^.]{3})\.(?: .*)?$/s, '').replaceAll('|', '\\|');
}
