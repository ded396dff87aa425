import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { reportRefusedInput } from '../../src/server/refused-input.ts';
import { createFrontServer } from '../../src/server/server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { listen, memoryLog, rawClient } from '../support/http.ts';
import { upgradeRequest } from '../support/raw-http.ts';

async function start(t: TestContext) {
  const log = memoryLog();
  const counted: string[] = [];
  const clock = new FakeClock();
  const observer = {
    httpRequest: (route: string, status: number, refusal?: string) =>
      counted.push(`${route} ${status} ${refusal ?? '-'}`),
    upgradeFailed: ({ reason, client, status }: { reason: string; client: string; status: number }) =>
      counted.push(`${reason} ${client} ${status}`),
  };
  const server = createFrontServer({
    headerBytes: 16_384,
    headTimeoutMs: 200,
    onRequest: (_req, res) => res.end(),
    onUpgrade: (_req, socket) => socket.destroy(),
    onRefused: reportRefusedInput(observer, log, clock),
  });
  return { port: await listen(t, server), log, counted, clock };
}

test('what is no HTTP leaves one line with client and reason, and further ones are counted', async (t) => {
  const { port, log, counted, clock } = await start(t);
  for (let times = 0; times < 3; times++) await rawClient(t, port, 'GARBAGE\r\n\r\n').untilEnd();
  clock.advance(10_000);
  await rawClient(t, port, `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`).until('431 ');
  assert.deepEqual(
    log.lines.map(({ level, fields }) => [level, { ...fields, reason: '' }]),
    [
      ['warn', { client: '127.0.0.1', status: 400, code: 'HPE_INVALID_METHOD', reason: '', times: 1 }],
      ['warn', { client: '127.0.0.1', status: 431, code: 'HPE_HEADER_OVERFLOW', reason: '', times: 3 }],
    ],
  );
  assert.deepEqual(counted, [...Array(3).fill('none 400 bad_request'), 'none 431 header_limit']);
});

test('a handshake that the parser refuses counts among the upgrades that failed', async (t) => {
  const { port, counted } = await start(t);
  await rawClient(t, port, upgradeRequest({ add: [`Cookie: ${'x'.repeat(20_000)}`] })).until('431 ');
  assert.deepEqual(counted, ['bad_request 127.0.0.1 431']);
});

test('raw UTF-8 in a target is refused, and the answer says what to encode', async (t) => {
  const { port, log } = await start(t);
  const text = await rawClient(t, port, 'GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n').untilEnd();
  assert.match(text, /^HTTP\/1\.1 400 [^]*each of these bytes as % and two hexadecimal digits/);
  assert.match(JSON.stringify(log.lines), /not ASCII/);
});

test('a connection on which nothing came is no reason for a warning', async (t) => {
  const { port, log, counted } = await start(t);
  await rawClient(t, port).until('408 ');
  assert.deepEqual(counted, ['none 408 -']);
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ['debug'],
  );
});

test('a head that does not come to its end, and CONNECT, have reasons of their own', async (t) => {
  const { port, counted } = await start(t);
  await rawClient(t, port, 'GET / HTTP/1.1\r\n').until('408 ');
  await rawClient(t, port, 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n').until('405 ');
  assert.deepEqual(counted, ['none 408 timeout', 'none 405 method']);
});
