import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './files.ts';

const warnings = (yaml: string) => load(yaml).warnings;
const UP = 'upstream: http://neko:8080\n';

test('a ping_interval over half of what the front allows is warned about, half is not', () => {
  assert.deepEqual(warnings(`${UP}keepalive: {ping_interval: 30s, front_idle_timeout: 60s}`), []);
  assert.deepEqual(warnings(`${UP}keepalive: {ping_interval: 31s, front_idle_timeout: 60s}`), [
    'route default: keepalive.ping_interval (31s) is over half of keepalive.front_idle_timeout (1m): one late Ping and a quiet connection is cut; shorten it',
  ]);
});

test('no Pings are warned about, unless the front has no limit', () => {
  assert.match(
    warnings(`${UP}keepalive: {ping_interval: off}`).join(),
    /^route default: keepalive\.ping_interval is off: the proxy in front will cut/,
  );
  assert.deepEqual(warnings(`${UP}keepalive: {ping_interval: off, front_idle_timeout: off}`), []);
});

test('a route that an earlier one hides is warned about', () => {
  const routes = (...entries: string[]) => warnings(`routes: [${entries.join(', ')}]`);
  const hidden = /^route route-2 is never used: route route-1 before it matches everything/;
  const [any, host, star, path, longer, sibling] = [
    '{upstream: http://a}',
    '{upstream: http://a, host: a.example.com}',
    '{upstream: http://a, host: "*.example.com"}',
    '{upstream: http://a, path: /room}',
    '{upstream: http://a, path: /room/a}',
    '{upstream: http://a, path: /rooms}',
  ] as const;
  for (const [first, second] of [
    [any, host],
    [any, path],
    [star, host],
    [path, longer],
    [host, host],
  ] as const) {
    const found = routes(first, second);
    assert.equal(found.length, 1, `${first} ${second}`);
    assert.match(found[0] ?? '', hidden);
  }
  for (const [first, second] of [
    [host, any],
    [host, star],
    [longer, path],
    [path, sibling],
    [host, path],
    [path, host],
  ] as const) {
    assert.deepEqual(routes(first, second), [], `${first} ${second}`);
  }
});

test('a top-level upstream behind a route for everything is warned about', () => {
  assert.match(warnings(`${UP}routes: [{upstream: http://a}]`).join(), /^route default is never used/);
});

test('an upstream that is the proxy itself is warned about', () => {
  const itself = (listen: string, upstream: string) =>
    warnings(`listen: "${listen}"\nupstream: ${upstream}`).some((line) => /go round in a circle/.test(line));
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]', '0.0.0.0'])
    assert.ok(itself('0.0.0.0:8080', `http://${host}:8080`), host);
  assert.ok(itself('[::]:80', 'http://localhost'));
  assert.ok(itself('10.0.0.1:80', 'http://10.0.0.1'));
  assert.ok(itself('unix:/run/a', 'unix:/run/a'));
  assert.ok(!itself('0.0.0.0:8080', 'http://localhost:8081'));
  assert.ok(!itself('0.0.0.0:8080', 'http://neko:8080'));
  assert.ok(!itself('127.0.0.1:8080', 'http://127.0.0.2:8080'));
  assert.ok(!itself('unix:/run/a', 'unix:/run/b'));
  assert.ok(!itself('unix:/run/a', 'http://localhost'));
});

test('trust in everyone and unchecked certificates are warned about', () => {
  assert.match(warnings(`${UP}trusted_proxies: [0.0.0.0/0]`).join(), /0\.0\.0\.0\/0 lets every client choose/);
  assert.match(warnings(`${UP}upstream_tls: {verify: false}`).join(), /^upstream_tls\.verify is false/);
});
