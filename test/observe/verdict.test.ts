import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSE_CAUSES, UPGRADE_FAILURES } from '../../src/core/report.ts';
import type { CloseReport } from '../../src/core/report.ts';
import { ruleFor, VERDICT_TABLE, verdictOf, verdictOfFailure } from '../../src/observe/verdict.ts';
import type { Recall } from '../../src/observe/verdict.ts';
import { abruptEnd, closeReport, upgradeFailure } from '../support/reports.ts';
import { troubleshooting } from '../support/troubleshooting.ts';

const alone: Recall = { cutAfterMs: null, agreeing: 0, together: 1, sameAge: true };
const judge = (report: CloseReport, recall: Partial<Recall> = {}): ReturnType<typeof verdictOf> =>
  verdictOf(report, { ...alone, ...recall });

test('every rule has an example of its own, and the last rule of a cause always holds', () => {
  for (const cause of CLOSE_CAUSES) {
    const rules = VERDICT_TABLE.closes[cause];
    assert.equal(rules.at(-1)?.when, undefined, cause);
    for (const rule of rules) assert.equal(ruleFor(rules, closeReport({ cause, ...rule.example }))?.id, rule.id);
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
      const { verdict } = judge(closeReport({ cause, ...rule.example }));
      assert.match(verdict, /^[A-Z][^\n]*[^.]\.$/);
      assert.doesNotMatch(verdict, /undefined|null|NaN|\. [A-Z]/);
    }
  }
  for (const reason of UPGRADE_FAILURES) {
    for (const rule of VERDICT_TABLE.failures[reason]) {
      const verdict = verdictOfFailure(upgradeFailure({ reason, ...rule.example }));
      assert.match(verdict, /^[A-Z][^\n]*[^.]\.$/);
    }
  }
});

const closes: readonly (readonly [what: string, report: CloseReport, verdict: RegExp])[] = [
  ['a tab that was closed', closeReport({ code: 1001 }), /^The browser left normally\.$/],
  [
    'a legacy page without WebRTC',
    closeReport({ durationMs: 15_100 }),
    /15\.1 s.*WebRTC never came up; check the UDP ports and NAT1TO1/,
  ],
  ['the same under a prefix', closeReport({ durationMs: 15_100, path: '/room/a/ws' }), /WebRTC/],
  ['the same in the newer protocol', closeReport({ durationMs: 15_100, path: '/api/ws?a=/ws' }), /left normally/],
  ['a legacy page that left after 20 s', closeReport({ durationMs: 20_000 }), /left normally/],
  ['a kicked user', closeReport({ side: 'upstream', cause: 'reserved_code', code: 1006 }), /1006.*kicked or replaced/],
  ['a browser that vanished', closeReport({ cause: 'pong_timeout' }), /tab is gone: it answered no Ping/],
  ['an upstream that hangs', closeReport({ side: 'upstream', cause: 'pong_timeout' }), /upstream hung/],
  [
    'an upstream that restarts in order',
    closeReport({ side: 'upstream', code: 1012 }),
    /stops or restarts \(close code 1012\)/,
  ],
  ['an upstream that was killed', abruptEnd(5_000, { side: 'upstream', reset: true }), /upstream reset.*crashed/],
  ['a wrong password', abruptEnd(10, { side: 'upstream', durationMs: 40 }), /wrong password/],
  ['a protocol error', closeReport({ side: 'upstream', code: 1002 }), /1002: a frame that breaks RFC 6455/],
  ['a length with the top bit', closeReport({ cause: 'bad_length' }), /RFC 6455 section 5\.2/],
  ['a frame over the limit', closeReport({ cause: 'frame_limit', code: 1009 }), /limits\.frame/],
  ['a flood of Pings', closeReport({ cause: 'rate_limit' }), /limits\.control_frames_per_second/],
  ['a stop of the proxy', closeReport({ cause: 'drain', initiator: 'proxy' }), /proxy was stopped/],
  ['a first end after 3 s of silence', abruptEnd(3_004), /after 3 s of silence/],
  ['an end at an age nobody is known for', abruptEnd(42_000), /after 42 s of silence/],
];
for (const [what, report, verdict] of closes) {
  test(`${what} is told as what it is`, () => {
    const judgement = judge(report);
    assert.match(judgement.verdict, verdict);
    assert.deepEqual([judgement.initiator, judgement.cause], [report.initiator, report.cause]);
  });
}

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
    assert.match(judge(report, { cutAfterMs: seconds * 1_000 }).verdict, owner);
    const remedy = new RegExp(`ping_interval to ${Math.floor(seconds / 2)} s or less`);
    assert.match(judge(report).verdict, remedy);
  });
}

