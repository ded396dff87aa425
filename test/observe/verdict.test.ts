import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_CAUSES, type CloseReport, UPGRADE_FAILURES } from '../../src/core/events.ts';
import { ruleFor, VERDICT_TABLE, verdictOf, verdictOfFailure } from '../../src/observe/verdict.ts';
import type { FrontFit, JudgedEnd } from '../../src/observe/verdict-words.ts';
import { abruptEnd, closeReport, judgedEnd, upgradeFailure } from '../support/reports.ts';

const judge = (report: CloseReport, recall: Partial<JudgedEnd> = {}): ReturnType<typeof verdictOf> =>
  verdictOf(report, recall);

test('every rule has an example of its own, and the last rule of a cause always holds', () => {
  for (const cause of CLOSE_CAUSES) {
    const rules = VERDICT_TABLE.closes[cause];
    assert.equal(rules.at(-1)?.when, undefined, cause);
    for (const rule of rules) assert.equal(ruleFor(rules, judgedEnd({ cause, ...rule.example }))?.id, rule.id);
  }
  for (const reason of UPGRADE_FAILURES) {
    const rules = VERDICT_TABLE.failures[reason];
    assert.equal(rules.at(-1)?.when, undefined, reason);
    for (const rule of rules) assert.equal(ruleFor(rules, upgradeFailure({ reason, ...rule.example }))?.id, rule.id);
  }
});

test('every rule has a name of its own', () => {
  const ids = [...Object.values(VERDICT_TABLE.closes), ...Object.values(VERDICT_TABLE.failures)]
    .flat()
    .map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
});

test('every verdict is one plain sentence', () => {
  for (const cause of CLOSE_CAUSES) {
    for (const rule of VERDICT_TABLE.closes[cause]) {
      const example = judgedEnd({ cause, ...rule.example });
      const { verdict } = verdictOf(example, example);
      assert.match(verdict, /^[A-Z\d][^\n]*[^.]\.$/);
      assert.doesNotMatch(verdict, /undefined|null|NaN|\. [A-Z]/);
    }
  }
  for (const reason of UPGRADE_FAILURES) {
    for (const rule of VERDICT_TABLE.failures[reason]) {
      const verdict = verdictOfFailure(upgradeFailure({ reason, ...rule.example }));
      assert.match(verdict, /^[A-Z\d][^\n]*[^.]\.$/);
    }
  }
});

