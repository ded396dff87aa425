import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fullPort } from '../support/full-port.ts';
import { createAgentPool } from '../../src/forward/upstream-agent.ts';
import { routeTo } from '../support/routes.ts';
import { answerKept, front, listen, OK, rawClient, rawServer, tcpTarget, unixTarget } from '../support/http.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** A client that was answered, and the connection to the upstream that is kept. */
async function setUpKept(t: TestContext) {
  const upstream = await rawServer(t);
  const { port, log } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, GET);
  const first = await upstream.next();
  await answerKept(first, client);
  return { upstream, log, client, first };
}

test('connections to the upstream are kept and used again', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  for (let i = 0; i < 3; i += 1) {
    await answerKept(server, client);
    if (i < 2) client.write(GET);
  }
  assert.equal(upstream.count(), 1);
});

test('a Node that adds requests in its own way gets connections to the same place, and keeps them', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port));
  const target = tcpTarget(upstream.port);
  const pool = createAgentPool({ ca: 'system', verify: true });
  const agents = Object.getPrototypeOf(pool.agentFor(target, routeTo(target))) as Partial<http.Agent>;
  const { addRequest } = agents;
  t.after(() => Object.assign(agents, { addRequest }));
  assert.ok(Reflect.deleteProperty(agents, 'addRequest'));
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  for (let i = 0; i < 2; i += 1) {
    await answerKept(server, client);
    if (i === 0) client.write(GET);
  }
  assert.equal(upstream.count(), 1);
});

test('a kept connection that dies under a request without a body is replaced', async (t) => {
  const { upstream, log, client, first } = await setUpKept(t);
  client.write(GET);
  await first.until('\r\n\r\n');
  first.socket.destroy();
  const second = await upstream.next();
  await second.until('\r\n\r\n');
  second.write(OK);
  assert.match(await client.until('ok'), /^HTTP\/1\.1 200/);
  assert.deepEqual(log.lines, []);
});

test('kept connections that die one after another under the same request are all replaced, by a new one', async (t) => {
  const upstream = await rawServer(t);
  const { port, log } = await front(t, tcpTarget(upstream.port));
  const clients = [rawClient(t, port, GET), rawClient(t, port, GET), rawClient(t, port, GET)];
  const kept = [await upstream.next(), await upstream.next(), await upstream.next()];
  for (const server of kept) {
    await server.until('\r\n\r\n');
    server.write(OK);
  }
  const [client, ...others] = clients;
  for (const other of others) await other.until('ok');
  await client?.until('ok');
  for (const server of kept) server.socket.once('data', () => server.socket.destroy());
  client?.write(GET);
  const fresh = await upstream.next();
  await fresh.until('\r\n\r\n');
  fresh.write(OK);
  assert.match((await client?.until('ok')) ?? '', /^HTTP\/1\.1 200/);
  assert.deepEqual(log.lines, []);
  for (const server of kept) assert.ok(server.socket.destroyed);
});

test('a new connection that dies is not replaced, whatever died before it', async (t) => {
  const { upstream, client, first } = await setUpKept(t);
  client.write(GET);
  await first.until('\r\n\r\n');
  first.socket.destroy();
  const second = await upstream.next();
  await second.until('\r\n\r\n');
  second.socket.destroy();
  assert.match(await client.until('reached'), /^HTTP\/1\.1 502 /);
  assert.equal(upstream.count(), 2);
});

test('a kept connection that dies under a request that may have done something is not replaced', async (t) => {
  for (const request of [
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi',
    'DELETE / HTTP/1.1\r\nHost: a\r\n\r\n',
  ]) {
    const { upstream, client, first } = await setUpKept(t);
    client.write(request);
    await first.until(request.slice(-4));
    first.socket.destroy();
    assert.match(await client.until('reached'), /^HTTP\/1\.1 502 /);
    assert.equal(upstream.count(), 1);
  }
});

test('an answer that nobody asked for reaches nobody, and ends its connection', async (t) => {
  const { upstream, client, first } = await setUpKept(t);
  first.write(OK.replace('ok', 'no'));
  await first.untilEnd();
  client.write(GET);
  const second = await upstream.next();
  await second.until('\r\n\r\n');
  second.write(OK);
  assert.match(await client.until('ok'), /^HTTP\/1\.1 200/);
});

test('an upstream that is slow to secure the connection gives 504', async (t) => {
  const upstream = await rawServer(t);
  const { port, log } = await front(t, tcpTarget(upstream.port, true), { connect: 50 });
  assert.match(await rawClient(t, port, GET).until('in time'), /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  assert.match(JSON.stringify(log.lines), /"status":504,"code":"ETIMEDOUT"/);
});

test('an upstream that is slow to accept gives 504', async (t) => {
  const { port } = await front(t, tcpTarget(await fullPort(t)), { connect: 50 });
  assert.match(await rawClient(t, port, GET).until('in time'), /^HTTP\/1\.1 504 /);
});

test('the connect limit ends with the connection: an answer may take longer', async (t) => {
  const upstream = await rawServer(t);
  const { port } = await front(t, tcpTarget(upstream.port), { connect: 20 });
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  await server.until('\r\n\r\n');
  // Of two timers of the same length the earlier fires first, so the limit has had its chance.
  await new Promise((resolve) => setTimeout(resolve, 20));
  server.write(OK);
  assert.match(await client.until('ok'), /^HTTP\/1\.1 200/);
});

test('a unix socket serves as an upstream', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'http-forward-'));
  t.after(() => rm(folder, { recursive: true }));
  const upstream = await rawServer(t, join(folder, 's'));
  const { port } = await front(t, unixTarget(join(folder, 's')));
  const client = rawClient(t, port, GET);
  const server = await upstream.next();
  assert.match(await server.until('\r\n\r\n'), /^GET \/ HTTP\/1\.1\r\nHost: a\r\n/);
  server.write(OK);
  await client.until('ok');
});

/** An https server for `localhost` that answers with the server name it was asked for. */
async function secureUpstream(t: TestContext): Promise<{ port: number; ca: string }> {
  const file = (name: string): Promise<string> =>
    readFile(new URL(`../fixtures/localhost.${name}.pem`, import.meta.url), 'utf8');
  const [cert, key] = await Promise.all([file('cert'), file('key')]);
  const server = https.createServer({ cert, key }, (req, res) => {
    res.end(`sni=${String('servername' in req.socket && req.socket.servername)}, host=${String(req.headers.host)}.`);
  });
  return { port: await listen(t, server), ca: cert };
}

test('TLS is spoken to the name in the configuration, not to the one in Host', async (t) => {
  const { port: secure, ca } = await secureUpstream(t);
  const { port } = await front(t, tcpTarget(secure, true, 'localhost'), { upstreamTls: { ca, verify: true } });
  assert.match(await rawClient(t, port, GET).until('sni'), /^HTTP\/1\.1 200 [^]*sni=localhost, host=a\./);
});

test('a certificate that cannot be verified is 502, unless verification is off', async (t) => {
  const { port: secure } = await secureUpstream(t);
  const strict = await front(t, tcpTarget(secure, true, 'localhost'));
  assert.match(await rawClient(t, strict.port, GET).until('reached'), /^HTTP\/1\.1 502 /);
  assert.match(JSON.stringify(strict.log.lines), /DEPTH_ZERO_SELF_SIGNED_CERT/);
  const lax = await front(t, tcpTarget(secure, true), { upstreamTls: { ca: 'system', verify: false } });
  assert.match(await rawClient(t, lax.port, GET).until('sni'), /^HTTP\/1\.1 200 /);
});
