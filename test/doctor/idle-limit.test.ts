import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeLadder, type Step, type StepResult } from '../../src/doctor/idle-limit.ts';
import { probeUrl } from '../../src/doctor/ladder.ts';

const USUAL = [31, 51, 56, 61, 101];

/** A number is the silence after which it was cut; steps begin half a second after each other. */
function steps(results: Readonly<Record<number, StepResult | number>>, silences: readonly number[] = USUAL): Step[] {
  return silences.map((second, at) => {
    const result = results[second] ?? 'survived';
    const silenceMs = second * 1000;
    if (typeof result !== 'number') return { silenceMs, result, cutAfterMs: null, endedAtMs: null };
    return { silenceMs, result: 'cut', cutAfterMs: result, endedAtMs: at * 500 + result };
  });
}

test('a ladder that is survived has no limit', () => {
  const { level, text } = judgeLadder(steps({}), null);
  assert.deepEqual([level, text], ['ok', 'silences of up to 101 s survive: no idle limit below that']);
});

test('a limit is told with its owner and the interval to set', () => {
  const { level, text, advice, facts } = judgeLadder(steps({ 61: 60_040, 101: 60_050 }), null);
  assert.equal(level, 'warn');
  assert.match(
    text,
    /^silent connections are cut after 60 s \(56 s survives, 61 s does not\): probably the idle limit of nginx/,
  );
  assert.equal(advice, 'Set keepalive.ping_interval to 10s or less.');
  assert.deepEqual([facts['survivedMs'], facts['notSurvivedMs'], facts['cutAfterMs']], [56_000, 61_000, 60_040]);
});

test('half of a short limit is what the interval has to be', () => {
  const interval = (cutAfterMs: number): unknown =>
    judgeLadder(steps({ 1: cutAfterMs }, [1]), null).facts['pingInterval'];
  assert.deepEqual([19_999, 5000, 3900, 1900, 150].map(interval), ['9s', '2s', '1s', '900ms', '75ms']);
});

test('Pings that stay below half of the limit are fine, and others are not', () => {
  const found = (intervalMs: number): string => judgeLadder(steps({ 31: 20_000 }, [31]), intervalMs).level;
  assert.deepEqual([found(10_000), found(10_001)], ['ok', 'warn']);
});

test('what dies without a word is judged by the step below, and named where the span is narrow', () => {
  const narrow = judgeLadder(steps({ 61: 'dead', 101: 'dead' }), null);
  assert.match(narrow.text, /^silent connections die without a word \(56 s survives, 61 s does not\): .* nginx/);
  assert.equal(narrow.facts['pingInterval'], '10s');
  const wide = judgeLadder(steps({ 101: 'dead' }), null);
  assert.equal(wide.text, 'silent connections die without a word (61 s survives, 101 s does not)');
});

test('when the shortest silence is too long already the answer says so', () => {
  const { text } = judgeLadder(steps({ 31: 2000, 51: 2000, 56: 2000, 61: 2000, 101: 2000 }), null);
  assert.equal(text, 'silent connections are cut after 2 s (the shortest try, 31 s, is cut)');
  assert.equal(judgeLadder(steps({ 8: 'dead' }, [8]), null).facts['pingInterval'], '4s');
});

test('an unsteady network, a restart and Pings of somebody else prove nothing', () => {
  const words = (results: Parameters<typeof steps>[0]): string => {
    const { level, text } = judgeLadder(steps(results), null);
    return `${level}: ${text}`;
  };
  assert.equal(words({ 51: 7000 }), 'warn: a silence was cut after 7 s, but 101 s survived');
  assert.equal(words({ 101: 58_000 }), 'warn: a silence was cut after 58 s, but 61 s survived');
  assert.equal(words({ 61: 'closed', 101: 60_000 }), 'warn: silent connections were closed with a Close frame');
  assert.match(words({ 101: 'disturbed' }), /^warn: the silent connections were not silent/);
});

test('silences of different length that end at the same moment were ended by no idle limit', () => {
  const cut = (silenceMs: number, cutAfterMs: number): Step => ({
    silenceMs,
    result: 'cut',
    cutAfterMs,
    endedAtMs: 20_000,
  });
  const { level, text } = judgeLadder([cut(31_000, 20_000), cut(51_000, 19_500), cut(61_000, 19_000)], null);
  assert.deepEqual([level, text], ['warn', 'silent connections were all cut at the same moment, after 20 s']);
});

test('what was seen before the user stopped it counts', () => {
  const words = (results: Parameters<typeof steps>[0]): string => {
    const { level, text } = judgeLadder(steps(results), null);
    return `${level}: ${text}`;
  };
  const rest = { 56: 'aborted', 61: 'aborted', 101: 'aborted' } as const;
  assert.equal(words(rest), 'note: stopped early; silences of up to 51 s survive: no idle limit below that');
  assert.match(words({ ...rest, 51: 50_000 }), /^warn: silent connections are cut after 50 s/);
  assert.equal(words({ ...rest, 31: 'aborted', 51: 'aborted' }), 'note: stopped before the first silence was over');
});

test('the probe is looked for under the prefix of the WebSocket, without its query', () => {
  const place = (url: string): string => probeUrl(new URL(url), 1500).href;
  const probe = '.well-known/ws-keepalive/probe?silent=1500ms';
  assert.equal(place('wss://a/ws?password=x'), `wss://a/${probe}`);
  assert.equal(place('wss://a'), `wss://a/${probe}`);
  assert.equal(place('wss://a/api/ws?token=x'), `wss://a/${probe}`);
  assert.equal(place('wss://a:81/room/alpha/ws'), `wss://a:81/room/alpha/${probe}`);
  assert.equal(place('wss://a/room/alpha/api/ws/'), `wss://a/room/alpha/${probe}`);
  assert.equal(place('wss://a/room/'), `wss://a/room/${probe}`);
  assert.equal(place('wss://a/x/.well-known/ws-keepalive/probe'), `wss://a/x/${probe}`);
});