const upstream = { side: 'upstream' } as const;
const closes: readonly (readonly [what: string, end: Partial<JudgedEnd>, verdict: RegExp])[] = [
  ['a tab that was closed or crashed', { code: 1001 }, /left, closed or reloaded, or its tab crashed/],
  [
    'tabs that went away together',
    { code: 1001, together: 3 },
    /^3 pages .*together, or their browser .*or the proxy in front.*Caddy/,
  ],
  ['a page that closes', { code: 1000 }, /^The client closed the connection itself/],
  ['a legacy page without WebRTC', { durationMs: 14_300 }, /14\.3 s.*WebRTC did not come up.*UDP ports and NAT1TO1/],
  ['the same under a prefix', { durationMs: 13_300, path: '/room/a/ws' }, /WebRTC/],
  ['the same in the newer protocol', { durationMs: 14_300, path: '/api/ws?a=/ws' }, /closed the connection itself/],
  ['a legacy page that left after 20 s', { durationMs: 20_000 }, /closed the connection itself/],
  ['a kicked user', { ...upstream, cause: 'reserved_code', code: 1006, someLeft: true }, /others stay.*kicked/],
  ['Neko that stops', { ...upstream, cause: 'reserved_code', code: 1006, together: 4 }, /all its 4 sessions.*stopped/],
  ['the last user of Neko', { ...upstream, cause: 'reserved_code', code: 1006 }, /kicked, and when it is stopped/],
  ['a browser that vanished', { cause: 'pong_timeout' }, /browser or its network is gone/],
  [
    'a client that cannot answer',
    { cause: 'pong_timeout', answersPingsClient: false },
    /never answered a Ping.*keepalive\.pong_timeout to off/,
  ],
  ['an upstream that hangs', { ...upstream, cause: 'pong_timeout' }, /upstream hung.*upstream_pong_timeout/],
  [
    'an upstream that cannot answer',
    { ...upstream, cause: 'pong_timeout', answersPingsUpstream: false },
    /never answered a Ping.*keepalive\.upstream_pong_timeout to off/,
  ],
  ['a mute client that takes nothing', { cause: 'stall', answersPingsClient: false }, /never answered a Ping/],
  ['an upstream that restarts in order', { ...upstream, code: 1012 }, /stops or restarts \(close code 1012\)/],
  ['an upstream that was killed', { ...upstream, cause: 'abrupt_end', together: 9 }, /all its 9 .*crashed/],
  ['one session that ended', { ...upstream, cause: 'abrupt_end', someLeft: true }, /while others stay.*kicked/],
  [
    'one session of another server',
    { ...upstream, cause: 'abrupt_end', someLeft: true, path: '/socket' },
    /while others stay: the session was ended there/,
  ],
  ['the only session', { ...upstream, cause: 'abrupt_end' }, /kick, logout, second login\), or the upstream stopped/],
  [
    'a refused login',
    { ...upstream, cause: 'abrupt_end', durationMs: 40, someLeft: true },
    / 40 ms after it began.*wrong password, room locked, or still logged in elsewhere/,
  ],
  [
    'a refused login of the newer protocol, at once',
    { ...upstream, cause: 'abrupt_end', durationMs: 0.2, path: '/api/ws' },
    / 1 ms after.*wrong password, .*, or because it stopped/,
  ],
  [
    'a connection that another server refused',
    { ...upstream, cause: 'abrupt_end', durationMs: 40, path: '/socket', someLeft: true },
    /as servers do that refuse a login/,
  ],
  ['a protocol error', { ...upstream, code: 1002 }, /1002: a frame that breaks RFC 6455/],
  ['a length with the top bit', { cause: 'bad_length' }, /RFC 6455 section 5\.2/],
  ['a frame over the limit', { cause: 'frame_limit', code: 1009 }, /limits\.frame/],
  ['a flood of Pings', { cause: 'rate_limit' }, /limits\.control_frames_per_second/],
  ['a stop of the proxy', { cause: 'drain', initiator: 'proxy', code: 1012 }, /proxy was stopped.*code 1012/],
  ['a first end after silence', { cause: 'abrupt_end', wireIdleMs: 42_000 }, /after 42 s of silence.*crashed.*front/],
  [
    'a reset after silence',
    { cause: 'abrupt_end', reset: true, wireIdleMs: 42_000 },
    /reset after 42 s of silence.*crashed.*front/,
  ],
  [
    'a reset behind a Ping',
    { cause: 'abrupt_end', reset: true, wireIdleMs: 42_000, pingUnanswered: true },
    /reset while a Ping was unanswered/,
  ],
  [
    'an end behind our own Ping',
    { cause: 'abrupt_end', wireIdleMs: 39, idleMs: 7_000 },
    /7 s after the last message: the browser/,
  ],
  [
    'an end before anything passed',
    { cause: 'abrupt_end', framesUp: 0, framesDown: 0, durationMs: 300 },
    /300 ms after it connected, before any message/,
  ],
  ['an end in traffic', { cause: 'abrupt_end', idleMs: 10, wireIdleMs: 10 }, /in the middle of traffic/],
  [
    'a browser with three tabs',
    { cause: 'abrupt_end', together: 3, frontIsKnown: false },
    /^3 connections from one address.*several tabs.*if that address is a proxy/,
  ],
  [
    'a browser with three tabs behind a front',
    { cause: 'abrupt_end', together: 3, someLeft: true },
    /^3 connections of one client.*its network is gone\.$/,
  ],
  [
    'some clients of many',
    { cause: 'abrupt_end', together: 4, severalClients: true, someLeft: true },
    /^4 connections.*while older ones stay.*one worker/,
  ],
  [
    'some silent clients of many',
    { cause: 'abrupt_end', together: 4, severalClients: true, someLeft: true, sameSilence: true, wireIdleMs: 9_000 },
    /or the proxy in front cut them after 9 s of silence/,
  ],
];
for (const [what, end, verdict] of closes) {
  test(`${what} is told as what it is`, () => {
    const facts = judgedEnd(end);
    const judgement = verdictOf(facts, facts);
    assert.match(judgement.verdict, verdict);
    assert.deepEqual([judgement.initiator, judgement.cause], [facts.initiator, facts.cause]);
  });
}

