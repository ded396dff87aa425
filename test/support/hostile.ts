/** The built program under attack: after each attack others are answered, and it holds no descriptor more than before. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { adminPort } from './admin.ts';
import { atEnd, type Cleanup } from './cleanup.ts';
import { type Exposition, parseExposition } from './exposition.ts';
import { OPCODE } from './frames.ts';
import { type Program, type ProgramOptions, startProgram } from './process.ts';
import { connectRaw, type RawHttpPeer, startRawUpstream, switchingProtocols, upgradeRequest } from './raw-http.ts';
import {
  type ConnectOptions,
  connectRaw as connectWebSocket,
  type RawPeer,
  type RawServer,
  startRawServer,
} from './raw-websocket.ts';
import { untilAtMost } from './resources.ts';
import { Scope } from './scope.ts';
import { Watch } from './watch.ts';

/** Most that the memory of a program may grow over all of its attacks: garbage that nothing has forced it to collect. */
const GROWTH = 64 * 1024 * 1024;

/** Others, in whose eyes nothing may happen. */
interface Bystanders {
  /** Rejects when somebody who has nothing to do with the attack is not served. */
  check(t: Cleanup): Promise<void>;
}

/** What stands on both sides of a program, and the program. */
export interface Target {
  readonly program: Program;
  readonly port: number;
  /**
   * One attack, as a test of its own; what it opens is closed before others are asked.
   *
   * @param outcome what it comes to, in a few words
   */
  attack(attack: string, outcome: string, run: (t: Cleanup) => unknown): void;
  /** Rejects when somebody who has nothing to do with the attack is not served, while it goes on. */
  serveOthers(): Promise<void>;
  metrics(): Promise<Exposition>;
  /** Resident memory in bytes, and the most since `forgetPeak`. */
  memory(): number;
  peak(): number;
  forgetPeak(): void;
}

/** Descriptors are given back without waiting for `timeouts.stall`, in ms. */
const SOON = 20_000;

/** Starts a program that lives as long as the test file. To be called before the file's first test. */
async function startTarget(scope: Scope, options: ProgramOptions, bystanders: (port: number) => Promise<Bystanders>) {
  // Bystanders do not answer the Close of a program that stops.
  const settings = { TIMEOUTS_DRAIN: '100ms', ...options.settings };
  const program = await startProgram(scope, { ...options, settings });
  const { port } = program;
  const others = await bystanders(port);
  const { pid } = program.child;
  const descriptors = (): number => readdirSync(`/proc/${pid}/fd`).length;
  await serveOthers(others);
  const held = descriptors();
  let before: number | null = null;
  after(async () => {
    const grown = memoryOf(pid, 'VmRSS') - (before ?? 0);
    await scope.undo();
    assert.ok(before === null || grown < GROWTH, `memory has grown by ${grown} bytes`);
  });
  return {
    program,
    port,
    attack(attack: string, outcome: string, run: (t: Cleanup) => unknown): void {
      test(`${attack} → ${outcome}`, async () => {
        await withScope(run);
        await serveOthers(others);
        await untilAtMost(descriptors, held, 'descriptors', SOON);
        before ??= memoryOf(pid, 'VmRSS');
      });
    },
    serveOthers: () => serveOthers(others),
    metrics: () => withScope((t) => readMetrics(t, program)),
    memory: () => memoryOf(pid, 'VmRSS'),
    peak: () => memoryOf(pid, 'VmHWM'),
    forgetPeak: () => writeFileSync(`/proc/${pid}/clear_refs`, '5'),
  };
}

function serveOthers(others: Bystanders): Promise<void> {
  return withScope((t) => others.check(t));
}

async function withScope<T>(run: (t: Cleanup) => T): Promise<Awaited<T>> {
  const scope = new Scope();
  try {
    return await run(scope);
  } finally {
    await scope.undo();
  }
}

