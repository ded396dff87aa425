import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askHealth } from '../../src/admin/healthcheck.ts';
import { deadPort, listen, rawServer } from '../support/http.ts';
import { temporaryFolder } from '../support/process.ts';

async function admin(
  t: TestContext,
  status: number,
  path?: string,
  body = 'x',
): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((req, res) => {
    asked.push(`${req.method} ${req.url} ${req.headers.host}`);
    res.writeHead(status).end(body);
  });
  return { port: await listen(t, server, path), asked };
}

test('a listener that says it is alive is healthy', async (t) => {
  const { port, asked } = await admin(t, 200);
  assert.equal(await askHealth({ kind: 'tcp', host: '127.0.0.1', port }, '/healthz'), null);
  assert.deepEqual(asked, ['GET /healthz localhost']);
});

test('what listens everywhere is asked on the loopback address', async (t) => {
  const { port } = await admin(t, 200);
  assert.equal(await askHealth({ kind: 'tcp', host: '0.0.0.0', port }, '/healthz'), null);
});

test('what listens on every IPv6 address is asked on ::1', async () => {
  const port = await deadPort();
  assert.match((await askHealth({ kind: 'tcp', host: '::', port }, '/healthz')) ?? '', /::1|EADDRNOTAVAIL/);
});

test('a unix socket can be asked', async (t) => {
  const path = join(await temporaryFolder(t), 'admin.sock');
  await admin(t, 200, path);
  assert.equal(await askHealth({ kind: 'unix', path }, '/healthz'), null);
});

test('another answer is not healthy', async (t) => {
  const { port } = await admin(t, 404);
  assert.match((await askHealth({ kind: 'tcp', host: '127.0.0.1', port }, '/healthz')) ?? '', /answered 404/);
});

test('a port where nobody listens is not healthy', async () => {
  const fault = await askHealth({ kind: 'tcp', host: '127.0.0.1', port: await deadPort() }, '/healthz');
  assert.match(fault ?? '', /does not answer: .*ECONNREFUSED/);
});

test('a listener that hangs is not healthy', async (t) => {
  const { port } = await rawServer(t);
  assert.match(
    (await askHealth({ kind: 'tcp', host: '127.0.0.1', port }, '/healthz', 50)) ?? '',
    /no answer within 50 ms/,
  );
});

test('a proxy that reaches no upstream is alive and not ready, and says why', async (t) => {
  const { port, asked } = await admin(t, 503, undefined, 'no upstream takes connections\n');
  const fault = await askHealth({ kind: 'tcp', host: '127.0.0.1', port }, '/readyz');
  assert.equal(fault, 'not ready: no upstream takes connections');
  assert.deepEqual(asked, ['GET /readyz localhost']);
});

test('of what another program answers only the status is shown', async (t) => {
  const { port } = await admin(t, 500, undefined, 'x'.repeat(100_000));
  const fault = await askHealth({ kind: 'tcp', host: '127.0.0.1', port }, '/readyz');
  assert.equal(fault, "the admin listener answered 500, is it another program's?");
});
