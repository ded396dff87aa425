import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_CAUSES, REQUEST_REFUSALS, UPGRADE_FAILURES } from '../../src/core/events.ts';

test('causes, failures and refusals are distinct words that a metric label can hold', () => {
  for (const words of [CLOSE_CAUSES, UPGRADE_FAILURES, REQUEST_REFUSALS]) {
    assert.equal(new Set<string>(words).size, words.length);
    for (const word of words) assert.match(word, /^[a-z_]+$/);
  }
});
