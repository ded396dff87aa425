import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import { createFrontServer } from '../../src/io/server.ts';
import { listen, rawClient } from '../support/http.ts';

const GET = 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n';
const WEBSOCKET = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const H2C = 'GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n';

/** A server that answers /slow only once it has been asked for it twice, and greets on an upgraded socket. */
function start(t: TestContext): Promise<number> {
  const slow: ServerResponse[] = [];
  const server = createFrontServer({
    headerBytes: 16_384,
    headTimeoutMs: 15_000,
    onRequest: (req, res) => {
      if (req.url !== '/slow') res.end(req.url);
      else if (slow.push(res) === 2) setImmediate(() => slow.forEach((answer) => answer.end('slow answer')));
    },
    onUpgrade: (_req, socket) => socket.end('upgraded'),
    onRefused: () => assert.fail('nothing is refused'),
  });
  return listen(t, server);
}

for (const [name, request, greeting] of [
  ['a WebSocket', WEBSOCKET, 'upgraded'],
  ['an ignored upgrade', H2C, '/h2c'],
] as const) {
  test(`${name} pipelined behind requests waits for their answers`, async (t) => {
    const client = rawClient(t, await start(t), GET + GET + request);
    const text = await client.untilEnd();
    assert.deepEqual(text.match(/slow answer|upgraded|\/h2c/g), ['slow answer', 'slow answer', greeting]);
  });
}
