import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EndFacts, explainEnd, judgePings } from '../../src/doctor/lifetime.ts';

function words(end: Partial<EndFacts>): string {
  const facts = { code: 1006, reason: '', disconnect: null, idleMs: 0, watchedMs: 70_000, path: '/ws', ...end };
  const { level, text, advice } = explainEnd(facts);
  assert.equal(level, 'bad');
  return `${text} | ${advice}`;
}

test('a cut after silence names its likely owner and the interval', () => {
  assert.match(
    words({ idleMs: 60_030 }),
    /^cut without a Close frame after 60 s of silence, the idle limit of nginx .*ping_interval: 10s or less\.$/,
  );
  assert.match(words({ idleMs: 7000 }), /after 7 s of silence \| .*ping_interval: 3s or less\.$/);
});

test('a cut amid traffic is no idle limit', () => {
  assert.match(words({ idleMs: 999 }), /^cut after 70 s without a Close frame, though it was not idle \| .*reloaded/);
});

test('closes are told with code and reason', () => {
  assert.match(
    words({ code: 1012, reason: 'proxy is stopping' }),
    /after 70 s with code 1012 \("proxy is stopping"\) \| .*restarted/,
  );
  assert.match(words({ code: 4001 }), /with code 4001 \| The log/);
  assert.match(words({ code: 1005 }), /^closed by the server after 70 s, without a code/);
});

test('Neko sending a client away at once means the password, later it does not', () => {
  const early = words({ disconnect: 'invalid password', watchedMs: 40 });
  assert.match(
    early,
    /^Neko let it in and sent it away at once \("invalid password"\) \| Check the password.*\/ws\?password=/,
  );
  assert.match(
    words({ disconnect: '', watchedMs: 40, path: '/api/ws' }),
    /at once \| Check the password: a wrong one looks like this\.$/,
  );
  assert.match(words({ disconnect: 'kicked' }), /^Neko dropped this client after 70 s \("kicked"\)/);
});

test('the interval of Pings is the median of their gaps', () => {
  const judged = judgePings({ pings: [1000, 11_000, 20_900, 45_000], from: 0, watchedMs: 50_000, hadMessages: false });
  assert.equal(judged.intervalMs, 10_000);
  assert.equal(judged.finding.text, '4 Pings in 50 s, about one every 10 s');
});

test('one Ping gives no interval', () => {
  const judged = judgePings({ pings: [10_500], from: 500, watchedMs: 15_000, hadMessages: false });
  assert.deepEqual([judged.intervalMs, judged.finding.text], [null, 'one in 15 s, after 10 s']);
});

test('no Pings are a warning only when the watch was long and quiet', () => {
  const level = (watchedMs: number, hadMessages: boolean): string =>
    judgePings({ pings: [], from: 0, watchedMs, hadMessages }).finding.level;
  assert.deepEqual([level(24_999, false), level(25_000, false), level(25_000, true)], ['note', 'warn', 'note']);
});
