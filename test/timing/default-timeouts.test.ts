/**
 * Every front with the timeouts it has when nobody sets any, all at the same time, which takes more than a minute of real time.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { type Room, startRoom } from '../../src/demo/room.ts';
import { launchChromium, openPageSocket } from '../support/chromium.ts';
import { atEnd } from '../support/cleanup.ts';
import { FRONTS, type ExampleFront } from '../support/examples.ts';
import { connectIdle, type IdleClient } from '../support/idle-client.ts';
import { startProxy } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';
import { Scope } from '../support/scope.ts';

/** Longer than any idle limit among them, in ms. */
const AGE = 75_000;
/** How much later than its limit a front may cut on a loaded machine, in ms. */
const LATE = 14_000;

async function quietRoom(t: TestContext): Promise<Room> {
  const room = await startRoom({ port: 0, host: '127.0.0.1' });
  atEnd(t, () => room.close());
  return room;
}

/** Its Pings are the clock: resolves at the first one after `AGE`. */
async function growOld({ socket }: IdleClient): Promise<void> {
  const cut = new AbortController();
  socket.once('close', () => cut.abort());
  const old = performance.now() + AGE;
  while (performance.now() < old) await once(socket, 'ping', { signal: cut.signal });
}

function testDefaults(front: ExampleFront, openBrowser: () => Promise<Browser>): void {
  test(`an idle client and an idle page outlive ${front.name} with the proxy`, {
    skip: skipWithout(front.program, 'chromium'),
  }, async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port);
    const { port } = await front.start(t, proxy.port);
    const page = await openPageSocket(await openBrowser(), port, 'page');
    // Apache waits a while for those who are connected when it stops.
    atEnd(t, () => page.page.close());
    await page.event((event) => event.type === 'open', 'the handshake');
    const client = await connectIdle(t, port, 'idle');
    await growOld(client);
    assert.ok(!page.events.some((event) => event.type === 'close'), JSON.stringify(page.events));
    await page.send('{"event":"chat/message","content":"from the page"}');
    await client.hears('from the page');
    client.say('to the page');
    await page.event((event) => event.type === 'message' && event.data.includes('to the page'), 'a message');
  });

  test(`${front.name} ${front.idleLimit === Infinity ? 'keeps' : 'cuts'} an idle client by itself`, {
    skip: skipWithout(front.program),
  }, async (t) => {
    const room = await quietRoom(t);
    const { port } = await front.start(t, room.port);
    const client = await connectIdle(t, port, 'idle');
    // Without Pings it can be cut or stay silent for too long; either way nothing is said of it but when it ended.
    await client.outlives(AGE).catch(() => undefined);
    const age = client.closedAfter ?? Infinity;
    assert.ok(age >= front.idleLimit - 500 && age <= front.idleLimit + LATE, `cut after ${age} ms`);
  });
}

describe('fronts with their own timeouts', { concurrency: true }, () => {
  const scope = new Scope();
  let browser: Promise<Browser> | null = null;
  const openBrowser = (): Promise<Browser> => (browser ??= launchChromium(scope));
  after(() => scope.undo());
  for (const front of FRONTS) testDefaults(front, openBrowser);
});
