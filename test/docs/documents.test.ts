/** Every command, configuration, link and key in the documents is one that the program and the project know. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { parseArguments } from '../../src/command-line/arguments.ts';
import { loadSettings } from '../../src/config/load.ts';
import { valuePaths } from '../../src/config/schema.ts';
import { load } from '../config/files.ts';
import { blocksOf, codeIn, commandsOf, DOCUMENTS, PROJECT, readDocument } from '../support/documents.ts';
import { requireProgram, skipWithout } from '../support/requirements.ts';
import { IMAGES, PICTURES } from '../support/screenshots.ts';

/** Bytes: they are loaded with the first page that anybody sees. */
const LARGEST_PICTURE = 150_000;
const MANIFEST = JSON.parse(readDocument('package.json')) as { scripts: Record<string, string> };
const ADMIN_PAGE = /^curl -s http:\/\/127\.0\.0\.1:9090(\/|\/status|\/metrics|\/healthz|\/readyz)$/;

/** How each kind of command is checked; one of another kind has to find its place here first. */
const COMMANDS: readonly (readonly [RegExp, (rest: string) => void])[] = [
  [/^(?:node dist\/main\.js|(?:npx )?ws-keepalive-proxy)(.*)$/, (rest) => void parseArguments(words(rest))],
  [/^npm ci$/, () => undefined],
  [/^npm test(?: -- (\S+))?$/, (file) => assert.ok(file === '' || existsSync(join(PROJECT, file)), file)],
  [/^npm run (\w+)/, (script) => assert.ok(script in MANIFEST.scripts, script)],
  [/^node --import tsx (\S+)/, (file) => assert.ok(existsSync(join(PROJECT, file)), file)],
  [/^(\.ci\/run)$/, (file) => assert.ok(existsSync(join(PROJECT, file)))],
  [ADMIN_PAGE, () => undefined],
  [
    /^systemctl reload (ws-keepalive-proxy)$/,
    (unit) => assert.ok(existsSync(`${PROJECT}examples/systemd/${unit}.service`)),
  ],
  [/^docker build -t ws-keepalive-proxy (\.)$/, () => assert.ok(existsSync(join(PROJECT, 'Dockerfile')))],
  [/^docker run (.*)$/, checkContainer],
];

/** As a shell has them, as far as single quotes go. */
function words(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

function checkContainer(rest: string): void {
  const [, options = '', flags = ''] =
    /^(.*) (?:ghcr\.io\/ws-keepalive-proxy\/)?ws-keepalive-proxy(.*)$/.exec(rest) ?? assert.fail(rest);
  parseArguments(words(flags));
  const env = Object.fromEntries([...options.matchAll(/-e (\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
  assert.deepEqual(
    loadSettings({ env: env as NodeJS.ProcessEnv, cwd: '/nowhere', needsUpstream: !flags.includes('--demo') }).warnings,
    [],
  );
  for (const option of words(options))
    if (option.startsWith('-')) assert.match(option, /^(?:--rm|--read-only|--memory|-p|-e)$/);
}

function checkCommand(line: string): void {
  for (const [pattern, check] of COMMANDS) {
    const match = pattern.exec(line);
    if (match !== null) return check(match[1] ?? '');
  }
  assert.fail(`nobody knows how to check: ${line}`);
}

for (const path of DOCUMENTS) {
  const text = readDocument(path);

  test(`${path}: every command is one that works`, () => {
    for (const line of commandsOf(text)) for (const command of line.split(' && ')) checkCommand(command);
    for (const command of codeIn(text).filter((code) => /^(?:npm|node dist\/main\.js) /.test(code)))
      for (const part of command.split(' && ')) checkCommand(part);
  });

  test(`${path}: every configuration is valid and gives no cause for warnings`, () => {
    for (const block of blocksOf(text).filter(({ language }) => language === 'yaml')) {
      const isCompose = (parse(block.text) as Record<string, unknown>)['services'] !== undefined;
      if (!isCompose) assert.deepEqual(load(block.text).warnings, []);
    }
  });

  test(`${path}: every link leads to a file, and to a heading where it names one`, () => {
    for (const [, target = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
      const [, file = '', heading] = /^([^#]*)(?:#(.*))?$/.exec(target) ?? [];
      if (/^https?:/.test(target)) continue;
      const whole = file === '' ? path : join(dirname(path), file);
      assert.ok(existsSync(join(PROJECT, whole)), target);
      const anchors = heading === undefined ? [] : headings(readDocument(whole));
      assert.ok(heading === undefined || anchors.includes(heading), target);
    }
  });

  test(`${path}: every key of the configuration that it names exists`, () => {
    const keys = new Set(valuePaths().map((key) => key.join('.')));
    const sections = new Set([...keys].filter((key) => key.includes('.')).map((key) => key.split('.')[0] ?? ''));
    for (const code of codeIn(text)) {
      const [, key = '', section = ''] = /^((\w+)\.[a-z_]+)(?::.*)?$/.exec(code) ?? [];
      if (sections.has(section)) assert.ok(keys.has(key), code);
      const [name] = /^WSKP_[A-Z_]+/.exec(code) ?? [];
      const variables = valuePaths().map((each) => `WSKP_${each.join('_').toUpperCase()}`);
      if (name !== undefined) assert.ok(variables.includes(name) || name === 'WSKP_CONFIG', code);
    }
  });
}

/** As they are written in links. */
function headings(document: string): string[] {
  return [...document.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test('every shell line is one that shellcheck has nothing to say about', { skip: skipWithout('shellcheck') }, () => {
  for (const path of DOCUMENTS) {
    const input = commandsOf(readDocument(path)).join('\n');
    if (input === '') continue;
    const { stdout } = spawnSync(requireProgram('shellcheck'), ['--shell=sh', '-'], { input, encoding: 'utf8' });
    assert.equal(stdout, '', path);
  }
});

test('both READMEs have the same commands and configurations, and the same keys with the same defaults', () => {
  const bare = (path: string): string[] =>
    blocksOf(readDocument(path)).map(({ language, text }) => `${language}\n${text.replaceAll(/\s+# .*$/gm, '')}`);
  assert.deepEqual(bare('README.zh.md'), bare('README.md'));
  const keys = (path: string): string[] =>
    [...readDocument(path).matchAll(/^\| (`[a-z_.]+` \| .*?) ?\|/gm)].map(([, row = '']) => row);
  assert.ok(keys('README.md').length > 20);
  assert.deepEqual(keys('README.zh.md'), keys('README.md'));
});

test('the pictures are there, small enough, and all of them are shown', () => {
  assert.deepEqual(readdirSync(IMAGES).toSorted(), PICTURES.map((name) => `${name}.png`).toSorted());
  for (const name of PICTURES) {
    assert.ok(statSync(join(IMAGES, `${name}.png`)).size < LARGEST_PICTURE, name);
    for (const path of ['README.md', 'README.zh.md'])
      assert.ok(readDocument(path).includes(`(docs/images/${name}.png)`), `${path}: ${name}`);
  }
});
