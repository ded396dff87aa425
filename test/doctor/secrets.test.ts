import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSecrets, showUrl } from '../../src/doctor/secrets.ts';

const url = new URL('wss://ann%20b:p%40ss@neko.example.com/ws?password=h%75nter2+x&username=ann&n=1');
const { hide } = createSecrets(url, {
  Authorization: 'Bearer abc.def',
  Cookie: 'session=s3cret; theme=dark',
  Origin: 'https://neko.example.com',
});

test('the URL is shown without user, password and values', () => {
  assert.equal(showUrl(url), 'wss://neko.example.com/ws?password=[redacted]&username=[redacted]&n=[redacted]');
});

test('values are hidden however a server spells them', () => {
  const basic = Buffer.from('ann b:p@ss').toString('base64');
  for (const spelling of ['h%75nter2+x', 'hunter2 x', 'hunter2%20x', 'hunter2+x', 'p@ss', 'p%40ss', basic, 's3cret'])
    assert.equal(hide(`<${spelling}>`), '<[redacted]>', spelling);
  assert.equal(hide('token abc.def'), 'token [redacted]');
});

test('what only looks like a secret is hidden as well, and the rest stays', () => {
  assert.equal(hide('see /x?token=other now'), 'see /x?token=[redacted] now');
  assert.equal(hide('nginx/1.26 (a 1)'), 'nginx/1.26 (a 1)');
});

test('headers that are no secrets stay', () => {
  assert.equal(hide('not from https://neko.example.com'), 'not from https://neko.example.com');
});

test('text is cut and put on one line', () => {
  assert.equal(hide(' a\r\n\tb\u001B[31m'), 'a b\\u{1b}[31m');
  assert.equal(hide('x'.repeat(300)).length, 201);
});
