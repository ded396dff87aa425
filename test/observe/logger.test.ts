import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { BoundedOutput } from '../../src/observe/log/log-output.ts';
import { formatForTerminal } from '../../src/observe/log/terminal-format.ts';
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

test('on a terminal a line is for people, and the fields stay in JSON', () => {
  const { sink, log } = createSinkLogger({ format: 'pretty' });
  const who = { route: 'default', client: '203.0.113.7', path: '/ws?password=hunter2' };
  log.info({ ...who, id: 'c1' }, 'websocket opened');
  log.info({ ...who, duration_ms: 120_000, verdict: 'The browser left normally.' }, 'websocket closed');
  log.warn({ ...who, route: 'a', status: 502, detail: 'refused', verdict: 'Unreachable.' }, 'upgrade failed');
  log.warn({ route: 'a', upstream: 'http://neko:8080', error: 'ECONNREFUSED' }, 'upstream cannot be reached');
  log.info({ route: 'a', upstream: 'http://neko:8080' }, 'upstream is back');
  log.info({ ...who, status: 200, method: 'GET', duration_ms: 12.3 }, 'request');
  log.info({ address: '127.0.0.1:8080' }, 'listening');
  const lines = sink.text.split('\n');
  for (const line of lines.slice(0, -1)) assert.match(line, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ (INFO |WARN ) /);
  assert.deepEqual(
    lines.map((line) => line.slice('2030-01-01 00:00:00Z INFO  '.length)),
    [
      'opened 203.0.113.7 /ws?password=[redacted]',
      'closed 203.0.113.7 /ws?password=[redacted] after 2 min: The browser left normally.',
      'failed 203.0.113.7 /ws?password=[redacted] (a) with 502: Unreachable. (refused)',
      'upstream http://neko:8080 of route a cannot be reached: ECONNREFUSED',
      'upstream http://neko:8080 of route a is back',
      '200 GET /ws?password=[redacted] for 203.0.113.7 in 0 s',
      'listening  address=127.0.0.1:8080',
      '',
    ],
  );
});

for (const [ms, words] of [
  [1_234, '1.2 s'],
  [59_900, '59 s'],
  [95_000, '1 min 35 s'],
  [3_599_000, '59 min'],
  [7_500_000, '2 h 5 min'],
  [100_000_000, '1 d 3 h'],
] as const)
  test(`a terminal says ${words} for ${ms} ms`, () => {
    const line = JSON.stringify({ level: 'info', time: '', msg: 'websocket closed', duration_ms: ms, verdict: '' });
    assert.ok(formatForTerminal(line, false).includes(` after ${words}: `));
  });

test('on a terminal an error shows its stack, levels are coloured, and what came from outside moves no cursor', () => {
  const line = (fields: object): string => JSON.stringify({ time: '2030-01-01T00:00:00.000Z', ...fields });
  const failed = line({ level: 'error', msg: 'failed', err: { message: 'no', stack: 'Error: no\n  at x' } });
  const shown = formatForTerminal(failed, true);
  assert.ok(shown.startsWith('\u001b[31m'), shown);
  assert.ok(shown.endsWith('ERROR\u001b[39m failed\nError: no\n  at x\n'), shown);
  const evil = line({ level: 'info', msg: 'x', reason: '\u001b[2J\rgone\u009b1m' });
  assert.match(formatForTerminal(evil, false), /INFO {2}x {2}reason= *gone/);
});

test('of warnings that say the same, twenty pass in ten seconds, and the next one says how many did not', () => {
  const clock = { now: 0 };
  const { sink, log } = createSinkLogger({}, () => clock.now);
  for (let index = 0; index < 100; index += 1) log.warn({ reason: 'limit', route: 'a' }, 'upgrade failed');
  log.warn({ reason: 'limit', route: 'b' }, 'upgrade failed');
  log.warn({ reason: 'origin', route: 'a' }, 'upgrade failed');
  log.error({ reason: 'limit', route: 'a' }, 'upgrade failed');
  assert.equal(sink.lines().length, 23);
  clock.now = 10_000;
  log.warn({ reason: 'limit', route: 'a' }, 'upgrade failed');
  assert.equal(sink.lines().at(-1)?.['left_out'], 80);
  log.warn({ reason: 'limit', route: 'a' }, 'upgrade failed');
  assert.equal(sink.lines().at(-1)?.['left_out'], undefined);
});

test('warnings that were left out and followed by none are told after ten seconds', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const clock = { now: 0 };
  const { sink, log } = createSinkLogger({}, () => clock.now);
  for (let index = 0; index < 25; index += 1) log.warn({ reason: 'limit', route: 'a' }, 'upgrade failed');
  clock.now = 9_000;
  t.mock.timers.tick(10_000);
  assert.equal(sink.lines('warnings left out').length, 0);
  clock.now = 19_000;
  t.mock.timers.tick(10_000);
  const [line] = sink.lines('warnings left out');
  assert.deepEqual([line?.['left_out'], line?.['kinds']], [5, { 'upgrade failed limit a': 5 }]);
});

/** A reader that takes nothing until it is told to. */
function stoppedReader() {
  const taken: string[] = [];
  let waiting: (() => void) | null = null;
  const stream = new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      taken.push(text);
      waiting = done;
    },
  });
  const go = (): void => {
    const done = waiting;
    waiting = null;
    done?.();
  };
  return { taken, stream, go };
}

test('a reader that stops costs a mebibyte and then lines, which are counted and told of when it goes on', async () => {
  const { taken, stream, go } = stoppedReader();
  const output = new BoundedOutput(stream);
  const line = `${'x'.repeat(1023)}\n`;
  for (let index = 0; index < 1_100; index += 1) output.write(line);
  assert.equal(output.dropped, 76);
  while (stream.writableLength > 0) {
    go();
    await setImmediate();
  }
  const told = JSON.parse(taken.at(-1) ?? '') as Record<string, unknown>;
  assert.deepEqual([told['msg'], told['lines'], told['level']], ['log lines dropped', 76, 'warn']);
  assert.equal(output.dropped, 76);
});

test('an end waits for a reader that takes what there is, and a second for one that does not', async (t) => {
  const { stream, go } = stoppedReader();
  const output = new BoundedOutput(stream);
  await output.flush();
  output.write('last words\n');
  const flushed = output.flush();
  while (stream.writableLength > 0) {
    go();
    await setImmediate();
  }
  await flushed;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  output.write('nobody reads this\n');
  const given = output.flush();
  t.mock.timers.tick(1_000);
  await given;
});

test('a reader that is gone ends nothing', () => {
  const { stream } = stoppedReader();
  const output = new BoundedOutput(stream);
  stream.destroy(new Error('EPIPE'));
  output.write('x\n');
  assert.equal(output.dropped, 1);
});

test('the last line is there even when the process exits right after it', () => {
  for (const format of ['json', 'pretty', 'auto']) {
    const code = `import { createLogger } from './src/observe/log/logger.ts';
      createLogger({ level: 'info', format: '${format}', query: 'redact', requests: false }).info({ a: 1 }, 'last words');
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
