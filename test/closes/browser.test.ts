/** What a page is told when its WebSocket closes: the same as without the proxy, and more where there was nothing to tell. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { closePayload, type FrameParts, OPCODE } from '../support/frames.ts';
import { nginxBefore, startNginx } from '../support/nginx.ts';
import { startProxy } from '../support/process.ts';
import { type RawPeer, type RawServer, startRawServer } from '../support/raw-websocket.ts';
import { skipWithout } from '../support/requirements.ts';

const NO_PINGS = { KEEPALIVE_PING_INTERVAL: 'off', KEEPALIVE_UPSTREAM_PING_INTERVAL: 'off' };

interface CloseEvent {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

interface Case {
  readonly name: string;
  /** What the page does once it is connected, as script around `socket`. */
  readonly script?: string;
  readonly act: (server: RawPeer) => unknown;
  /** The server ends TCP without waiting for the answer: behind nginx it is a matter of luck whether there is time for one. */
  readonly isHasty?: boolean;
  /** What the page is told without the proxy; absent: whatever it is. */
  readonly direct?: CloseEvent;
  /** What it is told through the proxy; absent: the same. */
  readonly proxied?: CloseEvent;
}

const ABNORMAL: CloseEvent = { code: 1006, reason: '', wasClean: false };
const HALF: FrameParts = { opcode: OPCODE.binary, payload: 'half', claimed: 8 };

const close = (code: number | null, reason = ''): FrameParts => ({
  opcode: OPCODE.close,
  payload: code === null ? Buffer.alloc(0) : closePayload(code, reason),
});
const closed = (server: RawPeer): Promise<unknown> =>
  server.until(() => server.ended !== null || server.frames.some(({ opcode }) => opcode === OPCODE.close), 'a Close');

async function closes(server: RawPeer, code: number | null, reason = ''): Promise<void> {
  server.sendFrame(close(code, reason));
  await closed(server);
  server.end();
}

async function answers(server: RawPeer, answer: FrameParts | null): Promise<void> {
  await closed(server);
  if (answer !== null) server.sendFrame(answer);
  server.end();
}

const CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 4999];
const CASES: readonly Case[] = [
  ...CODES.map((code) => ({
    name: `the server closes with ${code}`,
    act: (server: RawPeer) => closes(server, code, 'grüße'),
    direct: { code, reason: 'grüße', wasClean: true },
  })),
  // Older Chromium takes no 1014; no version takes the others.
  ...[1004, 1005, 1006, 1014, 1015].map((code) => ({
    name: `the server closes with ${code}`,
    act: (server: RawPeer) => closes(server, code, 'reserved'),
  })),
  {
    name: 'the server closes with no code',
    act: (server) => closes(server, null),
    direct: { code: 1005, reason: '', wasClean: true },
  },
  {
    name: 'the server closes and ends TCP at once',
    isHasty: true,
    act: (server) => {
      server.sendFrame(close(4001, 'gone'));
      server.end();
    },
    direct: { code: 4001, reason: 'gone', wasClean: true },
  },
  {
    name: 'the server closes behind megabytes and ends TCP at once',
    isHasty: true,
    act: (server) => {
      server.sendFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(4 * 1024 * 1024) });
      server.sendFrame(close(4002, 'all sent'));
      server.end();
    },
    direct: { code: 4002, reason: 'all sent', wasClean: true },
  },
  { name: 'the server ends TCP', act: (server) => server.end(), direct: ABNORMAL },
  { name: 'the server resets TCP', act: (server) => server.reset(), direct: ABNORMAL },
  {
    name: 'the server ends TCP inside a frame',
    act: (server) => {
      server.sendFrame(HALF);
      server.end();
    },
    direct: ABNORMAL,
  },
  {
    name: 'the page closes with no code',
    script: 'socket.close()',
    act: (server) => answers(server, close(null)),
    direct: { code: 1005, reason: '', wasClean: true },
  },
  ...[1000, 3000, 4999].map((code) => ({
    name: `the page closes with ${code}`,
    script: `socket.close(${code}, 'tschüß')`,
    act: (server: RawPeer) => answers(server, close(code, 'tschüß')),
    direct: { code, reason: 'tschüß', wasClean: true },
  })),
  {
    name: 'the page closes with 3000 and the server answers 3001',
    script: `socket.close(3000, 'mine')`,
    act: (server) => answers(server, close(3001, 'yours')),
    direct: { code: 3001, reason: 'yours', wasClean: true },
  },
  {
    name: 'the page closes and the server ends TCP',
    script: 'socket.close(3000)',
    act: (server) => answers(server, null),
    direct: ABNORMAL,
  },
];

