/** Plain HTTP at full rate, a thousand quiet WebSockets and one misbehaving peer of each kind: nobody else notices. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openCrowd } from '../support/crowd.ts';
import { buildFrame, OPCODE } from '../support/frames.ts';
import { exchange } from '../support/hostile.ts';
import { listen, plainServer } from '../support/http.ts';
import { type Child, startChild, startProgram, temporaryFolder } from '../support/process.ts';
import { connectRaw as connectHttp, upgradeRequest } from '../support/raw-http.ts';
import { connectRaw, startRawServer } from '../support/raw-websocket.ts';
import { requireProgram, skipWithout } from '../support/requirements.ts';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const QUIET = 1000;
const SECONDS = 4;
const MASK = Buffer.of(1, 2, 3, 4);
const ping = buildFrame({ opcode: OPCODE.ping, payload: 'x', mask: MASK });

/** What each does on an open connection, again and again. */
const FRAMES: readonly Buffer[] = [
  Buffer.concat(Array<Buffer>(1000).fill(ping)),
  buildFrame({ opcode: OPCODE.text, payload: 'unmasked' }),
  buildFrame({ opcode: 0xf, payload: 'reserved', mask: MASK }),
  buildFrame({ opcode: OPCODE.binary, claimed: 2n ** 63n, lengthBytes: 8, mask: MASK }),
  buildFrame({ opcode: OPCODE.binary, claimed: 2n ** 40n, lengthBytes: 8, mask: MASK }),
  buildFrame({ opcode: OPCODE.continuation, fin: false, mask: MASK }),
  buildFrame({ opcode: OPCODE.pong, payload: 'deadbeef', mask: MASK }),
  buildFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(1024 * 1024), mask: MASK }),
  Buffer.alloc(4096, 0xa5),
];

/** What each sends in place of a request. */
const TEXTS: readonly string[] = [
  'GET /mean HTTP/1.1\r\nHost: a\r\nX-A: ',
  upgradeRequest({ line: 'GET /mean HTTP/1.1', set: { 'Sec-WebSocket-Version': '1337' } }),
  upgradeRequest({ line: 'GET /nowhere HTTP/1.1' }),
  `POST /mean HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
  '\x16\x03\x01\x02\0\x01\0',
];

/** Misbehaves until wrk has finished; one peer of each kind at a time. */
async function misbehave(t: TestContext, port: number, wrk: Child): Promise<number> {
  let rounds = 0;
  for (; wrk.exit === null; rounds += 1) {
    const frames = FRAMES.map(async (bytes) => {
      const peer = await connectRaw(t, { port, path: '/mean', autoPong: false });
      peer.stopReading();
      peer.socket.write(bytes);
      return peer.socket;
    });
    const texts = TEXTS.map(async (text) => (await connectHttp(t, port, text)).socket);
    const sockets = await Promise.all([...frames, ...texts]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const [index, socket] of sockets.entries()) {
      if (index % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }
  }
  return rounds;
}

test('wrk on plain HTTP, a thousand quiet WebSockets and misbehaving peers → no other connection is lost', {
  skip: skipWithout('wrk'),
}, async (t) => {
  const [quiet, mean] = [await startRawServer(t), await startRawServer(t)];
  const plain = await listen(
    t,
    plainServer((_req, res) => res.end('hello')),
  );
  const folder = await temporaryFolder(t);
  const routes = Object.entries({ '/quiet': quiet.port, '/mean': mean.port, '/plain': plain }).map(
    ([path, port]) => `  - { path: ${path}, upstream: 'http://127.0.0.1:${port}' }\n`,
  );
  await writeFile(join(folder, 'config.yaml'), `routes:\n${routes.join('')}timeouts: { drain: 100ms }\n`);
  const { child, port } = await startProgram(t, { args: ['--config', join(folder, 'config.yaml')] });
  const crowd = await openCrowd(t, QUIET, { port, path: '/quiet' }, quiet);

  const url = `http://127.0.0.1:${port}/plain`;
  const wrk = startChild(t, requireProgram('wrk'), ['-t1', '-c20', `-d${SECONDS}s`, url]);
  const rounds = await misbehave(t, port, wrk);
  assert.ok(rounds > 5, `${rounds} rounds`);
  assert.match(wrk.stdout, /[1-9]\d* requests in/);
  assert.doesNotMatch(wrk.stdout, /Socket errors|Non-2xx/);

  for (const [index, client] of crowd.clients.entries()) {
    const upstream = crowd.upstreams[index];
    assert.ok(upstream !== undefined && client.ended === null && upstream.ended === null);
    client.sendFrame({ opcode: OPCODE.text, payload: `${index}` });
  }
  const heard = await Promise.all(crowd.upstreams.map(async (peer) => (await peer.nextMessage()).payload.toString()));
  assert.equal(new Set(heard).size, QUIET);
  const lost = child.logs.filter((line) => line['msg'] === 'websocket closed' && line['path'] !== '/mean');
  assert.deepEqual(lost, []);
  const fresh = await connectRaw(t, { port, path: '/quiet' });
  await exchange({ client: fresh, upstream: await quiet.next() });
});
