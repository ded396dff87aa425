/** Ends by clients, by the upstream and by the proxy itself, with no front between. */
import { spawn } from 'node:child_process';
import { chromium } from 'playwright-core';
import type { WebSocket } from 'ws';
import { startNekoProcess } from './neko-process.ts';
import { requireProgram } from '../support/requirements.ts';
import type { Scope } from '../support/scope.ts';
import type { Kind, Stage } from './kind.ts';
import { chat, connectClient, dropWithFin, dropWithReservedCode, socketOf, wait } from './rig.ts';

const CLIENT = ['client'];
const UPSTREAM = ['upstream'];
const ABRUPT = ['abrupt_end'];

/** One client that talks, then does something. */
function client(what: string, key: Kind['key'], act: (ws: WebSocket) => unknown, settings = {}): Kind {
  return {
    what,
    key,
    settings,
    async run({ scope, port }, prefix) {
      const ws = await connectClient(scope, port, `${prefix}/ws`);
      ws.send('hello');
      await wait(200);
      await act(ws);
      return 1;
    },
  };
}

/** Some sessions, of which the upstream ends the first so many. */
function upstream(
  what: string,
  key: Kind['key'],
  count: number,
  others: number,
  act: (ws: WebSocket) => unknown,
  path = 'ws',
  delay = 2_300,
): Kind {
  return {
    what,
    key,
    async run({ scope, port, neko }, prefix) {
      const rest = Array.from({ length: others }, (_, index) =>
        connectClient(scope, port, `/other${prefix}-${index}/${path}`),
      );
      const stay = await Promise.all(rest);
      const paths = Array.from({ length: count }, (_, index) => `${prefix}-${index}/${path}`);
      await Promise.all(paths.map((each) => connectClient(scope, port, each)));
      const sessions = await Promise.all(paths.map((each) => neko.session(each)));
      await wait(delay);
      for (const session of sessions) act(session);
      await wait(1_500);
      for (const ws of stay) ws.close(1000);
      return count;
    },
  };
}

const roomOf = new WeakMap<Scope, Awaited<ReturnType<typeof startNekoProcess>>>();
const keepRoom = {
  upstream: async (scope: Scope): Promise<number> => {
    const room = await startNekoProcess(scope);
    roomOf.set(scope, room);
    return room.port;
  },
};

function killedRoom(what: string, count: number, names: RegExp, signal: NodeJS.Signals): Kind {
  return {
    what,
    key: { initiator: UPSTREAM, cause: ABRUPT, names },
    ...keepRoom,
    async run({ scope, port }, prefix) {
      for (let index = 0; index < count; index += 1) await connectClient(scope, port, `${prefix}-${index}/ws`);
      await wait(2_300);
      roomOf.get(scope)?.child.process.kill(signal);
      return count;
    },
  };
}