function memoryOf(pid: number, what: 'VmRSS' | 'VmHWM'): number {
  const kilobytes = new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

/** On a connection that does not stay, so that descriptors can be counted. */
async function readMetrics(t: Cleanup, program: Program): Promise<Exposition> {
  return parseExposition(await adminText(t, program, '/metrics'), 'text');
}

/** The body of an admin page. */
export async function adminText(t: Cleanup, program: Program, path: string): Promise<string> {
  const port = await adminPort(program);
  const answer = await (await connectRaw(t, port, `GET ${path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n`)).end();
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}

/** What an upstream does on a connection whose first head has arrived. */
export type Script = (peer: RawHttpPeer, head: string) => unknown;

/** A program in front of an upstream whose every byte is up to the attack. */
export interface HttpTarget extends Target {
  /** Heads that arrived upstream during this attack, those of bystanders apart. */
  readonly heads: readonly string[];
  /**
   * Connections that were made upstream during this attack. The proxy's own, on which it asks nothing when it doubts an
   * upstream, are among them until they end.
   */
  readonly dialled: readonly RawHttpPeer[];
  /** Rejects when any number but this was made for a request. */
  assertDialled(count: number): Promise<void>;
  /** The first of them, as soon as it has sent its head. */
  firstDialled(): Promise<RawHttpPeer>;
  /** Like `attack`, with an upstream that follows the script. Without one it serves everybody properly. */
  attackWith(attack: string, outcome: string, script: Script, run: (t: Cleanup) => unknown): void;
  /** Sends text, and resolves with everything that came back. */
  ask(t: Cleanup, text: string): Promise<RawHttpPeer>;
}

const BYSTANDER = 'X-Bystander: yes';

/** @param options without an upstream, which is given to `options` when it is there */
export async function startHttpTarget(
  options: ProgramOptions | ((upstreamPort: number, scope: Scope) => ProgramOptions | Promise<ProgramOptions>),
): Promise<HttpTarget> {
  const scope = new Scope();
  const current: { script: Script; heads: string[]; dialled: RawHttpPeer[] } = {
    script: serveProperly,
    heads: [],
    dialled: [],
  };
  const watch = new Watch();
  const forget = (peer: RawHttpPeer): void => {
    current.dialled = current.dialled.filter((other) => other !== peer);
  };
  const upstream = await startRawUpstream(scope, (peer) => {
    current.dialled.push(peer);
    for (const event of ['end', 'error']) {
      peer.socket.once(event, () => {
        if (peer.text === '') forget(peer);
      });
    }
    whenHeadArrived(peer, (head) => {
      if (head.includes(BYSTANDER)) {
        forget(peer);
        serveProperly(peer, head);
        return;
      }
      current.heads.push(head);
      watch.changed();
      void current.script(peer, head);
    });
  });
  const own = typeof options === 'function' ? await options(upstream.port, scope) : options;
  const args = own.args ?? ['--upstream', `http://127.0.0.1:${upstream.port}`];
  const target = await startTarget(scope, { ...own, args }, async (port) => httpBystanders(scope, port));
  const attackWith: HttpTarget['attackWith'] = (attack, outcome, script, run) =>
    target.attack(attack, outcome, async (t) => {
      Object.assign(current, { script, heads: [], dialled: [] });
      try {
        await run(t);
      } finally {
        for (const peer of current.dialled) peer.socket.destroy();
      }
    });
  return {
    ...target,
    get heads() {
      return current.heads;
    },
    get dialled() {
      return current.dialled;
    },
    async assertDialled(count) {
      await untilAtMost(() => current.dialled.length, count, 'connections upstream', SOON);
      assert.equal(current.dialled.length, count);
    },
    firstDialled: () => watch.until(() => current.heads.length > 0 && current.dialled[0], 'a request upstream'),
    attackWith,
    attack: (attack, outcome, run) => attackWith(attack, outcome, serveProperly, run),
    ask: (t, text) => connectRaw(t, target.port, text),
  };
}

/** Without a limit on time: a peer may leave before. */
function whenHeadArrived(peer: RawHttpPeer, run: (head: string) => void): void {
  function socketOnData(): void {
    const end = peer.text.indexOf('\r\n\r\n');
    if (end < 0) return;
    peer.socket.off('data', socketOnData);
    run(peer.text.slice(0, end + 4));
  }
  peer.socket.on('data', socketOnData);
}

/** Answers a WebSocket with 101 and every later chunk with a frame; anything else with its own head as the body. */
export function serveProperly(peer: RawHttpPeer, head: string): void {
  if (!/^upgrade: websocket/im.test(head)) {
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${head.length}\r\nConnection: close\r\n\r\n${head}`);
    peer.socket.end();
    return;
  }
  peer.send(switchingProtocols(head));
  peer.socket.on('data', () => peer.send('\x82\x02ok'));
  peer.socket.on('end', () => peer.socket.end());
}

/** One that has been there from the start, a new one, and plain HTTP. */
async function httpBystanders(scope: Scope, port: number): Promise<Bystanders> {
  const upgrade = upgradeRequest({
    line: 'GET /bystander HTTP/1.1',
    add: [BYSTANDER, 'Origin: https://rooms.example.com'],
  });
  const request = `GET /bystander HTTP/1.1\r\nHost: rooms.example.com\r\n${BYSTANDER}\r\nConnection: close\r\n\r\n`;
  const old = await connectRaw(scope, port, upgrade);
  await old.until('\r\n\r\n');
  const exchange = async (peer: RawHttpPeer): Promise<void> => {
    peer.text = '';
    peer.send('\x82\x82\0\0\0\0hi');
    await peer.until('\x82\x02ok');
  };
  return {
    check: async (t) => {
      await exchange(old);
      const fresh = await connectRaw(t, port, upgrade);
      assert.match(await fresh.head(), /^HTTP\/1\.1 101 /);
      await exchange(fresh);
      const plain = await connectRaw(t, port, request);
      assert.match(await plain.end(), /^HTTP\/1\.1 200 /);
    },
  };
}

/** A program in front of a proper WebSocket server, to be attacked from both sides of an open connection. */
export interface FrameTarget extends Target {
  readonly server: RawServer;
  /** Both ends of a new connection. */
  pair(
    t: Cleanup,
    options?: Partial<ConnectOptions>,
  ): Promise<{ readonly client: RawPeer; readonly upstream: RawPeer }>;
}

export async function startFrameTarget(settings: Readonly<Record<string, string>>): Promise<FrameTarget> {
  const scope = new Scope();
  const server = await startRawServer(scope);
  const args = ['--upstream', `http://127.0.0.1:${server.port}`];
  const pairOn = async (t: Cleanup, port: number, options: Partial<ConnectOptions> = {}) => {
    const [client, upstream] = await Promise.all([connectWebSocket(t, { ...options, port }), server.next()]);
    atEnd(t, () => upstream.socket.destroy());
    return { client, upstream };
  };
  const target = await startTarget(scope, { args, settings }, async (port) => {
    const old = await pairOn(scope, port);
    return {
      check: async (t) => {
        for (const pair of [old, await pairOn(t, port)]) await exchange(pair);
      },
    };
  });
  return { ...target, server, pair: (t, own) => pairOn(t, target.port, own) };
}

/** A message each way. */
export async function exchange({ client, upstream }: { client: RawPeer; upstream: RawPeer }): Promise<void> {
  client.sendFrame({ opcode: OPCODE.text, payload: 'up' });
  assert.equal((await upstream.nextMessage()).payload.toString(), 'up');
  upstream.sendFrame({ opcode: OPCODE.text, payload: 'down' });
  assert.equal((await client.nextMessage()).payload.toString(), 'down');
}

/** The status line's number. */
export function statusOf(head: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
}
