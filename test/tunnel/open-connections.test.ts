import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionInfo } from '../../src/core/events.ts';
import type { KeepaliveSettings } from '../../src/core/settings.ts';
import { OpenConnections } from '../../src/tunnel/open-connections.ts';
import { KEEPALIVE } from '../support/core-harness.ts';
import { connectionInfo } from '../support/reports.ts';

interface FakeConnection {
  readonly info: ConnectionInfo;
  settings: KeepaliveSettings | null;
  configure(settings: KeepaliveSettings): void;
}

function fakeConnection(route: string): FakeConnection {
  return {
    info: connectionInfo({ route }),
    settings: null,
    configure(settings) {
      this.settings = settings;
    },
  };
}

test('it holds what was added until that is taken out, in the order in which it came, and says so', () => {
  const connections = new OpenConnections<FakeConnection>();
  const removed: FakeConnection[] = [];
  connections.onRemoved = (connection) => removed.push(connection);
  const [first, second] = [fakeConnection('a'), fakeConnection('b')];
  connections.add(first);
  connections.add(second);
  assert.deepEqual([connections.size, [...connections]], [2, [first, second]]);
  connections.remove(first);
  assert.deepEqual([connections.size, [...connections], removed], [1, [second], [first]]);
  const third = fakeConnection('c');
  connections.add(third);
  assert.deepEqual([...connections], [second, third]);
});

test('emptiness comes with the last one, for all who wait', async () => {
  const connections = new OpenConnections<FakeConnection>();
  await connections.empty();
  const [first, second] = [fakeConnection('a'), fakeConnection('b')];
  connections.add(first);
  connections.add(second);
  let isEmpty = false;
  const waiting = Promise.all([connections.empty(), connections.empty()]).then(() => (isEmpty = true));
  connections.remove(first);
  await Promise.resolve();
  assert.equal(isEmpty, false);
  connections.remove(second);
  assert.equal(await waiting, true);
});

test('settings go to the connections that have some, and to no others', () => {
  const connections = new OpenConnections<FakeConnection>();
  const [known, gone] = [fakeConnection('a'), fakeConnection('gone')];
  connections.add(known);
  connections.add(gone);
  connections.configure(({ route }) => (route === 'a' ? KEEPALIVE : undefined));
  assert.deepEqual([known.settings, gone.settings], [KEEPALIVE, null]);
});
