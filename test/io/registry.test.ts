import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeepaliveSettings } from '../../src/core/settings.ts';
import type { Connection } from '../../src/io/connection.ts';
import { Registry } from '../../src/io/registry.ts';
import { KEEPALIVE } from '../support/core-harness.ts';
import { connectionInfo } from '../support/reports.ts';

/** As much of a connection as is needed here. */
function fakeConnection(route: string): Connection & { settings: KeepaliveSettings | null } {
  const connection = {
    info: connectionInfo({ route }),
    settings: null as KeepaliveSettings | null,
    configure(settings: KeepaliveSettings): void {
      connection.settings = settings;
    },
  };
  return connection as unknown as Connection & { settings: KeepaliveSettings | null };
}

test('it holds what was added until that is taken out, and says so', () => {
  const registry = new Registry();
  const removed: Connection[] = [];
  registry.onRemoved = (connection) => removed.push(connection);
  const [first, second] = [fakeConnection('a'), fakeConnection('b')];
  const forget = registry.add(first);
  registry.add(second);
  assert.deepEqual([registry.size, [...registry]], [2, [first, second]]);
  forget();
  assert.deepEqual([registry.size, [...registry], removed], [1, [second], [first]]);
});

test('emptiness comes with the last one, for all who wait', async () => {
  const registry = new Registry();
  await registry.empty();
  const forget = [registry.add(fakeConnection('a')), registry.add(fakeConnection('b'))];
  let isEmpty = false;
  const waiting = Promise.all([registry.empty(), registry.empty()]).then(() => (isEmpty = true));
  forget[0]?.();
  await Promise.resolve();
  assert.equal(isEmpty, false);
  forget[1]?.();
  assert.equal(await waiting, true);
});

test('settings go to the connections that have some, and to no others', () => {
  const registry = new Registry();
  const [known, gone] = [fakeConnection('a'), fakeConnection('gone')];
  registry.add(known);
  registry.add(gone);
  registry.configure(({ route }) => (route === 'a' ? KEEPALIVE : undefined));
  assert.deepEqual([known.settings, gone.settings], [KEEPALIVE, null]);
});
