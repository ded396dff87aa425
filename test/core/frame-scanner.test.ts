import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameScanner, type ScannerLimits, Stop } from '../../src/core/frame-scanner.ts';

const TAG = [1, 2, 3, 4, 5, 6, 7, 8];
const KEY = [0x37, 0xfa, 0x21, 0x3d];

type Options = Partial<ScannerLimits> & { readonly masked?: boolean };

function scannerOf({ masked = false, ...limits }: Options = {}): FrameScanner {
  return new FrameScanner(masked, { maxPayload: Number.POSITIVE_INFINITY, extensions: false, ...limits });
}

function watching(options: Options = {}): FrameScanner {
  const scanner = scannerOf(options);
  scanner.watching = true;
  return scanner;
}

/** Where the scan lets bytes pass to, and why it stopped, until the chunk is used up or must not pass. */
function stopsOf(scanner: FrameScanner, ...bytes: readonly number[]): [at: number, stop: Stop][] {
  const stops: [number, Stop][] = [];
  const chunk = Uint8Array.from(bytes);
  let at = 0;
  for (;;) {
    at = scanner.scan(chunk, at);
    stops.push([at, scanner.stop]);
    if (scanner.stop !== Stop.ping && scanner.stop !== Stop.pong && scanner.stop !== Stop.close) return stops;
  }
}

function violationsOf(scanner: FrameScanner, ...bytes: readonly number[]): [number, string | null] {
  stopsOf(scanner, ...bytes);
  return [scanner.violations, scanner.lastViolation];
}

test('whole data frames pass without a stop', () => {
  const scanner = scannerOf();
  assert.deepEqual(stopsOf(scanner, 0x81, 0x01, 0x61, 0x82, 0x00), [[5, Stop.exhausted]]);
  assert.deepEqual([scanner.frames, scanner.remaining, scanner.heldLength], [2, 0, 0]);
});

test('each way to write a length is understood', () => {
  const cases: [header: number[], payload: number][] = [
    [[0x82, 0x7d], 125],
    [[0x82, 0x7e, 0x00, 0x7e], 126],
    [[0x82, 0x7e, 0xff, 0xff], 65_535],
    [[0x82, 0x7f, 0, 0, 0, 0, 0x00, 0x01, 0x00, 0x00], 65_536],
    [[0x82, 0x7f, 0, 0, 0, 0, 0x80, 0x00, 0x00, 0x01], 2 ** 31 + 1],
    [[0x82, 0x7f, 0, 0, 0, 3, 0x00, 0x00, 0x00, 0x05], 3 * 2 ** 32 + 5],
  ];
  for (const [header, payload] of cases) {
    const scanner = scannerOf();
    assert.deepEqual(stopsOf(scanner, ...header), [[header.length, Stop.exhausted]]);
    assert.equal(scanner.remaining, payload);
    assert.equal(scanner.violations, 0);
  }
});

test('the key of a masked frame belongs to its header', () => {
  const scanner = scannerOf({ masked: true });
  assert.deepEqual(stopsOf(scanner, 0x82, 0x82, ...KEY), [[6, Stop.exhausted]]);
  assert.deepEqual([scanner.remaining, scanner.violations], [2, 0]);
});

test('payload that spans chunks is counted down', () => {
  const scanner = scannerOf();
  stopsOf(scanner, 0x82, 0x05, 1);
  assert.equal(scanner.remaining, 4);
  stopsOf(scanner, 2, 3);
  assert.equal(scanner.remaining, 2);
  assert.deepEqual(stopsOf(scanner, 4, 5, 0x89, 0x00), [
    [4, Stop.ping],
    [4, Stop.exhausted],
  ]);
});

test('a scan stops behind each Ping, Pong and Close', () => {
  assert.deepEqual(stopsOf(scannerOf(), 0x89, 0x01, 0x61, 0x8a, 0x00, 0x81, 0x00, 0x88, 0x02, 0x03, 0xe8), [
    [3, Stop.ping],
    [5, Stop.pong],
    [11, Stop.close],
    [11, Stop.exhausted],
  ]);
});

test('a control frame stops the scan where its payload ends, in whichever chunk', () => {
  const scanner = scannerOf();
  assert.deepEqual(stopsOf(scanner, 0x89, 0x02, 0x61), [[3, Stop.exhausted]]);
  assert.deepEqual(stopsOf(scanner, 0x62, 0x81, 0x00), [
    [1, Stop.ping],
    [3, Stop.exhausted],
  ]);
});

test('reserved control opcodes are stepped over', () => {
  assert.deepEqual(stopsOf(scannerOf(), 0x8b, 0x01, 0x61, 0x8f, 0x00), [[5, Stop.exhausted]]);
});

