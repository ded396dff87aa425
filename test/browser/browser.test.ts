/** A real browser: it answers the injected Pings below what a page can see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRoom } from '../../src/demo/room.ts';
import { atEnd } from '../support/cleanup.ts';
import { launchChromium, openPageSocket } from '../support/chromium.ts';
import { OPCODE, type RawFrame } from '../support/frames.ts';
import { startProxy } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';
import { startTap } from '../support/tap.ts';

function payloads(frames: readonly RawFrame[], opcode: number): string[] {
  return frames.filter((frame) => frame.opcode === opcode).map((frame) => frame.payload.toString('latin1'));
}

test('Chromium answers injected Pings, its page never sees them, the upstream never sees the Pongs', {
  skip: skipWithout('chromium'),
}, async (t) => {
  const room = await startRoom({ port: 0, host: '127.0.0.1' });
  atEnd(t, () => room.close());
  const behind = await startTap(t, room.port);
  const proxy = await startProxy(t, behind.port, { KEEPALIVE_PING_INTERVAL: '100ms' });
  const before = await startTap(t, proxy.port);
  const socket = await openPageSocket(await launchChromium(t), before.port, 'page');

  const pongs = (): string[] => payloads(before.upgraded[0]?.up ?? [], OPCODE.pong);
  await before.until(() => pongs().length >= 5, 'five Pongs from Chromium');
  await socket.send('{"event":"chat/message","content":"after the Pongs"}');
  await socket.event((event) => event.type === 'message' && event.data.includes('after the Pongs'), 'the echo');

  const [outside] = before.upgraded;
  const [inside] = behind.upgraded;
  assert.ok(outside && inside);
  const pings = payloads(outside.down, OPCODE.ping);
  assert.deepEqual(pongs(), pings.slice(0, pongs().length));
  assert.deepEqual(payloads(inside.up, OPCODE.pong), []);
  assert.deepEqual(payloads(inside.down, OPCODE.ping), []);
  const seen = socket.events.map((event) => (event.type === 'message' ? event.data : event.type));
  const said = inside.down.filter((frame) => frame.opcode === OPCODE.text).map((frame) => frame.payload.toString());
  assert.deepEqual(seen, ['open', ...said]);
});
