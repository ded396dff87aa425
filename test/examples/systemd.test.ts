import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { startRoom } from '../../src/demo/room.ts';
import { load } from '../config/files.ts';
import { atEnd } from '../support/cleanup.ts';
import { adapt, PROXY_ADDRESS, readExample } from '../support/examples.ts';
import { freePort } from '../support/free-port.ts';
import { connectIdle } from '../support/idle-client.ts';
import { spawnProgram, temporaryFolder } from '../support/process.ts';

const CONFIG = '/etc/ws-keepalive-proxy/config.yaml';
const unit = readExample('systemd/ws-keepalive-proxy.service');
const socket = readExample('systemd/ws-keepalive-proxy.socket');
const instance = readExample('systemd/ws-keepalive-proxy@.service.d/socket.conf');
const valueOf = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1] ?? assert.fail(key);

test('systemd finds nothing wrong with the units', async (t) => {
  const folder = await temporaryFolder(t);
  const service = adapt(unit, { 'ExecStart=ws-keepalive-proxy': `ExecStart=${process.execPath}` });
  writeFileSync(`${folder}/ws-keepalive-proxy.service`, service);
  writeFileSync(`${folder}/ws-keepalive-proxy@.service`, service);
  mkdirSync(`${folder}/ws-keepalive-proxy@.service.d`);
  writeFileSync(`${folder}/ws-keepalive-proxy@.service.d/socket.conf`, instance);
  writeFileSync(`${folder}/ws-keepalive-proxy.socket`, socket);
  const names = ['.service', '@9090.service', '.socket'].map((name) => `${folder}/ws-keepalive-proxy${name}`);
  const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', ...names], { encoding: 'utf8' });
  // Without systemd on this machine, that they are made of sections and assignments has to do.
  if (error === undefined) assert.deepEqual([status, stderr], [0, '']);
  for (const line of [unit, socket, instance].join('\n').split('\n')) assert.match(line, /^(?:\[\w+\]|#.*|\w+=.*|)$/);
});

test('an instance on the socket listens on it alone, with an admin listener and a drain of its own', () => {
  assert.equal(readExample('systemd/ws-keepalive-proxy@.service'), unit);
  const text = instance.replaceAll('%i', '9090');
  const env = Object.fromEntries([...text.matchAll(/(WSKP_\w+)=(\S+)/g)].map(([, name = '', value]) => [name, value]));
  const { settings } = load(readExample('systemd/config.yaml'), { env });
  assert.deepEqual(settings.listen, [{ kind: 'fd', fd: 3 }]);
  assert.deepEqual(settings.admin.listen, { kind: 'tcp', host: '127.0.0.1', port: 9090 });
  const minutes = Number(/^TimeoutStopSec=(\d+)min$/m.exec(instance)?.[1]);
  assert.ok(minutes * 60_000 > settings.timeouts.drain);
  assert.ok(socket.includes(`ListenStream=${PROXY_ADDRESS}\n`));
});

test('the unit leaves time for the goodbye, and descriptors for many', () => {
  const { settings } = load(readExample('systemd/config.yaml'));
  assert.ok(Number(valueOf('TimeoutStopSec')) * 1000 > settings.timeouts.drain);
  assert.ok(Number(valueOf('LimitNOFILE')) >= 65_536);
});

test('a bad configuration is not tried again, and a reload checks the same file before it signals', () => {
  assert.equal(valueOf('RestartPreventExitStatus'), '2');
  const file = / --config (\S+)$/.exec(valueOf('ExecStart'))?.[1];
  assert.ok(valueOf('ExecReload').includes(` check --config ${file} >/dev/null && kill`));
});

test("its environment is the image's, as far as every Node that is allowed knows it", () => {
  const image = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
  const pairs = [...unit.matchAll(/^Environment=(.*)$/gm)].flatMap(([, text = '']) => text.split(' '));
  assert.deepEqual(
    pairs.map((pair) => pair.split('=')[0]),
    ['NODE_OPTIONS', 'MALLOC_ARENA_MAX', 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_'],
  );
  for (const pair of pairs.slice(1)) assert.ok(image.includes(`ENV ${pair}\n`), pair);
  const options = pairs[0]?.split(/=(.*)/s)[1] ?? '';
  assert.ok(image.includes(options));
  assert.equal(spawnSync(process.execPath, ['-e', ''], { env: { NODE_OPTIONS: options } }).status, 0);
});

test('its command runs with its configuration, and its reload is understood', async (t) => {
  const room = await startRoom({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => room.close());
  const [file, port] = [`${await temporaryFolder(t)}/config.yaml`, await freePort(t)];
  const places = { [PROXY_ADDRESS]: `127.0.0.1:${port}`, '127.0.0.1:8080': `127.0.0.1:${room.port}` };
  writeFileSync(file, adapt(readExample('systemd/config.yaml'), places));
  const [, ...args] = adapt(valueOf('ExecStart'), { [CONFIG]: file }).split(' ');
  const child = spawnProgram(t, { args });
  await child.log('listening');
  const client = await connectIdle(t, port, 'guest');
  const signal = / && kill -(\w+) \$\{MAINPID\}'$/m.exec(unit)?.[1];
  child.process.kill(`SIG${signal}` as NodeJS.Signals);
  await child.log('configuration reloaded');
  client.say('still here');
  await client.hears('still here');
});
