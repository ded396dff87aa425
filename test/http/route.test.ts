import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originAllowed, originForm, selectRoute } from '../../src/http/route.ts';
import type { Route } from '../../src/core/settings.ts';
import { routeTo } from '../support/routes.ts';

function route(name: string, host: string | null, path: string | null): Route {
  const upstream = { address: { kind: 'tcp', host: '127.0.0.1', port: 1 }, tls: false, url: `http://${name}` } as const;
  return { ...routeTo(upstream, name, { path }), host };
}

const ROUTES: readonly Route[] = [
  route('alpha', 'rooms.example.com', '/room/alpha'),
  route('rooms', 'rooms.example.com', null),
  route('below', '*.example.com', null),
  route('beta', null, '/room/beta'),
  route('six', '[::1]', null),
];

for (const [host, target, name] of [
  ['rooms.example.com', '/room/alpha', 'alpha'],
  ['rooms.example.com', '/room/alpha/', 'alpha'],
  ['rooms.example.com', '/room/alpha/ws?x=/room/beta', 'alpha'],
  ['rooms.example.com', '/room/alpha?x', 'alpha'],
  ['ROOMS.Example.Com:8443', '/room/alpha', 'alpha'],
  ['rooms.example.com.', '/room/alpha', 'alpha'],
  ['rooms.example.com.:80', '/room/alpha', 'alpha'],
  ['rooms.example.com', '/room/alphabet', 'rooms'],
  ['rooms.example.com', '/room/ALPHA', 'rooms'],
  ['rooms.example.com', '/room/%61lpha', 'rooms'],
  ['rooms.example.com', '/room%2Falpha', 'rooms'],
  ['rooms.example.com', '/x/../room/alpha', 'rooms'],
  ['rooms.example.com', '//room/alpha', 'rooms'],
  ['rooms.example.com', '/?/room/alpha', 'rooms'],
  ['a.example.com', '/', 'below'],
  ['a.b.example.com', '/', 'below'],
  ['example.com', '/', null],
  ['.example.com', '/', null],
  ['notexample.com', '/', null],
  ['rooms.example.com.evil.net', '/', null],
  ['other.net', '/room/beta', 'beta'],
  ['other.net', '/room/beta/../alpha', 'beta'],
  ['[::1]:8080', '/', 'six'],
  ['', '/room/beta', 'beta'],
  ['', '/', null],
  [undefined, '/room/beta', 'beta'],
  [undefined, '/', null],
] as const) {
  test(`Host ${host} with target ${target} goes to ${name ?? 'no route'}`, () => {
    assert.equal(selectRoute(ROUTES, host, target)?.name ?? null, name);
  });
}

test('the first route that fits wins', () => {
  assert.equal(selectRoute([route('first', null, null), ...ROUTES], 'rooms.example.com', '/')?.name, 'first');
});

for (const [target, reduced] of [
  ['/ws?a=b', '/ws?a=b'],
  ['//evil.net/x', '//evil.net/x'],
  ['/a\\b/%0d%0a/../x', '/a\\b/%0d%0a/../x'],
  ['/caf\xe9', '/caf\xe9'],
  ['http://evil.net/ws?a', '/ws?a'],
  ['HTTPS://user@evil.net:1/ws', '/ws'],
  ['ws://evil.net', '/'],
  ['wss://evil.net?a', '/?a'],
  ['http:///ws', null],
  ['ftp://evil.net/ws', null],
  ['evil.net:443', null],
  ['*', null],
  ['', null],
  ['/a\tb', null],
  ['/a b', null],
  ['/a\r\nb', null],
  ['/a\x7f', null],
] as const) {
  test(`the target ${JSON.stringify(target)} is ${reduced === null ? 'refused' : `sent as ${reduced}`}`, () => {
    assert.equal(originForm(target), reduced);
  });
}

test('without a list every origin may come in, and none as well', () => {
  assert.equal(originAllowed([], 'https://evil.net', 'a'), true);
  assert.equal(originAllowed([], undefined, undefined), true);
});

const LIST = ['https://rooms.example.com', 'http://Localhost:80', 'https://[::1]:8443'];

for (const [origin, allowed] of [
  ['https://rooms.example.com', true],
  ['https://ROOMS.example.com', true],
  ['https://rooms.example.com:443', true],
  ['http://localhost', true],
  ['https://[::1]:8443', true],
  ['http://rooms.example.com', false],
  ['https://rooms.example.com:8443', false],
  ['https://rooms.example.com.evil.net', false],
  ['https://evilrooms.example.com', false],
  ['https://rooms.example.com@evil.net', false],
  ['https://evil.net/https://rooms.example.com', false],
  ['https://rooms.example.com/', false],
  ['https://rooms.example.com, https://evil.net', false],
  ['https://rooms.example.com\\.evil.net', false],
  ['null', false],
  ['', false],
  [undefined, false],
] as const) {
  test(`a list ${allowed ? 'lets in' : 'keeps out'} the origin ${origin}`, () => {
    assert.equal(originAllowed(LIST, origin, 'rooms.example.com'), allowed);
  });
}

for (const [origin, host, allowed] of [
  ['https://rooms.example.com', 'rooms.example.com', true],
  ['https://rooms.example.com:8443', 'rooms.example.com', true],
  ['http://rooms.example.com', 'Rooms.Example.com:8080', true],
  ['http://[::1]:3000', '[::1]:8080', true],
  ['https://evil.net', 'rooms.example.com', false],
  ['https://rooms.example.com.evil.net', 'rooms.example.com', false],
  ['https://rooms.example.com@evil.net', 'rooms.example.com', false],
  ['https://evil.net:443@rooms.example.com', 'rooms.example.com', false],
  ['moz-extension://rooms.example.com', 'rooms.example.com', false],
  ['null', 'null', false],
  [undefined, 'rooms.example.com', false],
  ['https://rooms.example.com', undefined, false],
] as const) {
  test(`same-host ${allowed ? 'lets in' : 'keeps out'} the origin ${origin} at Host ${host}`, () => {
    assert.equal(originAllowed(['same-host'], origin, host), allowed);
  });
}
