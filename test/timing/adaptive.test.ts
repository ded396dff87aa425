/** The interval that learns, behind a real nginx that cuts sooner than the configured interval allows for. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { readMetrics, readStatus } from '../support/admin.ts';
import { startEchoServer } from '../support/echo-server.ts';
import { connectIdle, type IdleClient } from '../support/idle-client.ts';
import { type Front, nginxBefore, startNginx } from '../support/nginx.ts';
import { type Program, startProxy } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

const LIMIT = 10_500;
const LEARNED = 'shorter ping interval learned';

interface Both {
  readonly proxy: Program;
  readonly front: Front;
}

/**
 * A server that says nothing unasked, behind the proxy, behind an nginx that allows 10.5 s of silence: a shorter limit is not learned. (nginx leaves a timer
 * alone that is less than 300 ms old, so with a greeting it would cut that much early.)
 */
async function setUp(t: TestContext, settings: Record<string, string>): Promise<Both> {
  const proxy = await startProxy(t, await startEchoServer(t, false), { KEEPALIVE_PING_INTERVAL: '25s', ...settings });
  const front = await startNginx(t, nginxBefore(proxy.port, '10500ms'));
  // The first connection of a cold program takes long, and its silence would seem shorter than it was.
  const first = await connectIdle(t, front.port, 'first');
  first.socket.close(1000);
  await proxy.child.log('websocket closed');
  return { proxy, front };
}

/** Lines of connections that were cut. */
function cutLines({ proxy }: Both): Record<string, unknown>[] {
  return proxy.child.logs.filter((line) => line['msg'] === 'websocket closed' && line['code'] === null);
}

/** One idle client after the other is cut. */
async function threeCuts(t: TestContext, both: Both): Promise<void> {
  for (const name of ['ann', 'bob', 'cyd']) await (await connectIdle(t, both.front.port, name)).untilClosed();
  await both.proxy.child.until(() => cutLines(both).length >= 3, 'three closing lines');
}

/** Three cuts teach it; on a loaded machine, where one is late, a few more. */
async function cutsUntilLearned(t: TestContext, both: Both): Promise<void> {
  await threeCuts(t, both);
  const hasLearned = (): boolean => both.proxy.child.logs.some((line) => line['msg'] === LEARNED);
  while (!hasLearned()) {
    const oneMore = await connectIdle(t, both.front.port, 'one more');
    await Promise.race([oneMore.untilClosed(), both.proxy.child.log(LEARNED)]);
  }
}

describe('the adaptive interval', { concurrency: true, skip: skipWithout('nginx') }, () => {
  test('after three idle cuts it follows, everybody can see it, and connections stop being cut', async (t) => {
    const both = await setUp(t, {});
    const { proxy, front } = both;
    await cutsUntilLearned(t, both);
    const silences = cutLines(both).map(({ verdict }) => {
      const silence = 1_000 * Number(/after ([\d.]+) s of silence/.exec(String(verdict))?.[1]);
      // On a loaded machine nginx and the proxy do not begin to count at the same time.
      assert.ok(Math.abs(silence - LIMIT) <= 1_000, String(verdict));
      return silence;
    });

    const line = await proxy.child.log(LEARNED);
    assert.equal(line['level'], 'warn');
    const interval = Number(line['interval_ms']);
    // Half of one of them, which are told in tenths of a second.
    assert.ok(
      silences.some((silence) => Math.abs(interval - silence / 2) <= 50),
      `${interval} ms of ${silences.join()}`,
    );
    assert.match(String(line['reasoning']), /cuts idle connections/);

    const status = await readStatus(proxy);
    assert.equal(status.routes[0]?.ping_interval_ms, interval);
    assert.equal(status.learned[0]?.['ping_interval_ms'], interval);
    const exported = (await readMetrics(proxy)).value('ws_keepalive_ping_interval_seconds', { route: 'default' });
    assert.ok(exported !== undefined && Math.abs(exported * 1_000 - interval) < 1, `${exported} s`);

    const client = await connectIdle(t, front.port, 'dan');
    await client.outlives(3 * LIMIT);
    client.say('still here');
    await client.hears('still here');
  });

  test('a connection that is open already gets it too', async (t) => {
    const both = await setUp(t, {});
    const open = await connectIdle(t, both.front.port, 'eve');
    // Were it silent, it would be cut as well.
    const talk = setInterval(() => open.say('still here'), LIMIT / 5);
    t.after(() => clearInterval(talk));
    await cutsUntilLearned(t, both);
    clearInterval(talk);
    const line = await both.proxy.child.log(LEARNED);
    const status = await readStatus(both.proxy);
    assert.deepEqual(
      [...new Set(status.connections.map((connection) => connection['ping_interval_ms']))],
      [line['interval_ms']],
    );
    const learned = performance.now();
    await pings(open, open.pings + 2);
    assert.ok(performance.now() - learned < 2 * LIMIT, 'Pings come at the new pace');
  });

  test('adaptive: false leaves the configured interval, and connections are cut on', async (t) => {
    const both = await setUp(t, { KEEPALIVE_ADAPTIVE: 'false' });
    await threeCuts(t, both);
    const fourth = await connectIdle(t, both.front.port, 'dan');
    assert.ok((await fourth.untilClosed()) < 2 * LIMIT);
    assert.equal(fourth.pings, 0);
    assert.ok(!both.proxy.child.stdout.includes(LEARNED));
    const status = await readStatus(both.proxy);
    assert.deepEqual([status.routes[0]?.ping_interval_ms, status.learned], [25_000, []]);
  });
});

function pings(client: IdleClient, count: number): Promise<unknown> {
  return new Promise((resolve) => {
    client.socket.on('ping', () => {
      if (client.pings >= count) resolve(undefined);
    });
  });
}