async function browser({ scope, port }: Stage, prefix: string, tabs: number) {
  const program = await chromium.launch({
    executablePath: requireProgram('chromium'),
    args: ['--no-sandbox', '--disable-gpu'],
  });
  scope.after(() => program.close().catch(() => undefined));
  const pages = [];
  for (let index = 0; index < tabs; index += 1) {
    const page = await program.newPage();
    await page.goto(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    await page.evaluate(
      `new Promise((done) => { const ws = window.ws = new WebSocket('ws://127.0.0.1:${port}${prefix}-${index}/ws'); ws.onopen = () => { ws.send('hello'); done(); }; })`,
    );
    pages.push(page);
  }
  await wait(500);
  return { program, pages };
}

const SLEEPER = `import { WebSocket } from 'ws'; const ws = new WebSocket(process.argv[1]); ws.on('open', () => { ws.send('x'); console.log('open'); }); ws.on('error', () => {});`;

export const ENDPOINT_KINDS: readonly Kind[] = [
  client(
    'a client closes with 1000',
    { initiator: CLIENT, cause: ['close_frame'], names: /closed the connection itself/ },
    (ws) => ws.close(1000),
  ),
  client(
    'a client closes without a code',
    { initiator: CLIENT, cause: ['close_frame'], names: /closed the connection itself/ },
    (ws) => ws.close(),
  ),
  client('a client says 1001', { initiator: CLIENT, cause: ['close_frame'], names: /left, closed or reloaded/ }, (ws) =>
    ws.close(1001),
  ),
  client(
    "an application's own code",
    { initiator: CLIENT, cause: ['close_frame'], names: /closed with code 4001/ },
    (ws) => ws.close(4001),
  ),
  client(
    'a legacy page without WebRTC, closed 14.3 s after its connection',
    { initiator: CLIENT, cause: ['close_frame'], names: /WebRTC did not come up/ },
    async (ws) => {
      await wait(14_100);
      ws.close();
    },
  ),
  client(
    'a client is killed while it talks',
    { initiator: CLIENT, cause: ABRUPT, names: /crashed, was killed/ },
    (ws) => {
      ws.send('last');
      socketOf(ws).end();
    },
  ),
  client(
    'a client is killed after 3 s of silence',
    { initiator: CLIENT, cause: ABRUPT, names: /s of silence.*crashed, was killed/ },
    async (ws) => {
      await wait(3_000);
      socketOf(ws).end();
    },
  ),
  client(
    'a client is killed right behind a Ping, 4 s after its last message',
    { initiator: CLIENT, cause: ABRUPT, names: /\d(\.\d)? s after the last message.*crashed, was killed/ },
    async (ws) => {
      await wait(3_300);
      await new Promise((resolve) => ws.once('ping', resolve));
      await wait(50);
      socketOf(ws).end();
    },
    { KEEPALIVE_PING_INTERVAL: '1s' },
  ),
  client('a client resets', { initiator: CLIENT, cause: ABRUPT, names: /reset.*crashed, was killed/ }, (ws) =>
    socketOf(ws).resetAndDestroy(),
  ),
  client(
    'a client sends a reserved code',
    { initiator: CLIENT, cause: ['reserved_code'], names: /reserved close code 1006/ },
    (ws) => socketOf(ws).write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xee])),
  ),
  client(
    'a client sends a frame over the limit',
    { initiator: CLIENT, cause: ['frame_limit'], names: /limits\.frame/ },
    (ws) => ws.send('x'.repeat(5_000)),
    { LIMITS_FRAME: '4KiB' },
  ),
  client(
    'a client floods with Pings',
    { initiator: CLIENT, cause: ['rate_limit'], names: /control_frames_per_second/ },
    (ws) => {
      for (let count = 0; count < 400; count += 1) ws.ping();
    },
  ),
  client(
    'a client sends a length with the top bit',
    { initiator: CLIENT, cause: ['bad_length'], names: /top bit/ },
    (ws) => socketOf(ws).write(Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])),
  ),
  client(
    'the upstream ends over a frame that breaks the protocol',
    { initiator: UPSTREAM, cause: ['close_frame'], names: /1002/ },
    (ws) => socketOf(ws).write(Buffer.from([0x83, 0x80, 1, 2, 3, 4])),
  ),
  {
    what: 'a client process is suspended',
    key: { initiator: CLIENT, cause: ['pong_timeout'], names: /browser or its network is gone/ },
    settings: { KEEPALIVE_PING_INTERVAL: '1s', KEEPALIVE_PONG_TIMEOUT: '3s' },
    async run({ scope, port }, prefix) {
      const child = spawn(
        process.execPath,
        ['--input-type=module', '-e', SLEEPER, `ws://127.0.0.1:${port}${prefix}/ws`],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      scope.after(() => child.kill('SIGKILL'));
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await wait(2_500);
      child.kill('SIGSTOP');
      return 1;
    },
  },
  {
    what: 'the browser process of a Chromium with three tabs is killed',
    // Its network process lives a moment longer, and says 1001 for the pages.
    key: { initiator: CLIENT, cause: [...ABRUPT, 'close_frame'], names: /killed/ },
    async run(stage, prefix) {
      const { program } = await browser(stage, prefix, 3);
      const session = await program.newBrowserCDPSession();
      const { processInfo } = await session.send('SystemInfo.getProcessInfo');
      for (const { id, type } of processInfo) if (type === 'browser') process.kill(id, 'SIGKILL');
      return 3;
    },
  },
  {
    what: 'a Chromium tab is closed',
    key: { initiator: CLIENT, cause: ['close_frame'], names: /left, closed or reloaded/ },
    async run(stage, prefix) {
      const { pages } = await browser(stage, prefix, 1);
      await pages[0]?.close();
      return 1;
    },
  },
  {
    what: 'a Chromium page is reloaded',
    key: { initiator: CLIENT, cause: ['close_frame'], names: /left, closed or reloaded/ },
    async run(stage, prefix) {
      const { pages } = await browser(stage, prefix, 1);
      await pages[0]?.reload().catch(() => undefined);
      return 1;
    },
  },
  {
    what: 'a Chromium tab crashes',
    key: { initiator: CLIENT, cause: ['close_frame'], names: /its tab crashed/ },
    async run(stage, prefix) {
      const { pages } = await browser(stage, prefix, 1);
      void pages[0]?.goto('chrome://crash').catch(() => undefined);
      return 1;
    },
  },
  upstream(
    'a wrong password, while others stay',
    { initiator: UPSTREAM, cause: ABRUPT, names: /wrong password/ },
    1,
    2,
    (ws) => dropWithFin(ws, 'invalid password'),
    'ws',
    100,
  ),
  upstream(
    'a wrong password, nobody else there',
    { initiator: UPSTREAM, cause: ABRUPT, names: /wrong password/ },
    1,
    0,
    (ws) => dropWithFin(ws, 'invalid password'),
    'ws',
    100,
  ),
  upstream(
    'a locked room on the newer protocol',
    { initiator: UPSTREAM, cause: ABRUPT, names: /room locked/ },
    1,
    2,
    (ws) => dropWithFin(ws, 'room locked'),
    'api/ws',
    100,
  ),
  upstream(
    'a legacy user is kicked, others stay',
    { initiator: UPSTREAM, cause: ['reserved_code'], names: /others stay.*kicked/ },
    1,
    2,
    dropWithReservedCode,
  ),
  upstream(
    'the only legacy user is kicked',
    { initiator: UPSTREAM, cause: ['reserved_code'], names: /kicked/ },
    1,
    0,
    dropWithReservedCode,
  ),
  upstream(
    'Neko is stopped with three legacy users',
    { initiator: UPSTREAM, cause: ['reserved_code'], names: /stopped or restarted/ },
    3,
    0,
    dropWithReservedCode,
  ),
  upstream(
    'a v3 user is kicked, others stay',
    { initiator: UPSTREAM, cause: ABRUPT, names: /others stay.*kicked, logged out/ },
    1,
    2,
    (ws) => dropWithFin(ws, 'kicked'),
    'api/ws',
  ),
  upstream(
    'a v3 session is replaced by a second login',
    { initiator: UPSTREAM, cause: ABRUPT, names: /replaced by a second login/ },
    1,
    2,
    (ws) => dropWithFin(ws, 'replaced'),
    'api/ws',
  ),
  upstream(
    'the only v3 user logs out',
    { initiator: UPSTREAM, cause: ABRUPT, names: /logout/ },
    1,
    0,
    (ws) => socketOf(ws).end(),
    'api/ws',
  ),
  upstream(
    'the upstream closes with 1012',
    { initiator: UPSTREAM, cause: ['close_frame'], names: /stops or restarts/ },
    2,
    0,
    (ws) => ws.close(1012),
  ),
  upstream(
    'the upstream closes with 1000',
    { initiator: UPSTREAM, cause: ['close_frame'], names: /ordinary way/ },
    1,
    1,
    (ws) => ws.close(1000),
  ),
  upstream(
    'the upstream fails with 1011',
    { initiator: UPSTREAM, cause: ['close_frame'], names: /error of its own/ },
    1,
    1,
    (ws) => ws.close(1011),
  ),
  killedRoom('the upstream is killed with three users', 3, /all its 3.*crashed/, 'SIGKILL'),
  killedRoom('the upstream is killed with one user', 1, /crashed/, 'SIGKILL'),
  {
    what: 'the upstream hangs',
    key: { initiator: UPSTREAM, cause: ['pong_timeout'], names: /upstream hung/ },
    settings: { KEEPALIVE_UPSTREAM_PING_INTERVAL: '1s', KEEPALIVE_UPSTREAM_PONG_TIMEOUT: '3s' },
    ...keepRoom,
    async run({ scope, port }, prefix) {
      await connectClient(scope, port, `${prefix}/ws`);
      await wait(2_500);
      roomOf.get(scope)?.child.process.kill('SIGSTOP');
      scope.after(() => roomOf.get(scope)?.child.process.kill('SIGCONT'));
      return 1;
    },
  },
  {
    what: 'the proxy is stopped',
    key: { initiator: ['proxy'], cause: ['drain'], names: /proxy was stopped/ },
    ...keepRoom,
    async run({ scope, port, proxy }, prefix) {
      await connectClient(scope, port, `${prefix}-a/ws`);
      await connectClient(scope, port, `${prefix}-b/ws`, 2);
      proxy.child.process.kill('SIGTERM');
      return 2;
    },
  },
  {
    what: 'the proxy is suspended for 4 s, and three clients are gone when it wakes up',
    key: { initiator: CLIENT, cause: ABRUPT, names: /stood still for [34]/ },
    async run({ scope, port, proxy }, prefix) {
      const clients = [];
      for (let index = 0; index < 3; index += 1) {
        const ws = await connectClient(scope, port, `${prefix}-${index}/ws`, 2 + index);
        chat(ws);
        clients.push(ws);
      }
      await wait(1_000);
      proxy.child.process.kill('SIGSTOP');
      await wait(500);
      for (const ws of clients) socketOf(ws).end();
      await wait(3_500);
      proxy.child.process.kill('SIGCONT');
      return 3;
    },
  },
];
