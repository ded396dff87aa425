import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ConfigError } from '../../src/config/errors.ts';
import { type LoadOptions } from '../../src/config/load.ts';
import { renderConfig } from '../../src/config/effective.ts';
import { valuePaths } from '../../src/config/schema.ts';
import { variableOf } from '../../src/config/overrides.ts';
import { load } from './files.ts';

const keys = [...new Set(valuePaths().flat()), 'routes', 'name', 'host', 'path', '__proto__', 'constructor', '<<'];
const scalar = fc.oneof(
  fc.string(),
  fc.constantFrom(
    '10s',
    'off',
    'auto',
    '16KiB',
    'http://neko',
    'unix:/a',
    '0.0.0.0:80',
    '[::]:80',
    '*.a',
    '/a/',
    '!!set',
    '&a',
    '*a',
    '~',
    'true',
  ),
  fc.double().map(String),
);
const fragment = fc.oneof(
  scalar,
  fc.constantFrom(
    ...keys.map((key) => `${key}: `),
    '\n',
    '\n  ',
    '\n    ',
    '- ',
    '[',
    ']',
    '{',
    '}',
    ', ',
    '"',
    "'",
    '|',
    '\t',
    '---',
    '%YAML 1.1',
    '#',
  ),
);
const garbage = fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join(''));

const leaf = fc.oneof(scalar, fc.integer(), fc.boolean(), fc.constant(null), fc.array(scalar, { maxLength: 3 }));
const tree = fc.dictionary(
  fc.constantFrom(...keys),
  fc.oneof(
    leaf,
    fc.dictionary(fc.constantFrom(...keys), leaf),
    fc.array(fc.dictionary(fc.constantFrom(...keys), leaf), { maxLength: 3 }),
  ),
);
const environment = fc.dictionary(
  fc.oneof(
    fc.constantFrom(...valuePaths().map(variableOf)),
    fc.string().map((name) => `WSKP_${name}`),
  ),
  scalar,
  { maxKeys: 4 },
);

/** Loading either succeeds, and then what it printed loads to the same, or it tells what is wrong. */
function loadsOrExplains(text: string, options: LoadOptions): void {
  try {
    const { settings, config } = load(text, options);
    assert.deepEqual(load(renderConfig(config), { needsUpstream: false }).settings, settings);
  } catch (error) {
    assert.ok(error instanceof ConfigError, error instanceof Error ? error.stack : String(error));
    assert.ok(error.problems.length > 0);
    for (const { line, col, message } of error.problems) {
      assert.ok(message !== '');
      assert.ok(
        line === null || (line >= 1 && line <= text.split('\n').length + 1 && col !== null && col >= 1),
        message,
      );
    }
  }
}

test('no text, environment or flag makes loading throw anything but a ConfigError', () => {
  fc.assert(
    fc.property(garbage, environment, fc.option(scalar, { nil: undefined }), (text, env, upstream) => {
      loadsOrExplains(text, { env, flags: { upstream } });
    }),
    { numRuns: 500 },
  );
});

test('no tree of known keys makes loading throw anything but a ConfigError', () => {
  fc.assert(
    fc.property(tree, (value) => loadsOrExplains(JSON.stringify(value), { needsUpstream: false })),
    { numRuns: 500 },
  );
});
