import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { createSinkLogger } from '../support/log-sink.ts';

test('a line is one JSON object with level, time, message and fields, and nothing else', () => {
  const { sink, log } = createSinkLogger();
  log.info({ route: 'default', rtt_ms: 1.5, code: null }, 'websocket opened');
  const [line] = sink.lines();
  assert.ok(line);
  assert.match(String(line['time']), /^\d{4}-\d\d-\d\dT/);
  delete line['time'];
  assert.deepEqual(line, { level: 'info', route: 'default', rtt_ms: 1.5, code: null, msg: 'websocket opened' });
});

test('what is below the level is not written', () => {
  const { sink, log } = createSinkLogger({ level: 'warn' });
  log.info({}, 'quiet');
  log.warn({}, 'loud');
  assert.deepEqual(
    sink.lines().map((line) => line['msg']),
    ['loud'],
  );
});

test('credentials in headers never appear, in any spelling or shape', () => {
  const { sink, log } = createSinkLogger({ query: 'keep' });
  const secret = 'hunter2';
  log.info({ authorization: secret, headers: { Cookie: secret, 'set-cookie': [secret], ok: 'shown' } }, 'a');
  log.info({ deep: { er: { headers: { 'Sec-WebSocket-Protocol': secret } } } }, 'b');
  log.info({ rawHeaders: ['Host', 'h', 'Authorization', secret, 'Proxy-Authorization', secret] }, 'c');
  log.child({ cookie: secret, headers: { authorization: secret, 'set-cookie': secret } }).info({ token: secret }, 'd');
  assert.equal(sink.lines().length, 4);
  assert.ok(!sink.text.includes(secret), sink.text);
  assert.ok(sink.text.includes('"ok":"shown"'));
  assert.ok(sink.text.includes('"Host","h","Authorization","[redacted]"'));
});

test('query values are hidden in every string, whatever the field is called', () => {
  const { sink, log } = createSinkLogger();
  log.warn({ detail: 'GET /ws?password=hunter2 gave 502', list: ['/file?pwd=hunter2'] }, 'upgrade failed');
  assert.ok(!sink.text.includes('hunter2'), sink.text);
});

test('with query: keep a harmless value stays and a secret one goes', () => {
  const { sink, log } = createSinkLogger({ query: 'keep' });
  log.warn({ path: '/ws?room=blue&token=hunter2' }, 'x');
  assert.equal(sink.lines()[0]?.['path'], '/ws?room=blue&token=[redacted]');
});

test('an error is logged with type, code and stack, but without URLs or what hangs on it', () => {
  const { sink, log } = createSinkLogger();
  const inner = Object.assign(new Error('connect http://neko:8080/api?token=hunter2'), {
    code: 'ECONNREFUSED',
    syscall: 'connect',
  });
  const error = Object.assign(new TypeError('GET wss://joe:hunter2@neko/ws failed', { cause: inner }), {
    input: 'hunter2',
  });
  log.error({ err: error }, 'a');
  log.error(error, 'b');
  log.error({ problem: new AggregateError([inner], 'all failed') }, 'c');
  assert.ok(!sink.text.includes('hunter2'), sink.text);
  const [first, second, third] = sink.lines();
  assert.ok(first && second && third);
  const err = first['err'] as {
    type: string;
    message: string;
    stack: string;
    cause: { code: string; syscall: string };
  };
  assert.equal(err.type, 'TypeError');
  assert.equal(err.message, 'GET [url] failed');
  assert.match(err.stack, /logger\.test\.ts/);
  assert.equal(err.cause.code, 'ECONNREFUSED');
  assert.equal(err.cause.syscall, 'connect');
  assert.equal((second['err'] as typeof err).message, 'GET [url] failed');
  assert.equal((third['problem'] as { errors: (typeof err.cause)[] }).errors[0]?.code, 'ECONNREFUSED');
});

test('objects that hold whole requests are named, not shown', () => {
  const { sink, log } = createSinkLogger();
  const request = new IncomingMessage(new Socket());
  request.url = '/ws?password=hunter2';
  request.headers.cookie = 'hunter2';
  log.info({ request, bytes: Buffer.from('hunter2'), map: new Map([['a', 'hunter2']]) }, 'x');
  request.destroy();
  const [line] = sink.lines();
  assert.deepEqual([line?.['request'], line?.['bytes'], line?.['map']], ['[IncomingMessage]', '[Buffer]', '[Map]']);
});

test('odd values do not break a line', () => {
  const { sink, log } = createSinkLogger();
  const loop: Record<string, unknown> = { big: 10n, never: Infinity, at: new Date(0), none: undefined };
  loop['loop'] = loop;
  log.info(loop, 'x');
  const [line] = sink.lines();
  assert.deepEqual([line?.['big'], line?.['never'], line?.['at']], ['10', 'Infinity', '1970-01-01T00:00:00.000Z']);
  assert.ok(sink.text.includes('[deep]'));
});

test('the readable format says the same on one line', () => {
  const { sink, log } = createSinkLogger({ format: 'pretty' });
  log.info({ route: 'default', path: '/ws?password=hunter2' }, 'websocket opened');
  assert.match(sink.text, /INFO.*: websocket opened \{.*"route":"default".*\}\n$/);
  assert.ok(!sink.text.includes('hunter2'));
  assert.equal(sink.text.split('\n').length, 2);
});

test('the last line is there even when the process exits right after it', () => {
  for (const format of ['json', 'pretty', 'auto']) {
    const code = `import { createLogger } from './src/observe/logger.ts';
      createLogger({ level: 'info', format: '${format}', query: 'redact' }).info({ a: 1 }, 'last words');
      process.exit(3);`;
    const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      cwd: new URL('../..', import.meta.url),
      encoding: 'utf8',
    });
    assert.equal(child.status, 3, child.stderr);
    assert.match(child.stdout, /last words/);
    assert.equal(child.stdout.startsWith('{'), format !== 'pretty');
  }
});