test('an end at a learned limit is an idle cut by the front', () => {
  const judgement = judge(abruptEnd(3_020), { cutAfterMs: 3_000 });
  assert.deepEqual([judgement.initiator, judgement.cause], ['front', 'front_idle_cut']);
  assert.match(
    judgement.verdict,
    /cut the connection after 3 s of silence; set keepalive\.ping_interval to 1 s or less/,
  );
});

test('a second end at a known default is an idle cut by the front, at another age it is not yet', () => {
  assert.equal(judge(abruptEnd(60_050), { agreeing: 2 }).cause, 'front_idle_cut');
  assert.equal(judge(abruptEnd(60_050), { agreeing: 1 }).cause, 'abrupt_end');
  assert.equal(judge(abruptEnd(42_000), { agreeing: 2 }).cause, 'abrupt_end');
});

test('an end far from the learned limit is not an idle cut', () => {
  assert.equal(judge(abruptEnd(7_000), { cutAfterMs: 3_000 }).cause, 'abrupt_end');
});

test('many ends within a second are a reload of the front', () => {
  const judgement = judge(abruptEnd(5_000), { together: 3, sameAge: false });
  assert.deepEqual([judgement.initiator, judgement.cause], ['front', 'front_reload']);
  assert.match(judgement.verdict, /reloaded or restarted/);
  assert.equal(judge(abruptEnd(10), { together: 3 }).cause, 'front_reload');
  assert.equal(judge(abruptEnd(5_000, { reset: true }), { together: 3 }).cause, 'front_reload');
});

test('many ends within a second after the same silence are an idle cut', () => {
  assert.equal(judge(abruptEnd(5_000), { together: 3, sameAge: true }).cause, 'front_idle_cut');
});

test('two ends within a second are still put down to the clients', () => {
  const judgement = judge(abruptEnd(5_000), { together: 2, sameAge: false });
  assert.deepEqual([judgement.initiator, judgement.cause], ['client', 'abrupt_end']);
});

test("a reset and other causes are never turned into the front's", () => {
  const suspicious = { cutAfterMs: 5_000, agreeing: 9, together: 2 };
  assert.equal(judge(abruptEnd(5_000, { reset: true }), suspicious).cause, 'abrupt_end');
  assert.equal(judge(abruptEnd(5_000, { side: 'upstream' }), { ...suspicious, together: 9 }).cause, 'abrupt_end');
  assert.equal(judge(closeReport({ code: 1000, idleMs: 5_000 }), { ...suspicious, together: 9 }).cause, 'close_frame');
});

test('a refusal by the upstream is told with its status', () => {
  const verdict = (status: number): string => verdictOfFailure(upgradeFailure({ reason: 'upstream_refused', status }));
  assert.match(verdict(403), /login or the origin \(status 403\)/);
  assert.match(verdict(404), /never rewritten/);
  assert.match(verdict(502), /status 502/);
  assert.match(verdict(302), /status 302 instead of 101/);
});

test('docs/troubleshooting.md says what the rules say', () => {
  const { current, wanted } = troubleshooting();
  assert.equal(current, wanted, 'out of date; refresh it: node --import tsx test/support/troubleshooting.ts');
});
