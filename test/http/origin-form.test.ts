import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originForm } from '../../src/http/route.ts';

test('a path stays byte for byte', () => {
  for (const path of [
    '/',
    '/%2e%2e/x',
    '/a\\b',
    '//x',
    '/a/../b',
    '/a?',
    '/a??b=c&&',
    '/?',
    '/ä',
    '/a#b',
    '/a?x=http://h/',
  ]) {
    assert.equal(originForm(path, 'GET'), path);
  }
});

test('an absolute form loses its scheme and authority, and nothing else', () => {
  assert.equal(originForm('http://evil.example/%2e%2e/x?y', 'GET'), '/%2e%2e/x?y');
  assert.equal(originForm('HTTPS://user@evil.example:1//x', 'GET'), '//x');
  assert.equal(originForm('ws://evil.example/ws', 'GET'), '/ws');
  assert.equal(originForm('http://evil.example', 'GET'), '/');
  assert.equal(originForm('http://evil.example?q', 'GET'), '/?q');
});

test('OPTIONS can ask about the server itself', () => {
  assert.equal(originForm('*', 'OPTIONS'), '*');
  assert.equal(originForm('http://evil.example', 'OPTIONS'), '*');
  assert.equal(originForm('*', 'GET'), null);
});

test('a target that names no path on this server is refused', () => {
  for (const target of [
    '',
    'x',
    'evil.example:443',
    'ftp://h/x',
    'http:///x',
    'http:x',
    '/a b',
    '/a\tb',
    '/a\x7f',
    '/\u0100',
  ]) {
    assert.equal(originForm(target, 'GET'), null, JSON.stringify(target));
  }
});
