import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';
import { WebSocket } from 'ws';
import { type Room, startRoom } from '../../src/demo/room.ts';

interface Guest {
  readonly socket: WebSocket;
  readonly texts: string[];
}

let room: Room;
let guests: Guest[];

beforeEach(async () => {
  room = await startRoom({ port: 0, host: '127.0.0.1' });
  guests = [];
});

afterEach(async () => {
  for (const { socket } of guests) socket.terminate();
  await room.close();
});

/** Joins and waits for the greeting, whose last message is `system/init` (or `control/locked` where somebody has control). */
async function join(username: string, last = 'system/init'): Promise<Guest> {
  const guest = connect(username);
  await hears(guest, last);
  return guest;
}

function connect(username: string): Guest {
  const socket = new WebSocket(`ws://127.0.0.1:${room.port}/ws?password=x&username=${username}`);
  const guest: Guest = { socket, texts: [] };
  guests.push(guest);
  socket.on('message', (data: Buffer) => guest.texts.push(data.toString()));
  return guest;
}

/** Resolves with the first message of that kind, earlier ones included, and forgets what came up to it. */
async function hears(guest: Guest, event: string): Promise<Record<string, unknown>> {
  for (;;) {
    const index = guest.texts.findIndex((text) => text.includes(`"event":"${event}"`));
    if (index >= 0) return JSON.parse(guest.texts.splice(0, index + 1).at(-1) ?? '') as Record<string, unknown>;
    await once(guest.socket, 'message');
  }
}

function say(guest: Guest, message: object): void {
  guest.socket.send(JSON.stringify(message));
}

test('a newcomer is told who is there and how often to send a heartbeat', async () => {
  const guest = connect('ann');
  const list = await hears(guest, 'member/list');
  assert.match(JSON.stringify(list), /"members":\[\{"id":"ann-[0-9a-f]{6}","displayname":"ann","admin":false/);
  assert.equal((await hears(guest, 'system/init'))['heartbeat_interval'], 10);
});

test('every message is flat JSON that ends in a newline', async () => {
  const ann = await join('ann');
  say(ann, { event: 'chat/message', content: 'grüße 🐈' });
  const [data] = (await once(ann.socket, 'message')) as [Buffer];
  assert.match(data.toString(), /^\{"event":"chat\/message","id":"ann-[0-9a-f]{6}","content":"grüße 🐈"\}\n$/);
});

test('others hear who comes, what is said, and who goes', async () => {
  const ann = await join('ann');
  const bob = await join('bob');
  assert.equal((await hears(ann, 'member/connected'))['displayname'], 'bob');
  say(bob, { event: 'chat/message', content: 'hello' });
  assert.equal((await hears(ann, 'chat/message'))['content'], 'hello');
  say(bob, { event: 'chat/emote', emote: 'heart' });
  assert.equal((await hears(ann, 'chat/emote'))['emote'], 'heart');
  bob.socket.close();
  assert.match(String((await hears(ann, 'member/disconnected'))['id']), /^bob-/);
});

test('control has one holder, and is free again when the holder leaves', async () => {
  const ann = await join('ann');
  say(ann, { event: 'control/request' });
  assert.match(String((await hears(ann, 'control/locked'))['id']), /^ann-/);
  const bob = await join('bob', 'control/locked');
  say(bob, { event: 'control/request' });
  assert.match(String((await hears(bob, 'control/request'))['id']), /^ann-/);
  assert.match(String((await hears(ann, 'control/requesting'))['id']), /^bob-/);
  ann.socket.close();
  assert.match(String((await hears(bob, 'control/release'))['id']), /^ann-/);
});

test('only the holder can release control', async () => {
  const ann = await join('ann');
  const bob = await join('bob');
  say(ann, { event: 'control/request' });
  await hears(bob, 'control/locked');
  say(bob, { event: 'control/release' });
  say(ann, { event: 'control/release' });
  assert.match(String((await hears(bob, 'control/release'))['id']), /^ann-/);
});

test('heartbeats, unknown events and broken messages are ignored', async () => {
  const ann = await join('ann');
  say(ann, { event: 'client/heartbeat' });
  for (const text of ['', '{', '7', 'null', '{"event":7}', '{"event":"chat/message","content":7}'])
    ann.socket.send(text);
  for (const text of ['{"event":"chat/emote"}', '{"event":"no/such"}']) ann.socket.send(text);
  say(ann, { event: 'chat/message', content: 'still here' });
  const [first] = (await once(ann.socket, 'message')) as [Buffer];
  assert.match(first.toString(), /still here/);
});

test('a frame that breaks the protocol ends its own connection alone', async () => {
  const ann = await join('ann');
  const bob = await join('bob');
  (bob.socket as unknown as { _socket: { write(bytes: Uint8Array): void } })._socket.write(
    Uint8Array.of(0xff, 0x80, 0, 0, 0, 0),
  );
  const [code] = (await once(bob.socket, 'close')) as [number];
  assert.equal(code, 1002);
  assert.match(String((await hears(ann, 'member/disconnected'))['id']), /^bob-/);
});

test('it answers plain HTTP as Neko does', async () => {
  const base = `http://127.0.0.1:${room.port}`;
  assert.equal(await (await fetch(`${base}/health`)).text(), 'true');
  assert.match(await (await fetch(`${base}/?usr=x`)).text(), /<title>[^<]*one room, two ways/);
  assert.equal((await fetch(`${base}/none`)).status, 404);
  assert.equal((await fetch(`${base}//`)).status, 404);
});

test('a WebSocket anywhere else is refused', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${room.port}/other`);
  const [error] = (await once(socket, 'error')) as [Error];
  assert.match(error.message, /404/);
});

test('a member who does not read is dropped, and the rest go on', async () => {
  const ann = await join('ann');
  const bob = await join('bob');
  bob.socket.pause();
  const content = 'x'.repeat(1024 * 1000);
  for (let sent = 0; sent < 24; sent += 1) {
    say(ann, { event: 'chat/message', content });
    await hears(ann, 'chat/message');
  }
  bob.socket.resume();
  const [code] = (await once(bob.socket, 'close')) as [number];
  assert.equal(code, 1006);
});

test('a taken port is an error', async () => {
  await assert.rejects(startRoom({ port: room.port, host: '127.0.0.1' }), { code: 'EADDRINUSE' });
});
