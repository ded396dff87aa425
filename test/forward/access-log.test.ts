import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { startApp } from '../support/app.ts';
import { listen, rawClient } from '../support/http.ts';
import { Watch } from '../support/watch.ts';

/** An upstream that answers with ten bytes, and says which request ids it got. */
async function upstream(t: TestContext) {
  const ids: unknown[] = [];
  const server = createServer((req, res) => {
    ids.push(req.headers['x-request-id']);
    if (req.url?.startsWith('/hang')) return;
    req.resume().on('end', () => res.end('0123456789'));
  });
  return { port: await listen(t, server), ids };
}

async function start(t: TestContext, settings: Readonly<Record<string, string>> = {}) {
  const { port, ids } = await upstream(t);
  const app = await startApp(t, { UPSTREAM: `http://127.0.0.1:${port}`, LOG_REQUESTS: 'true', ...settings });
  return { app, ids };
}

test('with log.requests every request has one line, with the fields of the others and the id that the upstream got', async (t) => {
  const { app, ids } = await start(t);
  const head = 'Host: neko.example\r\nUser-Agent: tester\r\nX-Forwarded-For: 203.0.113.7\r\nX-Request-ID: abc\r\n';
  const client = rawClient(t, app.port, `GET /stats?pwd=hunter2 HTTP/1.1\r\n${head}Connection: close\r\n\r\n`);
  await client.untilEnd();
  await app.until(() => app.requests.length === 1, 'the end of the request');
  const [line, ...others] = app.sink.lines('request');
  assert.ok(line);
  assert.deepEqual(others, []);
  const { time: _time, duration_ms: duration, bytes_up: up, bytes_down: down, ...rest } = line;
  assert.deepEqual(rest, {
    level: 'info',
    route: 'default',
    client: '203.0.113.7',
    method: 'GET',
    path: '/stats?pwd=[redacted]',
    status: 200,
    host: 'neko.example',
    user_agent: 'tester',
    request_id: 'abc',
    msg: 'request',
  });
  assert.ok(Number(duration) >= 0 && Number(up) >= 0 && Number(down) > 10, JSON.stringify(line));
  assert.deepEqual(ids, ['abc']);
});

test('an id that the proxy made is the same in the line and at the upstream', async (t) => {
  const { app, ids } = await start(t);
  await rawClient(t, app.port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').untilEnd();
  await app.until(() => app.requests.length === 1, 'the end of the request');
  assert.deepEqual(ids, [app.sink.lines('request')[0]?.['request_id']]);
});

test('a client that leaves is logged with 499, and a request that was refused with its status', async (t) => {
  const { app, ids } = await start(t);
  const leaving = rawClient(t, app.port, 'GET /hang HTTP/1.1\r\nHost: x\r\n\r\n');
  const watch = new Watch();
  const poll = setInterval(() => watch.changed(), 10);
  await watch.until(() => ids.length === 1, 'the request at the upstream');
  clearInterval(poll);
  leaving.socket.resetAndDestroy();
  await app.until(() => app.requests.length === 1, 'the end of the first');
  await rawClient(t, app.port, 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n').untilEnd();
  await app.until(() => app.requests.length === 2, 'the end of the second');
  assert.deepEqual(
    app.sink.lines('request').map(({ status }) => status),
    [499, 400],
  );
});

test('without log.requests there is no such line', async (t) => {
  const { app } = await start(t, { LOG_REQUESTS: 'false' });
  await rawClient(t, app.port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').untilEnd();
  await app.until(() => app.requests.length === 1, 'the end of the request');
  assert.deepEqual(app.sink.lines('request'), []);
});
