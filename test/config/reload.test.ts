import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type FileSystem, MountedFile, reloadedSettings } from '../../src/config/reload.ts';
import { temporaryFolder } from '../support/process.ts';
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

const FILE = '/etc/ws-keepalive-proxy/config.yaml';
const FOLDER = '24 1 8:1 / /etc/ws-keepalive-proxy rw - ext4 /dev/sda rw\n';
const ITSELF = `25 24 8:1 /srv/config.yaml ${FILE} rw - ext4 /dev/sda rw\n`;

/** A file and how it is mounted; both may be changed. */
function setUp(mounts: string) {
  const state = { dev: 1, ino: 2, mtimeMs: 3, size: 4, nlink: 1, mounts };
  const system: FileSystem = { stat: () => state, mounts: () => state.mounts };
  return { state, mounted: new MountedFile(FILE, system) };
}

test('a file that was replaced behind its mount is told from one that was not', () => {
  const { state, mounted } = setUp(ITSELF);
  state.nlink = 0;
  assert.match(mounted.reread(FILE) ?? '', /^it was replaced .* mount its folder/);
});

test('a file mounted as a single file that has not changed may be the old one', () => {
  const { mounted } = setUp(FOLDER + ITSELF);
  assert.match(mounted.reread(FILE) ?? '', /^it has not changed since; .* mount its folder/);
});

test('nothing is said of a file that has changed, or whose folder is mounted', () => {
  const { state, mounted } = setUp(ITSELF);
  state.mtimeMs = 5;
  assert.equal(mounted.reread(FILE), null);
  state.mounts = FOLDER;
  assert.equal(mounted.reread(FILE), null);
  assert.equal(mounted.reread('other.yaml'), null);
});

test('nothing is said without a file, or where the system tells nothing', () => {
  const { mounted } = setUp(ITSELF);
  assert.equal(mounted.reread(null), null);
  const fail = (): never => {
    throw new Error('no /proc here');
  };
  assert.equal(new MountedFile(FILE, { stat: fail, mounts: fail }).reread(FILE), null);
  const { state } = setUp('');
  assert.equal(new MountedFile(FILE, { stat: () => state, mounts: fail }).reread(FILE), null);
});

test('a file of this machine is no mount', async (t) => {
  const file = join(await temporaryFolder(t), 'config.yaml');
  writeFileSync(file, 'upstream: http://neko:8080\n');
  assert.equal(new MountedFile(file).reread(file), null);
});
