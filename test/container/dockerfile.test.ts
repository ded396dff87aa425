/** Rules that a Dockerfile linter would check, and those of this project. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Instruction, parseDockerfile, parseDockerignore } from '../support/container-steps.ts';

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const all = parseDockerfile(read('Dockerfile'));
const last = all.slice(all.findLastIndex(({ keyword }) => keyword === 'FROM'));

const texts = (instructions: readonly Instruction[], keyword: string): string[] =>
  instructions.filter((each) => each.keyword === keyword).map(({ text }) => text);

test('every stage starts from the slim image of one major version of Node', () => {
  assert.deepEqual(texts(all, 'ARG').slice(0, 2), ['NODE_MAJOR=24', 'BUILDPLATFORM=linux']);
  assert.deepEqual(texts(all, 'FROM'), [
    `--platform=$BUILDPLATFORM node:\${NODE_MAJOR}-slim AS build`,
    `node:\${NODE_MAJOR}-slim`,
  ]);
});

test('it needs no syntax but that of every builder', () => {
  assert.doesNotMatch(read('Dockerfile'), /^# syntax=|--mount=|--link|<</m);
});

test('the memory of the container is shared out, and freed memory is kept for the next piece', () => {
  const env = new Map(texts(last, 'ENV').map((text) => text.split(/=(.*)/s) as [string, string]));
  assert.equal(env.get('NODE_OPTIONS'), '"--max-old-space-size-percentage=50 --max-semi-space-size=4"');
  assert.equal(env.get('MALLOC_ARENA_MAX'), '1');
  // The most that glibc takes for this one, on 64-bit machines.
  assert.equal(env.get('MALLOC_MMAP_THRESHOLD_'), String(32 * 1024 * 1024));
  // More than one collection of garbage gives back at a time.
  assert.equal(env.get('MALLOC_TRIM_THRESHOLD_'), String(64 * 1024 * 1024));
});

test('the last stage runs nothing while it is built, so it needs no network and no shell', () => {
  assert.deepEqual(texts(last, 'RUN'), []);
});

test('it is run by a user that is a number and not root', () => {
  const [user = '', ...more] = texts(last, 'USER');
  assert.match(user, /^[1-9]\d*:[1-9]\d*$/);
  assert.deepEqual(more, []);
});

test('folders are absolute, and what is started is a list', () => {
  for (const folder of texts(all, 'WORKDIR')) assert.match(folder, /^\//);
  assert.match(texts(last, 'ENTRYPOINT').join(), /^\["node", .*\]$/);
  assert.match(texts(last, 'HEALTHCHECK').join(), / CMD \["node", .*"healthcheck"\]$/);
  assert.deepEqual(texts(last, 'STOPSIGNAL'), ['SIGTERM']);
  assert.deepEqual(texts(last, 'EXPOSE'), ['8080']);
});

test('files come by COPY, and only those that .dockerignore lets through', () => {
  const allowed = parseDockerignore(read('.dockerignore'));
  const sources = texts(all, 'COPY')
    .filter((text) => !text.startsWith('--from='))
    .flatMap((text) => text.split(' ').slice(0, -1));
  const named = [...allowed].map((name) => (name.startsWith('.git') ? '.git*' : name));
  assert.deepEqual(new Set(sources), new Set(named));
  assert.deepEqual(texts(all, 'ADD'), []);
});