test('a Close gives its code and reason, masked or not, in however many chunks', () => {
  const plain = scannerOf();
  stopsOf(plain, 0x88, 0x04, 0x03, 0xee, 0x6f, 0x6b);
  assert.deepEqual([plain.closeCode, plain.closeReason], [1006, 'ok']);
  const masked = scannerOf({ masked: true });
  stopsOf(masked, 0x88, 0x84, ...KEY, 0x03 ^ 0x37);
  assert.equal(masked.closeCode, null);
  stopsOf(masked, 0xe9 ^ 0xfa, 0x6f ^ 0x21);
  assert.deepEqual(stopsOf(masked, 0x6b ^ 0x3d), [
    [1, Stop.close],
    [1, Stop.exhausted],
  ]);
  assert.deepEqual([masked.closeCode, masked.closeReason], [1001, 'ok']);
});

test('a Close without a code has none', () => {
  const scanner = scannerOf();
  assert.deepEqual(stopsOf(scanner, 0x88, 0x00), [
    [2, Stop.close],
    [2, Stop.exhausted],
  ]);
  assert.deepEqual([scanner.closeCode, scanner.closeReason], [null, '']);
});

test('of a Close that is too long only the first 125 bytes are kept', () => {
  const scanner = scannerOf();
  const reason = Array.from({ length: 198 }, () => 0x78);
  const stops = stopsOf(scanner, 0x88, 0x7e, 0x00, 0xc8, 0x03, 0xe8, ...reason);
  assert.equal(stops[0]?.[1], Stop.close);
  assert.equal(scanner.closeReason, 'x'.repeat(123));
});

test('a cut header is held until it is complete', () => {
  const scanner = scannerOf();
  assert.deepEqual(stopsOf(scanner, 0x81, 0x00, 0x82), [[2, Stop.exhausted]]);
  assert.deepEqual([scanner.heldLength, scanner.frames], [1, 1]);
  assert.equal(scanner.complete(Uint8Array.of(0x7e, 0x00)), 2);
  assert.equal(scanner.heldIsWhole, false);
  assert.equal(scanner.complete(Uint8Array.of(0x80, 0x55, 0x55)), 1);
  assert.equal(scanner.heldIsWhole, true);
  assert.deepEqual([...scanner.takeHeld()], [0x82, 0x7e, 0x00, 0x80]);
  assert.equal(scanner.heldLength, 0);
});

test('nothing held gives nothing', () => {
  assert.equal(scannerOf().takeHeld().length, 0);
});

test('the longest header is held but for its last byte', () => {
  const scanner = scannerOf({ masked: true });
  stopsOf(scanner, 0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3);
  assert.equal(scanner.heldLength, 13);
  assert.equal(scanner.complete(Uint8Array.of(4, 5)), 1);
  assert.equal(scanner.heldIsWhole, true);
});

test('while Pings are outstanding, a Pong with the length of a tag is shown before it passes', () => {
  const plain = watching();
  assert.deepEqual(stopsOf(plain, 0x81, 0x00, 0x8a, 0x08, ...TAG), [[2, Stop.candidate]]);
  assert.deepEqual([plain.candidateHeader, plain.frames], [2, 1]);
  const masked = watching({ masked: true });
  assert.deepEqual(stopsOf(masked, 0x8a, 0x88, ...KEY, ...TAG), [[0, Stop.candidate]]);
  assert.equal(masked.candidateHeader, 6);
});

test('a candidate that was let pass counts as a frame', () => {
  const scanner = watching();
  stopsOf(scanner, 0x8a, 0x08, ...TAG);
  scanner.passCandidate();
  assert.equal(scanner.frames, 1);
});

test('a cut candidate is held whole', () => {
  const scanner = watching();
  assert.deepEqual(stopsOf(scanner, 0x8a, 0x08, 1, 2, 3), [[0, Stop.exhausted]]);
  assert.equal(scanner.complete(Uint8Array.of(4, 5, 6, 7, 8, 0x81)), 5);
  assert.equal(scanner.heldIsWhole, true);
});

test('no other frame can be a candidate', () => {
  const others: [name: string, masked: boolean, bytes: number[]][] = [
    ['FIN clear', false, [0x0a, 0x08, ...TAG]],
    ['reserved bit 1', false, [0xca, 0x08, ...TAG]],
    ['reserved bit 2', false, [0xaa, 0x08, ...TAG]],
    ['reserved bit 3', false, [0x9a, 0x08, ...TAG]],
    ['a Ping', false, [0x89, 0x08, ...TAG]],
    ['too short', false, [0x8a, 0x07, ...TAG.slice(1)]],
    ['too long', false, [0x8a, 0x09, ...TAG, 9]],
    ['length not minimal', false, [0x8a, 0x7e, 0x00, 0x08, ...TAG]],
  ];
  for (const [name, masked, bytes] of others) {
    const last = stopsOf(watching({ masked }), ...bytes).at(-1);
    assert.deepEqual(last, [bytes.length, Stop.exhausted], name);
  }
  assert.equal(stopsOf(scannerOf(), 0x8a, 0x08, ...TAG)[0]?.[1], Stop.pong, 'no Ping is outstanding');
});

