/** What V8's collector does to the built program. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { listen, plainServer } from '../support/http.ts';
import { startProgram } from '../support/process.ts';

const MIB = 1024 * 1024;
const BODY = 512 * MIB;
/** A look at an idle heap comes every five seconds, and the second one sees a quiet process for sure. */
const QUIET_PATIENCE = 30_000;
/** Full collections during one body. There are 16 where V8 leaves the heap little room to grow, else 0 (Node 20) to 9 (Node 24). */
const MOST_COLLECTIONS = 12;

async function download(port: number): Promise<void> {
  const get = http.request({ port, host: '127.0.0.1', agent: false }).end();
  const [answer] = (await once(get, 'response')) as [http.IncomingMessage];
  let bytes = 0;
  for await (const chunk of answer) bytes += (chunk as Buffer).length;
  assert.equal(bytes, BODY);
}

test('a large body after a quiet moment does not have the whole heap searched again and again', async (t) => {
  const upstream = plainServer((_req, res) => void pour(res));
  async function pour(res: http.ServerResponse): Promise<void> {
    res.writeHead(200, { 'Content-Length': BODY });
    const chunk = Buffer.alloc(MIB);
    for (let sent = 0; sent < BODY; sent += MIB) if (!res.write(chunk)) await once(res, 'drain');
    res.end();
  }
  const address = `http://127.0.0.1:${await listen(t, upstream)}`;
  const { child, port } = await startProgram(t, { nodeArgs: ['--trace-gc'], args: ['--upstream', address] });
  const collections = (): string[] => child.stdout.split('\n').filter((text) => text.includes('Mark-Compact'));
  await download(port);
  await child.until(
    () => child.stdout.includes('low memory notification'),
    'a collection in a quiet moment',
    QUIET_PATIENCE,
  );
  const before = collections().length;
  await download(port);
  const during = collections().slice(before);
  assert.ok(during.length <= MOST_COLLECTIONS, during.join('\n'));
});
