import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, OutgoingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { RunningResponses, spreadOver } from '../../src/server/drain.ts';
import { rateLimited } from '../../src/runtime/rate-limited.ts';
import { keepFirstValue } from '../support/first-value.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { connectRaw } from '../support/raw-http.ts';
import { listen } from '../support/http.ts';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** When each item was visited. */
function visits(count: number, ms: number, run: (clock: FakeClock) => void): number[] {
  const clock = new FakeClock();
  const times: number[] = [];
  spreadOver(numbers(count), ms, clock, (item) => {
    assert.equal(item, times.length);
    times.push(clock.time);
  });
  run(clock);
  return times;
}

test('items are visited one by one, evenly, the first at once', () => {
  assert.deepEqual(
    visits(4, 1000, (clock) => clock.advance(1000)),
    [0, 250, 500, 750],
  );
});

test('many items share a timer', () => {
  const times = visits(10_000, 1000, (clock) => {
    assert.equal(clock.armed, 1);
    clock.advance(1000);
  });
  assert.equal(times.length, 10_000);
  const first = times.filter((time) => time < 250).length;
  assert.ok(first > 2000 && first <= 2600, `${first} in the first quarter`);
  assert.ok(new Set(times).size <= 101, 'one timer for each');
});

test('without time everything is visited at once', () => {
  assert.deepEqual(
    visits(3, 0, () => {}),
    [0, 0, 0],
  );
});

test('what a late timer missed is made up for', () => {
  assert.deepEqual(
    visits(4, 1000, (clock) => clock.sleep(5000)),
    [0, 5000, 5000, 5000],
  );
});

test('nothing to visit needs no timer, and a stop takes the timer back', () => {
  const clock = new FakeClock();
  spreadOver([], 1000, clock, () => assert.fail());
  assert.equal(clock.armed, 0);
  const seen: number[] = [];
  const stop = spreadOver(numbers(4), 1000, clock, (item) => seen.push(item));
  clock.advance(300);
  stop();
  clock.advance(5000);
  assert.deepEqual([seen, clock.armed], [[0, 1], 0]);
});

/** A response that has been asked for on a kept-alive connection. */
async function startResponse(t: Parameters<typeof listen>[0]) {
  // An idle connection stays for ever.
  const server = createServer({ keepAliveTimeout: 0 });
  const port = await listen(t, server);
  const client = await connectRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [, res] = (await once(server, 'request')) as [unknown, ServerResponse];
  return { client, res };
}

test('a response that has not begun ends its connection, and says so', async (t) => {
  const { client, res } = await startResponse(t);
  const running = new RunningResponses();
  running.add(res);
  running.drain();
  res.end('whole');
  const text = await client.end();
  assert.match(text, /\r\nConnection: close\r\n/);
  assert.ok(text.endsWith('whole'));
});

test('a response that has begun ends its connection after its last byte', async (t) => {
  const { client, res } = await startResponse(t);
  const running = new RunningResponses();
  running.add(res);
  res.write('first ');
  await client.until('first ');
  running.drain();
  res.end('last');
  assert.match(await client.end(), /last\r\n0\r\n\r\n$/);
});

test('in a Node without shouldKeepAlive it ends its connection all the same', async (t) => {
  keepFirstValue(t, OutgoingMessage.prototype, 'shouldKeepAlive');
  const { client, res } = await startResponse(t);
  const running = new RunningResponses();
  running.add(res);
  running.drain();
  res.end('whole');
  assert.match(await client.end(), /\r\nConnection: keep-alive\r\n[^]*whole$/);
});

test('a request that comes while draining is served, and ends its connection', async (t) => {
  const { client, res } = await startResponse(t);
  const running = new RunningResponses();
  running.drain();
  running.add(res);
  assert.equal(running.size, 1);
  res.end('served');
  assert.match(await client.end(), /\r\nConnection: close\r\n/);
});

test('emptiness comes with the end of the last response', async (t) => {
  const { res } = await startResponse(t);
  const running = new RunningResponses();
  await running.empty();
  running.add(res);
  const empty = running.empty();
  res.end();
  await empty;
  assert.equal(running.size, 0);
});

test('what happens often is said now and then, with how often', () => {
  const clock = new FakeClock();
  const said: number[] = [];
  const note = rateLimited(clock, (times) => said.push(times));
  for (let second = 0; second < 25; second++) {
    note();
    clock.advance(1000);
  }
  assert.deepEqual(said, [1, 10, 10]);
});
