import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reloadedSettings } from '../../src/config/reload.ts';
import { load } from './files.ts';

const read = (yaml: string) => load(`upstream: http://neko:8080\n${yaml}`).settings;
const current = read('');

test('the same configuration again is in force as it is, and needs no restart', () => {
  assert.deepEqual(reloadedSettings(current, read('')), { settings: current, fixed: [] });
});

test('what can change while the program runs does', () => {
  const next = read(`allowed_origins: [same-host]
trusted_proxies: []
timeouts: {connect: 1s}
limits: {connections: 5}
keepalive: {ping_interval: 5s}
log: {level: debug}
`);
  assert.deepEqual(reloadedSettings(current, next), { settings: next, fixed: [] });
});

test('what cannot change stays as it is, and is named', () => {
  const next = read(`listen: 127.0.0.1:1
admin: {listen: 127.0.0.1:2, hosts: [neko]}
log: {format: json, query: keep, level: warn}
`);
  const { settings, fixed } = reloadedSettings(current, next);
  assert.deepEqual(fixed, ['listen', 'admin.listen', 'admin.hosts', 'log.format', 'log.query']);
  assert.deepEqual(settings, { ...current, log: { ...current.log, level: 'warn' } });
});
