import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isSecretName, printable, redactTarget, redactText } from '../../src/http/redact.ts';

const cases: readonly (readonly [what: string, target: string, redact: string, keep: string])[] = [
  ['a target without a query', '/ws', '/ws', '/ws'],
  [
    'the login of legacy mode',
    '/ws?password=p&username=u',
    '/ws?password=[redacted]&username=[redacted]',
    '/ws?password=[redacted]&username=[redacted]',
  ],
  [
    'the login in query form',
    '/stats?usr=u&pwd=p',
    '/stats?usr=[redacted]&pwd=[redacted]',
    '/stats?usr=[redacted]&pwd=[redacted]',
  ],
  ['a harmless parameter', '/ws?room=blue', '/ws?room=[redacted]', '/ws?room=blue'],
  [
    'a repeated parameter',
    '/ws?token=a&token=b',
    '/ws?token=[redacted]&token=[redacted]',
    '/ws?token=[redacted]&token=[redacted]',
  ],
  ['another case', '/ws?PassWord=p', '/ws?PassWord=[redacted]', '/ws?PassWord=[redacted]'],
  ['a percent-encoded name', '/ws?p%61ssword=p', '/ws?p%61ssword=[redacted]', '/ws?p%61ssword=[redacted]'],
  ['a doubly encoded name', '/ws?p%2561ssword=p', '/ws?p%2561ssword=[redacted]', '/ws?p%2561ssword=[redacted]'],
  [
    'a semicolon between pairs',
    '/ws?room=1;token=t',
    '/ws?room=[redacted];token=[redacted]',
    '/ws?room=1;token=[redacted]',
  ],
  [
    'a semicolon inside a secret',
    '/ws?pwd=a;b=c;d&room=1',
    '/ws?pwd=[redacted]&room=[redacted]',
    '/ws?pwd=[redacted]&room=1',
  ],
  ['a name without a value', '/ws?debug', '/ws?[redacted]', '/ws?debug'],
  ['empty parts', '/ws?&&a=1&', '/ws?&&a=[redacted]&', '/ws?&&a=1&'],
  ['an equals sign in a value', '/ws?sig=a=b==', '/ws?sig=[redacted]', '/ws?sig=[redacted]'],
  ['a question mark in a value', '/ws?a=1?token=t', '/ws?a=[redacted]', '/ws?a=1?token=[redacted]'],
  ['a broken escape', '/ws?a%=%zz&p%61%ss=1', '/ws?a%=[redacted]&p%61%ss=[redacted]', '/ws?a%=%zz&p%61%ss=[redacted]'],
  ['user information', 'http://joe:pw@h/ws?a=1', 'http://[redacted]@h/ws?a=[redacted]', 'http://[redacted]@h/ws?a=1'],
  ['an @ that is not user information', '/ws/@joe', '/ws/@joe', '/ws/@joe'],
  ['a fragment', '/ws#access_token=t', '/ws#[redacted]', '/ws#[redacted]'],
  ['a link in a value', '/ws?to=/x%3Ftoken%3Dt', '/ws?to=[redacted]', '/ws?to=/x%3Ftoken%3D[redacted]'],
  ['an encoded question mark', '/ws%3Fpassword=p', '/ws%3Fpassword=[redacted]', '/ws%3Fpassword=[redacted]'],
  ['a forgotten question mark', '/ws&password=p', '/ws&password=[redacted]', '/ws&password=[redacted]'],
  ['a line break', '/a\r\n{"level":"info"}', '/a\\u{d}\\u{a}{"level":"info"}', '/a\\u{d}\\u{a}{"level":"info"}'],
  ['nothing', '', '', ''],
];

for (const [what, target, redacted, kept] of cases) {
  test(`a target with ${what} shows nothing secret`, () => {
    assert.equal(redactTarget(target, 'redact'), redacted);
    assert.equal(redactTarget(target, 'keep'), kept);
  });
}

test('the names known for secrets are found in every spelling', () => {
  const names =
    'password username usr pwd token access_token id_token auth key api_key apikey sig signature secret session jwt code credential credentials X-Amz-Signature X-Amz-Credential accessToken client-secret';
  for (const name of names.split(' ')) assert.equal(isSecretName(name), true, name);
  for (const name of ['room', 'page', 'quality', 'id', 'v', '']) assert.equal(isSecretName(name), false, name);
});

test('a very long target is cut', () => {
  const shown = redactTarget(`/${'a'.repeat(100_000)}?password=p`, 'keep');
  assert.equal(shown.length, 513);
  assert.ok(shown.endsWith('…'));
});

test('no target of any kind shows the value of a secret, or throws', () => {
  const secret = 'hunter2';
  const names = fc.constantFrom('password', 'p%61ssword', 'TOKEN', 'x-amz-signature', 'pwd', 'api_key');
  const before = fc.constantFrom('/ws?', '/ws?a=1&', '/ws?a=1;', '/ws?%zz&', 'http://u:hunter2@h/?', '/?#', '/a%3f');
  const after = fc.string({ unit: 'binary', maxLength: 20 });
  fc.assert(
    fc.property(before, names, after, fc.constantFrom('redact' as const, 'keep' as const), (start, name, end, mode) => {
      const shown = redactTarget(`${start}${name}=${secret}${end}`, mode);
      assert.ok(!shown.includes(secret), shown);
      assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Cs}]/u);
    }),
  );
});

test('free text hides the query values in it and keeps its words', () => {
  assert.equal(
    redactText('GET /ws?password=p&room=1 failed: a=b', 'redact'),
    'GET /ws?password=[redacted]&room=[redacted] failed: a=b',
  );
  assert.equal(redactText('GET /ws?password=p&room=1 failed', 'keep'), 'GET /ws?password=[redacted]&room=1 failed');
  assert.equal(redactText('token=t', 'redact'), 'token=[redacted]');
  assert.equal(redactText('retries=3', 'redact'), 'retries=3');
});

test('printable text is one line, bounded, and leaves ordinary letters alone', () => {
  assert.equal(printable('Grüße, 世界', 20), 'Grüße, 世界');
  assert.equal(
    printable('a\nb\u{1b}[31m\u{2028}\u{202e}\u{d800}', 99),
    'a\\u{a}b\\u{1b}[31m\\u{2028}\\u{202e}\\u{d800}',
  );
  assert.equal(printable('abcdef', 3), 'abc…');
  assert.equal(printable('abc', 3), 'abc');
});
