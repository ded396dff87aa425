/** Peers that the proxy does not judge, in the time that the kernel takes for them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startChild } from '../support/process.ts';

const SCRIPT = fileURLToPath(new URL('../support/vanished-peer.ts', import.meta.url));
const NAMESPACE = ['--user', '--map-root-user', '--net'];
const PATIENCE = 180_000;

function skipWithoutNamespaces(): string | false {
  const { status } = spawnSync('unshare', [
    ...NAMESPACE,
    'ip',
    'link',
    'add',
    'v0',
    'type',
    'veth',
    'peer',
    'name',
    'v1',
  ]);
  return status === 0 ? false : 'no network namespaces, or no ip, here';
}

test('a client that never answered a Ping and vanished is given up by the kernel', {
  skip: skipWithoutNamespaces(),
}, async (t) => {
  const child = startChild(t, 'unshare', [...NAMESPACE, process.execPath, '--import', 'tsx', SCRIPT]);
  const line = await child.until(() => child.logs.find(({ took }) => took !== undefined), 'its report', PATIENCE);
  assert.equal(line['outlived'], true, 'while its kernel answers it stays, however long it is mute');
  assert.deepEqual([line['initiator'], line['cause']], ['client', 'abrupt_end']);
  assert.ok(Number(line['took']) > 1000, 'not before the kernel has tried again several times');
});
