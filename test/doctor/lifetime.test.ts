import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EndFacts, explainEnd, judgePings, type PingFacts } from '../../src/doctor/lifetime.ts';

function words(end: Partial<EndFacts>): string {
  const quiet = { code: 1006, reason: '', disconnect: null, idleMs: 0, survivedMs: 0, fault: null };
  const { level, text, advice } = explainEnd({ ...quiet, watchedMs: 70_000, path: '/ws', ...end });
  assert.equal(level, 'bad');
  return `${text} | ${advice}`;
}

test('a cut after a silence that is a known limit names its likely owner and the interval', () => {
  assert.match(
    words({ idleMs: 60_030 }),
    /^cut without a Close frame after 60 s of silence, probably by the idle limit of nginx .*ping_interval to 10s or less\.$/,
  );
});

test('a cut after another silence may have two causes, and both are told', () => {
  const text = words({ idleMs: 7000, survivedMs: 6500 });
  assert.match(
    text,
    /^cut without a Close frame after 7 s of silence \| By an idle limit .*, or by a server that ended it/,
  );
  assert.match(text, /ping_interval to 3s or less\.$/);
});

test('a cut amid traffic is no idle limit', () => {
  assert.match(
    words({ idleMs: 999 }),
    /^cut without a Close frame after 70 s, 999 ms after something had passed, so by no idle limit \| .*reloaded/,
  );
});

test('a silence that was survived before is no idle limit either', () => {
  assert.match(
    words({ idleMs: 3000, survivedMs: 10_000 }),
    /^cut .* after 70 s, the last 3 s of them in silence; 10 s of silence were survived before, so it is no idle limit \|/,
  );
  assert.match(words({ idleMs: 60_000, survivedMs: 61_500 }), /no idle limit/);
});

test('a reset is told from an end', () => {
  assert.match(words({ idleMs: 10, fault: { code: 'ECONNRESET', message: 'read ECONNRESET' } }), /^reset after 70 s/);
});

test('closes are told with code and reason', () => {
  assert.match(
    words({ code: 1012, reason: 'proxy is stopping' }),
    /after 70 s with code 1012 \("proxy is stopping"\) \| .*restarted/,
  );
  assert.match(words({ code: 4408 }), /with code 4408 \| Codes from 4000 on belong to the application/);
  assert.match(words({ code: 3000 }), /with code 3000 \| If ws-keepalive-proxy is on the way, its log/);
  assert.match(words({ code: 1005 }), /^closed by the server after 70 s, without a code/);
});

test('a reserved code on the wire is not taken for an end without a Close frame', () => {
  const fault = { code: 'WS_ERR_INVALID_CLOSE_CODE', message: 'Invalid WebSocket frame: invalid status code 1006' };
  assert.match(words({ fault }), /^closed by the server after 70 s with code 1006, which must not be sent \| Neko/);
});

test('frames that break the protocol are told as that, and a limit of the doctor as its own', () => {
  const fault = { code: 'WS_ERR_UNEXPECTED_MASK', message: 'Invalid WebSocket frame: MASK must be clear' };
  assert.match(
    words({ fault }),
    /^the server broke the WebSocket protocol after 70 s: .*MASK must be clear \| Browsers/,
  );
  const long = { code: 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', message: 'Max payload size exceeded' };
  assert.match(words({ fault: long }), /^ended by the doctor after 70 s: it takes no message over 16 MiB/);
});

test('a login that Neko refuses has three possible reasons, and a later end has its own', () => {
  assert.match(
    words({ disconnect: 'invalid password', watchedMs: 340 }),
    /^Neko accepted the WebSocket and refused the login 340 ms later \("invalid password"\) \| A wrong password, a locked room, or .*\/ws\?password=/,
  );
  assert.match(words({ disconnect: '', watchedMs: 340, path: '/api/ws' }), /elsewhere\.$/);
  assert.match(words({ disconnect: 'kicked' }), /^Neko dropped this client after 70 s \("kicked"\)/);
});

function pings(facts: Partial<PingFacts>): ReturnType<typeof judgePings> {
  return judgePings({ pings: [], from: 0, watchedMs: 90_000, quietestMs: 90_000, until: 'elapsed', ...facts });
}

test('the interval of Pings is the median of their gaps', () => {
  const judged = pings({ pings: [1000, 11_000, 20_900, 45_000], watchedMs: 50_000 });
  assert.equal(judged.intervalMs, 10_000);
  assert.equal(judged.finding.text, '4 Pings in 50 s, about one every 10 s');
});

test('one Ping gives no interval', () => {
  const judged = pings({ pings: [10_500], from: 500, watchedMs: 15_000 });
  assert.deepEqual([judged.intervalMs, judged.finding.text], [null, 'one in 15 s, after 10 s']);
});

test('no Pings are a warning only when the watch was long and quiet', () => {
  const words = (facts: Partial<PingFacts>): string => {
    const { level, text } = pings(facts).finding;
    return `${level}: ${text}`;
  };
  assert.equal(words({ watchedMs: 24_999 }), 'note: none in 25 s, which is too short to tell');
  assert.equal(words({}), 'warn: none in 90 s; the longest silence was 90 s');
  assert.equal(words({ quietestMs: 60_000 }), 'warn: none in 90 s; the longest silence was 60 s');
  assert.equal(words({ quietestMs: 4000 }), 'note: none in 90 s; messages came meanwhile, the longest silence was 4 s');
});

test('who was cut early is not told to watch longer', () => {
  assert.equal(pings({ watchedMs: 7000, until: 'ended' }).finding.advice, '');
  assert.equal(pings({ watchedMs: 7000 }).finding.advice, 'Watch longer: --for 90s');
});