test('a Pong with the wrong masking is a candidate, and counted as a violation only when it is a stranger’s', () => {
  for (const masked of [true, false]) {
    const bytes = masked ? [0x8a, 0x08, ...TAG] : [0x8a, 0x88, ...KEY, ...TAG];
    const scanner = watching({ masked });
    assert.deepEqual(stopsOf(scanner, ...bytes)[0], [0, Stop.candidate]);
    assert.equal(scanner.violations, 0);
    scanner.passCandidate();
    assert.deepEqual([scanner.violations, scanner.lastViolation], [1, 'wrong masking']);
  }
});

test('a length with its top bit set must not pass', () => {
  const scanner = scannerOf();
  assert.deepEqual(stopsOf(scanner, 0x81, 0x00, 0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0), [[2, Stop.badLength]]);
  assert.deepEqual([scanner.remaining, scanner.frames], [0, 1]);
});

test('a frame longer than the limit must not pass, one of that length may', () => {
  const scanner = scannerOf({ maxPayload: 125 });
  assert.equal(stopsOf(scanner, 0x82, 0x7d)[0]?.[1], Stop.exhausted);
  assert.deepEqual(stopsOf(scannerOf({ maxPayload: 125 }), 0x82, 0x7e, 0x00, 0x7e), [[0, Stop.tooLong]]);
  assert.deepEqual(stopsOf(scannerOf({ maxPayload: 2 ** 32 }), 0x82, 0x7f, 0, 0, 0, 1, 0, 0, 0, 1), [
    [0, Stop.tooLong],
  ]);
});

test('each broken rule is counted and named', () => {
  const cases: [rule: string, bytes: number[]][] = [
    ['reserved bits', [0xc1, 0x00]],
    ['reserved bits', [0xa9, 0x00]],
    ['reserved bits', [0x98, 0x00]],
    ['reserved opcode', [0x83, 0x00]],
    ['reserved opcode', [0x87, 0x00]],
    ['reserved opcode', [0x8b, 0x00]],
    ['reserved opcode', [0x8f, 0x00]],
    ['wrong masking', [0x81, 0x80, ...KEY]],
    ['wrong masking', [0x89, 0x80, ...KEY]],
    ['length not minimal', [0x81, 0x7e, 0x00, 0x7d]],
    ['length not minimal', [0x81, 0x7f, 0, 0, 0, 0, 0x00, 0x00, 0xff, 0xff]],
    ['fragmented control frame', [0x09, 0x00]],
    ['control frame too long', [0x89, 0x7e, 0x00, 0x7e]],
    ['continuation without a start', [0x80, 0x00]],
    ['message inside a message', [0x01, 0x00, 0x82, 0x00]],
  ];
  for (const [rule, bytes] of cases) assert.deepEqual(violationsOf(scannerOf(), ...bytes), [1, rule]);
  assert.deepEqual(violationsOf(scannerOf({ masked: true }), 0x81, 0x00), [1, 'wrong masking']);
  assert.deepEqual(violationsOf(scannerOf({ masked: true }), 0x8a, 0x00), [1, 'wrong masking']);
});

test('all rules that one frame breaks are counted', () => {
  assert.deepEqual(violationsOf(scannerOf(), 0x7b, 0xfe, 0, 1, ...KEY, 0), [5, 'fragmented control frame']);
});

test('good frames break no rule', () => {
  const fragments = [0x01, 0x00, 0x89, 0x00, 0x00, 0x00, 0x8a, 0x00, 0x80, 0x00, 0x82, 0x00, 0x88, 0x00];
  assert.deepEqual(violationsOf(scannerOf(), ...fragments), [0, null]);
  assert.deepEqual(violationsOf(scannerOf({ masked: true }), 0x81, 0x80, ...KEY, 0x89, 0x80, ...KEY), [0, null]);
});

test('with an extension, reserved bits and opcodes may have a meaning', () => {
  const scanner = scannerOf({ extensions: true });
  assert.deepEqual(violationsOf(scanner, 0xc1, 0x00, 0x83, 0x00, 0xfb | 0x80, 0x00), [0, null]);
});
