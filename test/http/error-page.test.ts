import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorResponse, renderRawResponse } from '../../src/http/error-page.ts';
import { valuesOf } from '../../src/http/headers.ts';

const BROWSER = 'text/html,application/xhtml+xml,*/*;q=0.8';

test('a client that does not ask for HTML gets plain text', () => {
  for (const accept of [undefined, '*/*', 'application/json']) {
    const { headers, body } = errorResponse(502, accept);
    assert.deepEqual(valuesOf(headers, 'content-type'), ['text/plain; charset=utf-8']);
    assert.equal(body.toString(), '502 Bad Gateway\nThe server behind this address could not be reached.\n');
  }
});

test('a browser gets a page that says what could not be reached', () => {
  const { status, headers, body } = errorResponse(502, BROWSER);
  assert.equal(status, 502);
  assert.deepEqual(valuesOf(headers, 'content-type'), ['text/html; charset=utf-8']);
  assert.match(body.toString(), /^<!doctype html>/);
  assert.match(body.toString(), /<h1>The server behind this address could not be reached\.<\/h1>/);
});

test('pages of conditions that pass try again by themselves, others do not', () => {
  for (const status of [502, 503, 504]) {
    assert.match(errorResponse(status, BROWSER).body.toString(), /<meta http-equiv="refresh" content="5">/);
  }
  for (const status of [400, 404, 426, 431])
    assert.doesNotMatch(errorResponse(status, BROWSER).body.toString(), /refresh/);
});

test('a page suits light and dark, loads nothing and says so', () => {
  const { headers, body } = errorResponse(502, BROWSER);
  assert.match(body.toString(), /color-scheme:light dark/);
  assert.doesNotMatch(body.toString(), /src=|href=|url\(|https?:/);
  assert.deepEqual(valuesOf(headers, 'content-security-policy'), ["default-src 'none'; style-src 'unsafe-inline'"]);
});

test('no answer is stored, and its length is that of its bytes', () => {
  const { headers, body } = errorResponse(404, undefined, 'Zimmer für Gäste');
  assert.deepEqual(valuesOf(headers, 'cache-control'), ['no-store']);
  assert.deepEqual(valuesOf(headers, 'content-length'), [String(body.length)]);
});

test('a detail takes the place of the standard sentence and cannot bring markup', () => {
  assert.match(errorResponse(400, undefined, 'No <b>key</b>.').body.toString(), /\nNo <b>key<\/b>\.\n$/);
  assert.match(errorResponse(400, BROWSER, 'No <b>"&').body.toString(), /<h1>No &#60;b&#62;&#34;&#38;<\/h1>/);
});

test('every status has words, unusual ones too', () => {
  for (const status of [400, 403, 404, 408, 426, 431, 500, 502, 503, 504, 418, 599]) {
    assert.match(errorResponse(status, undefined).body.toString(), new RegExp(`^${status}.*\\n[A-Z].+\\.\\n$`));
  }
});

test('extra headers stand behind the others', () => {
  assert.deepEqual(errorResponse(503, undefined, undefined, { 'Retry-After': '5' }).headers.slice(-2), [
    'Retry-After',
    '5',
  ]);
});

test('a raw response is a whole message that ends the connection', () => {
  const raw = renderRawResponse(426, undefined, undefined, { 'Sec-WebSocket-Version': '13' }).toString('latin1');
  const [head = '', body = ''] = raw.split('\r\n\r\n');
  const date = /^Date: .* GMT$/m;
  assert.match(head, date);
  assert.deepEqual(head.replace(date, 'Date: now').split('\r\n'), [
    'HTTP/1.1 426 Upgrade Required',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${body.length}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Sec-WebSocket-Version: 13',
    'Date: now',
    'Connection: close',
  ]);
  assert.equal(body, '426 Upgrade Required\nThis address speaks WebSocket only.\n');
});
