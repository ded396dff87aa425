import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { describeBuild, readBuild } from '../../src/version.ts';

test('the version is that of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  assert.equal(readBuild().version, version);
});

test('sources that were not built know no commit', () => {
  assert.equal(readBuild().commit, '');
});

test('the commit stands behind the version when it is known', () => {
  assert.equal(describeBuild({ version: '0.1.0', commit: '1a2b3c' }), '0.1.0 (1a2b3c)');
  assert.equal(describeBuild({ version: '0.1.0', commit: '' }), '0.1.0');
});