test('no sentence promises that a tab is gone: one that hangs still answers Pings', () => {
  for (const rule of VERDICT_TABLE.closes.pong_timeout) {
    assert.doesNotMatch(rule.sentence(judgedEnd({ cause: 'pong_timeout', ...rule.example })), /\btab\b/);
  }
});

const owners: readonly (readonly [seconds: number, owner: RegExp])[] = [
  [30, /Jetty/],
  [50, /HAProxy/],
  [55, /Heroku/],
  [60, /nginx.*AWS ALB/],
  [100, /YARP/],
  [240, /Azure/],
  [300, /Envoy/],
  [350, /AWS NLB/],
];
for (const [seconds, owner] of owners) {
  test(`an end after ${seconds} s of silence names the likely owner of that limit`, () => {
    const report = abruptEnd(seconds * 1_000 + 70);
    assert.match(judge(report).verdict, owner);
    assert.match(judge(report, { fits: new Set(['idle']) }).verdict, owner);
    const remedy = new RegExp(`ping_interval to ${Math.floor(seconds / 2)} s or less`);
    assert.match(judge(report).verdict, remedy);
  });
}

const fronts: readonly (readonly [fits: readonly FrontFit[], cause: string, verdict: RegExp])[] = [
  [['idle'], 'front_idle_cut', /^The proxy in front cut .* after 5 s of silence.*none outlived it/],
  [['idle', 'reload'], 'front_idle_cut', /cuts connections after that silence, or it was reloaded/],
  [['idle', 'lifetime'], 'front_idle_cut', /limits their silence or their lifetime/],
  [['lifetime'], 'front_lifetime_cut', /90 s old.*whatever had passed.*stream_timeout/],
  [['lifetime', 'reload'], 'front_lifetime_cut', /limits the lifetime of connections, or it was reloaded/],
  [['reload'], 'front_reload', /reloaded or restarted/],
];
for (const [fits, cause, verdict] of fronts) {
  test(`what fits ${fits.join(' and ')} is the front's doing, and all that fits is named`, () => {
    const judgement = judge(abruptEnd(5_000), { fits: new Set(fits), together: 3, severalClients: true });
    assert.deepEqual([judgement.initiator, judgement.cause], ['front', cause]);
    assert.match(judgement.verdict, verdict);
  });
}

test('a reload after the same silence may be an idle cut, and is told as both', () => {
  const { cause, verdict } = judge(abruptEnd(5_000), { fits: new Set(['reload']), together: 3, sameSilence: true });
  assert.equal(cause, 'front_reload');
  assert.match(verdict, /after 5 s of silence: it was reloaded or restarted, .*or it cut them/);
});

test('a peer that spoke for nobody may be a front or not, and is not accused', () => {
  const judgement = judge(abruptEnd(5_000, { frontIsKnown: false }), { likeOthers: true });
  assert.deepEqual([judgement.initiator, judgement.cause], ['client', 'abrupt_end']);
  assert.match(judgement.verdict, /like others before it.*a proxy in front, if there is one.*or the client/);
});

test('other causes are never turned into the front’s', () => {
  for (const report of [abruptEnd(5_000, { side: 'upstream' }), closeReport({ code: 1000 })]) {
    const { initiator, cause } = judge(report, { fits: new Set(['idle']) });
    assert.deepEqual([initiator, cause], [report.initiator, report.cause]);
  }
});

test('an end right after the proxy had stood still says so', () => {
  assert.match(judge(abruptEnd(5_000), { stoodStillMs: 12_000 }).verdict, /stood still for 12 s just before/);
});

test('a refusal by the upstream is told with its status', () => {
  const verdict = (status: number): string => verdictOfFailure(upgradeFailure({ reason: 'upstream_refused', status }));
  assert.match(verdict(403), /login or the origin \(status 403\)/);
  assert.match(verdict(404), /never rewritten/);
  assert.match(verdict(502), /status 502/);
  assert.match(verdict(302), /status 302 instead of 101/);
});
