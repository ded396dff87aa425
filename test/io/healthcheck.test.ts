import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askHealth } from '../../src/io/healthcheck.ts';
import { deadPort, listen, rawServer } from '../support/http.ts';
import { temporaryFolder } from '../support/process.ts';

async function admin(t: TestContext, status: number, path?: string): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((req, res) => {
    asked.push(`${req.method} ${req.url} ${req.headers.host}`);
    res.writeHead(status).end('x');
  });
  return { port: await listen(t, server, path), asked };
}

test('a listener that says it is alive is healthy', async (t) => {
  const { port, asked } = await admin(t, 200);
  assert.equal(await askHealth({ kind: 'tcp', host: '127.0.0.1', port }), null);
  assert.deepEqual(asked, ['GET /healthz localhost']);
});

test('what listens everywhere is asked on the loopback address', async (t) => {
  const { port } = await admin(t, 200);
  assert.equal(await askHealth({ kind: 'tcp', host: '0.0.0.0', port }), null);
});

test('what listens on every IPv6 address is asked on ::1', async () => {
  const port = await deadPort();
  assert.match((await askHealth({ kind: 'tcp', host: '::', port })) ?? '', /::1|EADDRNOTAVAIL/);
});

test('a unix socket can be asked', async (t) => {
  const path = join(await temporaryFolder(t), 'admin.sock');
  await admin(t, 200, path);
  assert.equal(await askHealth({ kind: 'unix', path }), null);
});

test('another answer is not healthy', async (t) => {
  const { port } = await admin(t, 404);
  assert.match((await askHealth({ kind: 'tcp', host: '127.0.0.1', port })) ?? '', /answered 404/);
});

test('a port where nobody listens is not healthy', async () => {
  const fault = await askHealth({ kind: 'tcp', host: '127.0.0.1', port: await deadPort() });
  assert.match(fault ?? '', /does not answer: .*ECONNREFUSED/);
});

test('a listener that hangs is not healthy', async (t) => {
  const { port } = await rawServer(t);
  assert.match((await askHealth({ kind: 'tcp', host: '127.0.0.1', port }, 50)) ?? '', /no answer within 50 ms/);
});
