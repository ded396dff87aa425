/** Several upstreams for one route: killed and started again, one by one and in any order. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { adminGet, readStatus } from '../support/admin.ts';
import { freePort } from '../support/free-port.ts';
import { serveProperly, statusOf } from '../support/hostile.ts';
import { type Program, startProgram } from '../support/process.ts';
import { connectRaw, RawHttpPeer, upgradeRequest } from '../support/raw-http.ts';
import { untilAtMost } from '../support/resources.ts';

const PLAIN = 'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

/** A server that can die, with all of its connections, and come back at the same place. */
class Mortal {
  readonly port: number;
  /** Requests that it was sent. */
  asked = 0;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;

  constructor(port: number) {
    this.port = port;
  }

  get isUp(): boolean {
    return this.#server !== null;
  }

  async rise(): Promise<void> {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async die(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const socket of this.#sockets) socket.destroy();
    if (server === null) return;
    server.close();
    await once(server, 'close');
  }

  #take(socket: Socket): void {
    const peer = new RawHttpPeer(socket);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // The proxy tries whether it takes connections, and sends nothing.
    socket.on('end', () => socket.end());
    socket.once('data', () => {
      this.asked += 1;
      void peer.until('\r\n\r\n').then((head) => serveProperly(peer, head));
    });
  }
}

async function start(t: TestContext, count: number): Promise<{ program: Program; upstreams: Mortal[] }> {
  const upstreams: Mortal[] = [];
  while (upstreams.length < count) upstreams.push(new Mortal(await freePort(t)));
  for (const upstream of upstreams) {
    await upstream.rise();
    t.after(() => upstream.die());
  }
  const args = upstreams.flatMap(({ port }) => ['--upstream', `http://127.0.0.1:${port}`]);
  return { program: await startProgram(t, { args }), upstreams };
}

/** @returns the status of the answer */
async function ask(t: TestContext, port: number, request: string): Promise<number> {
  const peer = await connectRaw(t, port, request);
  const status = statusOf(await peer.head());
  peer.socket.destroy();
  return status;
}

const gauges = async (program: Program): Promise<string[]> =>
  (await (await adminGet(program, '/metrics')).text())
    .split('\n')
    .filter((line) => line.startsWith('ws_keepalive_upstream_up{'))
    .map((line) => line.replace(/^.*upstream="(\d)"\} (\d)$/, '$1: $2'));

test('the second of two upstreams serves while the first is away, and operators see it', async (t) => {
  const { program, upstreams } = await start(t, 2);
  const [first, second] = upstreams as [Mortal, Mortal];
  const { port, child } = program;
  const both = [101, 200];
  const askBoth = async (): Promise<number[]> => [await ask(t, port, upgradeRequest()), await ask(t, port, PLAIN)];
  assert.deepEqual(await askBoth(), both);
  assert.deepEqual([first.asked, second.asked], [2, 0]);
  await first.die();
  assert.deepEqual(await askBoth(), both);
  assert.deepEqual([first.asked, second.asked], [2, 2]);
  const lost = await child.log('upstream cannot be reached');
  assert.equal(lost['upstream'], `http://127.0.0.1:${first.port}`);
  assert.deepEqual(await gauges(program), ['0: 0', '1: 1']);
  const [route] = (await readStatus(program)).routes;
  assert.deepEqual(
    route?.upstreams.map(({ up }) => up),
    [false, true],
  );
  assert.equal((await adminGet(program, '/readyz')).status, 200);
  await second.die();
  assert.deepEqual(await askBoth(), [502, 502]);
  const unready = await adminGet(program, '/readyz');
  assert.equal(unready.status, 503);
  assert.equal((await unready.text()).split('takes no connections (').length, 3);
  await Promise.all([first.rise(), second.rise()]);
  await child.until(() => child.stdout.split('"msg":"upstream is back"').length > 2, 'both to be back');
  assert.deepEqual(await askBoth(), both);
  assert.deepEqual([first.asked, second.asked], [4, 2]);
});

test('whoever asks while any of three upstreams is there is served, in whatever order they come and go', async (t) => {
  const { program, upstreams } = await start(t, 3);
  const { port } = program;
  const seed = Date.now() % 2 ** 31;
  t.diagnostic(`seed ${seed}`);
  const random = randomFrom(seed);
  const descriptors = (): number => readdirSync(`/proc/${program.child.pid}/fd`).length;
  const before = descriptors();
  for (let round = 0; round < 60; round += 1) {
    const upstream = upstreams[random(upstreams.length)] as Mortal;
    const requests = Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? upgradeRequest() : PLAIN));
    // Half of the changes come while requests are under way: those have been sent to one that dies, perhaps.
    const early = random(2) === 0 ? requests.map((request) => ask(t, port, request)) : [];
    await (upstream.isUp ? upstream.die() : upstream.rise());
    for (const status of await Promise.all(early)) assert.ok([101, 200, 502].includes(status), `${status}`);
    const statuses = await Promise.all(requests.map((request) => ask(t, port, request)));
    const expected = upstreams.some(({ isUp }) => isUp) ? [101, 200] : [502];
    assert.deepEqual(
      [...new Set(statuses)].toSorted((a, b) => a - b),
      expected,
      `round ${round}`,
    );
  }
  for (const upstream of upstreams) await upstream.die();
  await untilAtMost(descriptors, before, 'descriptors');
});

/** Whole numbers below a bound. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
