import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, nearest } from '../../src/config/nearest.ts';

const KEYS = ['ping_interval', 'pong_timeout', 'mode'];

test('the nearest word is found across slips of a few letters', () => {
  assert.equal(nearest('ping_intervall', KEYS), 'ping_interval');
  assert.equal(nearest('pingInterval', KEYS), 'ping_interval');
  assert.equal(nearest('pong_timeouts_ms', KEYS), 'pong_timeout');
  assert.equal(nearest('MODE', KEYS), 'mode');
});

test('of several near words the nearest is taken, wherever it stands', () => {
  assert.equal(nearest('listem', ['listed', 'listen', 'system']), 'listed');
  assert.equal(nearest('listeen', ['listed', 'listen', 'lists']), 'listen');
});

test('a word that is near to none gives no guess', () => {
  assert.equal(nearest('xy', ['ab', 'mode']), null);
  assert.equal(nearest('timeout', KEYS), null);
  assert.equal(nearest('', KEYS), null);
});

test('a guess is told, and none is not', () => {
  assert.equal(didYouMean('mode'), '; did you mean mode?');
  assert.equal(didYouMean(null), '');
});
