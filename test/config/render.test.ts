import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderConfig } from '../../src/config/effective.ts';
import { load } from './files.ts';

/** The text that `check` would print, loaded again. */
const again = (yaml: string) => {
  const { settings, config } = load(yaml);
  return { settings, reloaded: load(renderConfig(config)).settings };
};

test('what is printed loads to the same settings', () => {
  const everything = `
listen: [0.0.0.0:8080, "[::]:8080", "unix:/run/a.sock"]
upstream: [wss://neko:8443/, "unix:/run/spare.sock"]
upstream_tls: {verify: false}
keepalive: {ping_interval: 1.5s, pong_timeout: off, mode: always, upstream_ping_interval: off, front_idle_timeout: 90s}
routes:
  - {host: "*.Example.com", path: /a/, upstream: http://a, keepalive: {pong_timeout: 7s}, timeouts: {stall: 9s}, limits: {connections: 3, frame: 1KiB}}
  - {name: b, host: b.example.com, upstream: "unix:/run/b.sock"}
allowed_origins: [same-host, "https://neko.example.com"]
trusted_proxies: [10.0.0.0/8, "::1"]
timeouts: {connect: 1s, handshake: 2s, stall: 3s, drain: 0s}
limits: {header_bytes: 8KiB, buffer: 1MB}
log: {level: debug, format: json, query: keep}
`;
  const { settings, reloaded } = again(everything);
  assert.deepEqual(reloaded, settings);
});

test('routes without a top-level upstream print and load to the same', () => {
  const { settings, reloaded } = again('keepalive: {ping_interval: 3s}\nroutes: [{upstream: http://a}]');
  assert.deepEqual(reloaded, settings);
});

test('defaults print and load to the same', () => {
  const { settings, reloaded } = again('upstream: http://neko');
  assert.deepEqual(reloaded, settings);
});

test('the printed text shows every value with its unit', () => {
  const text = renderConfig(load('upstream: http://neko:8080').config);
  for (const line of [
    'upstream:\n  - http://neko:8080',
    '  ping_interval: 10s',
    '  connections_per_ip: off',
    '  header_bytes: 16KiB',
  ]) {
    assert.ok(text.includes(`${line}\n`), line);
  }
});

test('what is off prints as off', () => {
  const text = renderConfig(
    load(
      'upstream: http://neko\nlimits: {connections: off}\nadmin: {listen: off}\nroutes: [{upstream: http://a, path: /}]',
    ).config,
  );
  assert.match(text, /\n {2}connections: off\n/);
  assert.match(text, /\nadmin:\n {2}listen: off\n/);
  assert.match(text, /\n {4}path: \/\n/);
});
