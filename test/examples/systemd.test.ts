import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
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
const valueOf = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1] ?? assert.fail(key);

test('systemd finds nothing wrong with the unit', async (t) => {
  const file = `${await temporaryFolder(t)}/ws-keepalive-proxy.service`;
  writeFileSync(file, adapt(unit, { '/usr/local/bin/ws-keepalive-proxy': process.execPath }));
  const { error, status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
  // Without systemd on this machine, that it is made of sections and assignments has to do.
  if (error === undefined) assert.deepEqual([status, stderr], [0, '']);
  for (const line of unit.split('\n')) assert.match(line, /^(?:\[\w+\]|#.*|\w+=.*|)$/);
});

test('the unit leaves time for the goodbye, and descriptors for many', () => {
  const { settings } = load(readExample('systemd/config.yaml'));
  assert.ok(Number(valueOf('TimeoutStopSec')) * 1000 > settings.timeouts.drain);
  assert.ok(Number(valueOf('LimitNOFILE')) >= 65_536);
});

test('its command runs with its configuration, and its reload is understood', async (t) => {
  const room = await startRoom({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => room.close());
  const [file, port] = [`${await temporaryFolder(t)}/config.yaml`, await freePort()];
  const places = { [PROXY_ADDRESS]: `127.0.0.1:${port}`, '127.0.0.1:8080': `127.0.0.1:${room.port}` };
  writeFileSync(file, adapt(readExample('systemd/config.yaml'), places));
  const [, ...args] = adapt(valueOf('ExecStart'), { [CONFIG]: file }).split(' ');
  const child = spawnProgram(t, { args });
  await child.log('listening');
  const client = await connectIdle(t, port, 'guest');
  const signal = /-(\w+) \$MAINPID$/.exec(valueOf('ExecReload'))?.[1];
  child.process.kill(`SIG${signal}` as NodeJS.Signals);
  await child.log('configuration reloaded');
  client.say('still here');
  await client.hears('still here');
});