/** An empty page of loopback, from where loopback may be reached. */
async function openPage(t: Cleanup): Promise<Page> {
  const server = createServer((_, res) => res.setHeader('Content-Type', 'text/html').end('<!doctype html>'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(t, () => {
    server.close();
    server.closeAllConnections();
  });
  const page = await (await launchChromium(t)).newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return page;
}

interface Told {
  readonly event: CloseEvent;
  /** What the server was sent: opcode and payload. */
  readonly frames: readonly string[];
}

async function observe(page: Page, port: number, server: RawServer, { script, act }: Case): Promise<Told> {
  const event = page.evaluate(`new Promise((resolve) => {
    const socket = new WebSocket('ws://127.0.0.1:${port}/ws');
    socket.onopen = () => { ${script ?? ''} };
    socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
  })`) as Promise<CloseEvent>;
  const peer = await server.next();
  await act(peer);
  const told = await event;
  if (peer.socket.writable) peer.end();
  if (!peer.socket.destroyed) await peer.untilEnded();
  return {
    event: told,
    frames: peer.frames.map(({ opcode, payload }) => `${opcode.toString(16)} ${payload.toString('hex')}`),
  };
}

/** What does not depend on whether there was time for an answer. */
function certain({ event: { code, reason } }: Told): Pick<CloseEvent, 'code' | 'reason'> {
  return { code, reason };
}

test('a page is told the same through the proxy', { skip: skipWithout('chromium', 'nginx') }, async (t) => {
  const server = await startRawServer(t, { allowHalfOpen: true });
  const proxy = await startProxy(t, server.port, NO_PINGS);
  const [front, frontOfProxy] = await Promise.all(
    [server.port, proxy.port].map((port) => startNginx(t, nginxBefore(port, '60s'))),
  );
  assert.ok(front && frontOfProxy);
  const ways = [
    { isBehindNginx: false, direct: server.port, proxied: proxy.port },
    { isBehindNginx: true, direct: front.port, proxied: frontOfProxy.port },
  ];
  const page = await openPage(t);
  for (const each of CASES) {
    for (const { isBehindNginx, direct, proxied } of ways) {
      await t.test(`${each.name}${isBehindNginx ? ', behind nginx' : ''}`, async () => {
        const isLuck = isBehindNginx && each.isHasty === true;
        const without = await observe(page, direct, server, each);
        const through = await observe(page, proxied, server, each);
        if (each.direct && !isLuck) assert.deepEqual(without.event, each.direct, 'without the proxy');
        const expected = each.proxied ? { ...without, event: each.proxied } : without;
        assert.deepEqual(isLuck ? certain(through) : through, isLuck ? certain(expected) : expected);
      });
    }
  }
});

test('a page is told that the proxy stops', { skip: skipWithout('chromium', 'nginx') }, async (t) => {
  const server = await startRawServer(t, { allowHalfOpen: true });
  const page = await openPage(t);
  const coded = { code: 1012, reason: 'proxy is stopping', wasClean: true };
  for (const [isBehindNginx, drainCode] of [
    [false, 'off'],
    [false, '1012'],
    [true, '1012'],
  ] as const) {
    const proxy = await startProxy(t, server.port, { ...NO_PINGS, DRAIN_CODE: drainCode });
    const front = isBehindNginx ? await startNginx(t, nginxBefore(proxy.port, '60s')) : proxy;
    const act = async (peer: RawPeer): Promise<void> => {
      const exit = proxy.child.stop();
      if (drainCode !== 'off') await answers(peer, close(1012));
      await exit;
    };
    const { event } = await observe(page, front.port, server, { name: 'stop', act });
    assert.deepEqual(event, drainCode === 'off' ? ABNORMAL : coded, isBehindNginx ? 'behind nginx' : 'directly');
  }
});
