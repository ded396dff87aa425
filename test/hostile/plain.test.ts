/** What one client, one answer, one request may cost: `ulimit -n 1024`, 160 MiB. Limits of some seconds here are wall-clock time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe } from 'node:test';
import type { Cleanup } from '../support/cleanup.ts';
import { type Script, serveProperly, startHttpTarget, statusOf } from '../support/hostile.ts';
import type { RawHttpPeer } from '../support/raw-http.ts';
import { upgradeRequest } from '../support/raw-http.ts';
import { Watch } from '../support/watch.ts';

const MIB = 1024 * 1024;
/** Most resident memory during any attack. */
const MEMORY = 160 * MIB;
const CROWD = 'X-Forwarded-For: 192.0.2.66';

const target = await startHttpTarget({
  descriptors: 1024,
  settings: { LIMITS_REQUESTS_PER_IP: '20', TIMEOUTS_STALL: '2s' },
});

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${CROWD}\r\n\r\n`;
const upload = (bytes: number): string => `POST / HTTP/1.1\r\nHost: a\r\n${CROWD}\r\nContent-Length: ${bytes}\r\n\r\n`;

const hang: Script = () => undefined;
const readNothing: Script = (peer) => peer.socket.pause();
const pour: Script = async ({ socket }) => {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${256 * MIB}\r\n\r\n`);
  await fill(socket);
};

/** Writes until nothing is taken any more. */
async function fill(socket: Socket, most = 64): Promise<void> {
  for (let sent = 0; sent < most && !socket.destroyed; sent++) {
    if (!socket.write(Buffer.alloc(MIB)) && !(await takenSoon(socket))) return;
  }
}

/** Whether the socket drains while everything else has had its turn a thousand times. */
async function takenSoon(socket: Socket): Promise<boolean> {
  for (let turn = 0; turn < 1000 && socket.writableNeedDrain; turn++) await new Promise(setImmediate);
  return !socket.writableNeedDrain;
}

/** Every upstream connection of this attack is over. */
async function released(): Promise<void> {
  const watch = new Watch();
  for (const { socket, ended } of target.dialled) {
    socket.resume();
    socket.on('close', () => watch.changed());
    if (ended === null) socket.on('end', () => socket.end());
    else socket.end();
  }
  await watch.until(
    () => target.dialled.every(({ socket }) => socket.closed),
    'the end of upstream connections',
    20_000,
  );
}

/** Others are served while it goes on, and memory stays within its limit. */
function attack(what: string, outcome: string, script: Script, run: (t: Cleanup) => unknown): void {
  target.attackWith(what, outcome, script, async (t) => {
    target.forgetPeak();
    await run(t);
    assert.ok(target.peak() < MEMORY, `${target.peak()} bytes`);
  });
}

async function crowd(t: Cleanup, size: number, text: string): Promise<RawHttpPeer[]> {
  return Promise.all(Array.from({ length: size }, () => target.ask(t, text)));
}

describe('plain HTTP that costs much', () => {
  attack('2,000 pipelined requests for what hangs', 'one upstream connection', hang, async (t) => {
    const client = await target.ask(t, get('/hang').repeat(2000));
    await target.firstDialled();
    await target.serveOthers();
    await target.assertDialled(1);
    client.socket.destroy();
    await released();
  });

  attack('2,400 pipelined requests of a client that reads nothing', 'it waits, and is let go', pour, async (t) => {
    const client = await target.ask(t, get('/big').repeat(2400));
    client.socket.pause();
    await target.firstDialled();
    await target.serveOthers();
    await target.assertDialled(1);
    await released();
  });

  attack('20 clients with a WebSocket behind what hangs, that leave', 'noticed at once', hang, async (t) => {
    const clients = await crowd(t, 20, get('/hang') + upgradeRequest());
    await target.serveOthers();
    for (const { socket } of clients) socket.end();
    await released();
  });

  attack('20 clients with two large requests behind what hangs, that leave', 'noticed at once', hang, async (t) => {
    const clients = await crowd(t, 20, get('/hang') + get('/big') + get('/big'));
    await target.serveOthers();
    for (const { socket } of clients) socket.destroy();
    await released();
  });

  for (const [leave, outcome] of [
    ['resetAndDestroy', 'noticed within seconds'],
    ['destroy', 'let go after timeouts.stall'],
  ] as const) {
    attack(`10 uploads of 12 MB that nobody takes, ended by ${leave}`, outcome, readNothing, async (t) => {
      const clients = await crowd(t, 10, upload(12 * MIB));
      await Promise.all(clients.map(({ socket }) => fill(socket, 12)));
      await target.serveOthers();
      for (const { socket } of clients) socket[leave]();
      await released();
    });
  }

  attack('20 downloads that nobody reads', 'let go after timeouts.stall', pour, async (t) => {
    for (const { socket } of await crowd(t, 20, get('/big'))) socket.pause();
    await target.serveOthers();
    await released();
  });

  // With 1,024 descriptors 496 clients are let in, others among them.
  attack('400 slow uploads from one address', '429 beyond its places', hang, async (t) => {
    const clients = await crowd(t, 400, `${upload(1000)}slow`);
    await target.serveOthers();
    await Promise.all(clients.slice(20).map((client) => Promise.race([client.head(), once(client.socket, 'close')])));
    assert.ok(clients.filter(({ text }) => statusOf(text) === 429).length >= 380);
    assert.ok(target.dialled.length <= 20, `${target.dialled.length}`);
    for (const { socket } of clients) socket.destroy();
    await released();
  });

  attack(
    'interim answers without end',
    '502, and the upstream is let go',
    async ({ socket }) => {
      const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n'.repeat(1000);
      while (!socket.destroyed)
        if (!socket.write(hints))
          await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
    },
    async (t) => {
      const client = await target.ask(t, get('/'));
      await client.until('HTTP/1.1 502 ');
      await target.serveOthers();
      await released();
    },
  );

  for (const lines of [
    '',
    'Upgrade: x\r\n',
    'Connection: upgrade\r\n',
    'Upgrade: websocket\r\nConnection: upgrade\r\n',
  ]) {
    attack(
      `a 101 that nobody asked for, ${lines.replaceAll('\r\n', ' ').trim() || 'bare'}`,
      '502',
      (peer) => peer.send(`HTTP/1.1 101 Whatever\r\n${lines}\r\n`),
      async (t) => {
        assert.equal(statusOf(await (await target.ask(t, get('/'))).head()), 502);
        await released();
      },
    );
  }

  for (const coding of ['gzip, chunked', 'identity, chunked', ', chunked']) {
    attack(`Transfer-Encoding: ${coding}`, '501, and nobody is dialled', serveProperly, async (t) => {
      const head = `POST / HTTP/1.1\r\nHost: a\r\n${CROWD}\r\nTransfer-Encoding: ${coding}\r\n\r\n`;
      const client = await target.ask(t, `${head}0\r\n\r\n${get('/')}`);
      assert.equal(statusOf(await client.end()), 501);
      await target.assertDialled(0);
    });
  }

  attack(
    'a 413 that keeps its connection, within an upload of 4 MiB',
    'the rest is dropped, and the next request served',
    (peer, head) => {
      if (head.startsWith('GET')) return serveProperly(peer, head);
      peer.socket.pause();
      return peer.send('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
    },
    async (t) => {
      const client = await target.ask(t, upload(4 * MIB));
      await client.until('\r\n\r\nno');
      client.send('x'.repeat(4 * MIB) + get('/next'));
      await client.until('HTTP/1.1 200 ');
    },
  );
});
