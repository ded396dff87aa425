import assert from 'node:assert/strict';
import test from 'node:test';
import { LOG_LEVELS, PING_MODES, QUERY_LOGGING } from '../../src/core/settings.ts';

test('words that a configuration may hold', () => {
  assert.deepEqual(PING_MODES, ['idle', 'always']);
  assert.deepEqual(QUERY_LOGGING, ['redact', 'keep']);
  assert.deepEqual(LOG_LEVELS, ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']);
});
