import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/config/duration.ts';
import { ValueError } from '../../src/config/errors.ts';

const refused = (read: (text: string) => unknown, text: string, message: RegExp) =>
  assert.throws(
    () => read(text),
    (error) => error instanceof ValueError && message.test(error.message),
    text,
  );

test('a duration is read in every unit as milliseconds', () => {
  const written = ['0s', '500ms', '10s', '1.5s', '1m', '2h', '10 s', 'off'];
  assert.deepEqual(written.map(parseDuration), [0, 500, 10_000, 1500, 60_000, 7_200_000, 10_000, Infinity]);
});

test('a duration is rounded to whole milliseconds', () => {
  assert.equal(parseDuration('1.0006s'), 1001);
});

test('a duration without a unit is refused with what to write', () => {
  refused(parseDuration, '10', /^10 has no unit; write 10s, 10ms or 10m$/);
});

test('what is not a duration is refused with an example', () => {
  for (const text of ['', 's', '-1s', '1e3s', '+1s', '.5s', 'never', '1 2s'])
    refused(parseDuration, text, /not a duration; .*10s/);
});

test('an unknown unit of time is refused with the known ones', () => {
  for (const text of ['10fs', '1 year', '1KiB'])
    refused(parseDuration, text, /unknown unit; .* the units are ms, s, m, h$/);
});

test('a size is read in every unit as bytes', () => {
  const written = ['0B', '512B', '16KiB', '1MiB', '1GiB', '1kB', '1MB', '1GB', '1.5KiB', 'off'];
  const bytes = [0, 512, 16_384, 1_048_576, 1_073_741_824, 1000, 1_000_000, 1_000_000_000, 1536, Infinity];
  assert.deepEqual(written.map(parseSize), bytes);
});

test('a size without a unit or with an unknown one is refused', () => {
  refused(parseSize, '16', /^16 has no unit; write 16KiB, 16MiB or 16B$/);
  refused(parseSize, '16s', /unknown unit; .* the units are B, kB, KiB, MB, MiB, GB, GiB$/);
});

test('durations and sizes are written in the largest unit that is exact', () => {
  assert.deepEqual([0, 1, 1500, 90_000, 60_000, 7_200_000, Infinity].map(formatDuration), [
    '0ms',
    '1ms',
    '1500ms',
    '90s',
    '1m',
    '2h',
    'off',
  ]);
  assert.deepEqual([0, 1000, 16_384, 1_048_576, Infinity].map(formatSize), ['0B', '1000B', '16KiB', '1MiB', 'off']);
});

test('what is written is read back unchanged', () => {
  fc.assert(
    fc.property(fc.nat({ max: 1e12 }), (value) => {
      assert.equal(parseDuration(formatDuration(value)), value);
      assert.equal(parseSize(formatSize(value)), value);
    }),
  );
});
