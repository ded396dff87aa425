import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { defaultAt, schemaAt, valuePaths } from '../../src/config/schema.ts';
import { load } from './files.ts';

const EXAMPLE = readFileSync(new URL('../../config.example.yaml', import.meta.url), 'utf8');
/** `#key: value` is a key that is not in force; prose has a space after the `#`. */
const DISABLED = /^( *)#(?! \S)(?=(?: *(?:- )?)[a-z_]+:(?: |$))/gm;
const ENABLED = EXAMPLE.replaceAll(/^#(?= {2})/gm, '').replaceAll(DISABLED, '$1');

const valueIn = (tree: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((here, key) => (here as Record<string, unknown> | undefined)?.[key], tree);

test('the example loads as it is, and means the defaults', () => {
  const { settings, warnings } = load(EXAMPLE);
  assert.deepEqual(settings, load('upstream: http://neko:8080').settings);
  assert.deepEqual(warnings, []);
});

test('the example shows every key with its default', () => {
  const shown: unknown = parse(ENABLED);
  for (const path of valuePaths()) {
    const value = valueIn(shown, path);
    assert.notEqual(value, undefined, `${path.join('.')} is not in the example`);
    const type = schemaAt(path) ?? assert.fail();
    const fallback = defaultAt(path);
    if (fallback !== undefined) assert.deepEqual(z.parse(type, value), z.parse(type, fallback), path.join('.'));
  }
});

test('its route is one that works', () => {
  const { routes } = parse(ENABLED) as { routes: Record<string, unknown>[] };
  assert.equal(load(JSON.stringify({ routes })).settings.routes[0]?.keepalive.client.interval, 5000);
});
