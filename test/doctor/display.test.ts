import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDisplay } from '../../src/doctor/display.ts';
import { bad, ok, warn } from '../../src/doctor/findings.ts';

function record(isTerminal: boolean, colors = false) {
  const written: string[] = [];
  const output = { write: (text: string) => written.push(text), isTerminal, colors };
  return { display: createDisplay(output, false), text: () => written.join('') };
}

test('findings are lines, advice stands under its finding', () => {
  const { display, text } = record(false);
  display.start('wss://a/ws');
  display.found(bad('handshake', 'it is broken', 'Add:\n    one line;'));
  display.end('', [bad('handshake', '', ''), warn('tls', '', '')], false);
  const indent = ' '.repeat(19);
  const expected = [
    'wss://a/ws',
    '',
    '  FAIL  handshake  it is broken',
    `${indent}Add:`,
    `${indent}    one line;`,
    '',
    'Not healthy, with 1 warning.',
    '',
  ];
  assert.deepEqual(text().split('\n'), expected);
});

test('long texts are wrapped at 80 columns, long words are not', () => {
  const { display, text } = record(false);
  display.found(ok('name', `${'word '.repeat(30)}${'x'.repeat(100)}`));
  const lines = text().trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => line.length),
    [19 + 59, 19 + 59, 19 + 29, 19 + 100],
  );
});

test('progress never wraps on a terminal of 80 columns', () => {
  const { display, text } = record(true);
  display.during('watching and 16 silent sockets for up to 86400 s', () => '86399 s, 8639 Pings and more than that')();
  const lines = text().split('\r\u001B[K');
  assert.ok(lines.every((line) => line.length < 80));
});

test('who stopped early is told that nothing failed, unless something did', () => {
  const end = (findings: Parameters<ReturnType<typeof createDisplay>['end']>[1]): string => {
    const { display, text } = record(false);
    display.end('', findings, true);
    return text();
  };
  assert.equal(end([ok('tcp', '')]), '\nStopped early; nothing failed until then.\n');
  assert.equal(end([bad('tcp', '', '')]), '\nNot healthy.\n');
});

test('a terminal shows progress on one line, and findings above it', () => {
  const { display, text } = record(true);
  let asked = 0;
  const stop = display.during('watching', () => {
    asked += 1;
    return `${asked} s`;
  });
  display.found(ok('rtt', 'fast'));
  stop();
  display.end('', [], false);
  const erase = '\r\u001B[K';
  const progress = '  ...   watching: 1 s';
  assert.equal(text(), `${erase}${progress}${erase}  ok    rtt        fast\n${progress}${erase}\nHealthy.\n`);
});

test('elsewhere it is said once what is going on', () => {
  const { display, text } = record(false);
  display.during('watching', () => assert.fail())();
  assert.equal(text(), '  ...   watching\n');
});

test('colours are for those who want them', () => {
  const { display, text } = record(false, true);
  display.found(ok('rtt', 'fast'));
  assert.equal(text(), '  \u001B[32mok  \u001B[39m  rtt        fast\n');
});
