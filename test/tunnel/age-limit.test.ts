import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgeLimit } from '../../src/tunnel/age-limit.ts';
import type { Connection } from '../../src/tunnel/connection.ts';
import { startApp } from '../support/app.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { OPCODE } from '../support/frames.ts';
import { connectRaw, startRawServer } from '../support/raw-websocket.ts';
import { connectionInfo } from '../support/reports.ts';

const AGE = 100_000;

/** As much of a connection as is needed here: what was done to it, and when. */
function fakeConnection(clock: FakeClock, id: string, route = 'default') {
  const done: (readonly [string, number])[] = [];
  const connection = {
    info: connectionInfo({ id, route }),
    openedAt: clock.now(),
    done,
    expire: () => void done.push(['expire', clock.now()]),
    finish: () => void done.push(['finish', clock.now()]),
  };
  return connection as unknown as Connection & { readonly done: typeof done };
}

function setUp(ids: readonly string[]) {
  const clock = new FakeClock();
  const open = ids.map((id) => fakeConnection(clock, id));
  const limits = new Map([['default', AGE]]);
  const ages = new AgeLimit({ clock, connections: open, ageOf: (route) => limits.get(route) ?? Infinity });
  ages.apply(true);
  return { ages, clock, limits, open };
}

test('connections that were opened together end over the last tenth of their age', () => {
  const { clock, open } = setUp(['00000000aa', '80000000aa', 'ffffffffaa']);
  clock.advance(AGE - 10_001);
  assert.deepEqual(
    open.map(({ done }) => done.length),
    [0, 0, 0],
  );
  clock.advance(10_001);
  assert.deepEqual(
    open.map(({ done }) => done.map(([what]) => what)),
    [['expire'], ['expire'], ['expire']],
  );
  assert.deepEqual(
    open.map(({ done }) => done[0]?.[1]),
    [100_000, 95_000, 91_000],
  );
});

test('one that finds no end of a message in 10 s is ended all the same', () => {
  const { clock, open } = setUp(['ffffffff00']);
  clock.advance(AGE + 1000);
  assert.deepEqual(open[0]?.done, [
    ['expire', 91_000],
    ['finish', 101_000],
  ]);
});

test('one that is over is forgotten', () => {
  const { clock, open } = setUp(['ffffffff00']);
  clock.advance(91_000);
  const [gone] = open.splice(0);
  clock.advance(AGE);
  assert.deepEqual(
    gone?.done.map(([what]) => what),
    ['expire'],
  );
});

test('a limit that was changed counts for open connections as well, and none needs no timer', () => {
  const { ages, clock, limits, open } = setUp(['ffffffff00']);
  limits.delete('default');
  clock.advance(2 * AGE);
  assert.deepEqual(open[0]?.done, []);
  limits.set('default', AGE);
  clock.advance(1000);
  assert.equal(open[0]?.done.length, 1);
  ages.apply(false);
  assert.equal(clock.armed, 0);
});

test('once stopped it ends nobody', () => {
  const { ages, clock, open } = setUp(['ffffffff00']);
  ages.stop();
  clock.advance(2 * AGE);
  assert.deepEqual([open[0]?.done, clock.armed], [[], 0]);
});

test('a WebSocket that is old enough ends with a TCP end on both sides, without a Close', async (t) => {
  const server = await startRawServer(t);
  const running = await startApp(t, { UPSTREAM: `http://127.0.0.1:${server.port}`, LIMITS_AGE: '1s' });
  const client = await connectRaw(t, { port: running.port });
  await running.until(() => running.closed.length === 1, 'its end');
  const [report] = running.closed;
  assert.deepEqual([report?.cause, report?.initiator, report?.code], ['max_age', 'proxy', null]);
  assert.equal(client.ended, 'fin');
  assert.ok(client.frames.every(({ opcode }) => opcode !== OPCODE.close));
});
