/** Peers that break the rules of an open connection, or that keep them in a way that costs much. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { Cleanup } from '../support/cleanup.ts';
import { buildFrame, closeCode, closePayload, OPCODE } from '../support/frames.ts';
import { exchange, startFrameTarget } from '../support/hostile.ts';
import type { RawPeer } from '../support/raw-websocket.ts';

const MIB = 1024 * 1024;
// All before the first test: what starts beside running tests may be taken for a part of them.
const target = await startFrameTarget({});
const unlimited = await startFrameTarget({ LIMITS_CONTROL_FRAMES_PER_SECOND: 'off', LIMITS_BUFFER: '64KiB' });
const quick = await startFrameTarget({ KEEPALIVE_PING_INTERVAL: '150ms', KEEPALIVE_UPSTREAM_PING_INTERVAL: 'off' });
const MASK = Buffer.of(1, 2, 3, 4);

/** Frames that break a rule while their ends stay known, for either direction; how many rules they break. */
const VIOLATIONS: readonly (readonly [string, (mask: Buffer | null) => Buffer, number?])[] = [
  [
    'a frame masked the wrong way',
    (mask) => buildFrame({ opcode: OPCODE.text, payload: 'a', mask: mask ? null : MASK }),
  ],
  [
    'a Ping masked the wrong way',
    (mask) => buildFrame({ opcode: OPCODE.ping, payload: 'a', mask: mask ? null : MASK }),
  ],
  ...[1, 2, 4].map(
    (rsv) => [`reserved bit ${rsv}`, (mask: Buffer | null) => buildFrame({ opcode: OPCODE.text, rsv, mask })] as const,
  ),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    (opcode) =>
      [`reserved opcode ${opcode}`, (mask: Buffer | null) => buildFrame({ opcode, payload: 'abc', mask })] as const,
  ),
  ['a fragmented Ping', (mask) => buildFrame({ opcode: OPCODE.ping, fin: false, payload: 'a', mask })],
  ['a fragmented Pong', (mask) => buildFrame({ opcode: OPCODE.pong, fin: false, payload: 'a', mask })],
  ['a Ping of 126 bytes', (mask) => buildFrame({ opcode: OPCODE.ping, payload: Buffer.alloc(126), mask })],
  ['a Pong of 64 KiB', (mask) => buildFrame({ opcode: OPCODE.pong, payload: Buffer.alloc(65_536), mask })],
  ['a continuation without a start', (mask) => buildFrame({ opcode: OPCODE.continuation, payload: 'a', mask })],
  [
    'a message inside a message',
    (mask) =>
      Buffer.concat([
        buildFrame({ opcode: OPCODE.text, fin: false, payload: 'a', mask }),
        buildFrame({ opcode: OPCODE.text, payload: 'b', mask }),
      ]),
  ],
  ['a length of 5 in two bytes', (mask) => buildFrame({ opcode: OPCODE.text, payload: 'abcde', lengthBytes: 2, mask })],
  [
    'a length of 5 in eight bytes',
    (mask) => buildFrame({ opcode: OPCODE.text, payload: 'abcde', lengthBytes: 8, mask }),
  ],
];

async function violations(direction: string): Promise<number> {
  const metrics = await target.metrics();
  return metrics.value('ws_keepalive_protocol_violations_relayed_total', { route: 'default', direction }) ?? 0;
}

describe('a violation that leaves the walk intact', () => {
  for (const direction of ['up', 'down'] as const) {
    for (const [what, build] of VIOLATIONS) {
      target.attack(`${what} (${direction})`, 'relayed and counted, nothing more', async (t) => {
        const pair = await target.pair(t);
        const [from, to] = direction === 'up' ? [pair.client, pair.upstream] : [pair.upstream, pair.client];
        const before = await violations(direction);
        const bytes = build(direction === 'up' ? MASK : null);
        from.send(bytes);
        const end = buildFrame({ opcode: OPCODE.text, payload: 'still here', mask: direction === 'up' ? MASK : null });
        from.send(end);
        await to.until(() => to.bytes.length >= bytes.length + end.length, 'everything');
        assert.deepEqual(to.bytes, Buffer.concat([bytes, end]));
        assert.equal((await violations(direction)) - before, 1);
        assert.equal(from.ended, null);
      });
    }

    target.attack(
      `bytes that were never frames (${direction})`,
      'relayed; one connection at most is lost',
      async (t) => {
        const pair = await target.pair(t);
        const from = direction === 'up' ? pair.client : pair.upstream;
        let seed = 1;
        for (let round = 0; round < 64 && from.ended === null; round += 1) {
          const noise = Buffer.alloc(16_384);
          // A fixed sequence of numbers that looks like none.
          for (let at = 0; at < noise.length; at += 1) {
            seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
            noise[at] = seed >>> 24;
          }
          from.socket.write(noise);
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    );
  }

  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]) {
    target.attack(`a Close with code ${code}`, 'relayed bit for bit', async (t) => {
      const { client, upstream } = await target.pair(t);
      upstream.sendFrame({ opcode: OPCODE.close, payload: closePayload(code, 'why') });
      const frame = await client.nextMessage();
      assert.deepEqual(frame.raw, buildFrame({ opcode: OPCODE.close, payload: closePayload(code, 'why') }));
    });
  }

  for (const [what, payload] of [
    ['of one byte', Buffer.of(3)],
    ['whose reason is no UTF-8', Buffer.concat([closePayload(4000), Buffer.of(0xff, 0xfe, 0xc0)])],
    ['of 200 bytes', closePayload(4000, 'x'.repeat(198))],
    ['of 64 KiB', closePayload(4000, 'x'.repeat(65_534))],
    ['whose reason holds terminal codes', closePayload(4000, '\u001b[2J\r\n{"level":"fatal"}')],
  ] as const) {
    target.attack(`a Close ${what}`, 'relayed bit for bit', async (t) => {
      const { client, upstream } = await target.pair(t);
      client.send(buildFrame({ opcode: OPCODE.close, payload, mask: MASK }));
      assert.deepEqual((await upstream.nextMessage()).payload, payload);
      assert.ok(!target.program.child.stdout.includes('\u001b'), 'no terminal code is logged');
    });
  }
});

describe('a length that is none', () => {
  for (const claimed of [2n ** 63n, 2n ** 63n + 5n, 2n ** 64n - 1n]) {
    for (const opcode of [OPCODE.text, OPCODE.continuation, OPCODE.ping, OPCODE.close]) {
      const frame = (mask: Buffer | null): Buffer => buildFrame({ opcode, claimed, lengthBytes: 8, mask });
      const what = `opcode ${opcode} of 0x${claimed.toString(16)} bytes`;
      target.attack(`${what} from a client`, '1002, and the upstream gets an end without a Close', async (t) => {
        const { client, upstream } = await target.pair(t);
        client.send(frame(MASK));
        assert.equal(closeCode(await client.nextMessage()), 1002);
        assert.equal(await upstream.untilEnded(), 'fin');
        assert.equal(upstream.bytes.length, 0);
      });
      target.attack(`${what} from an upstream`, 'an end of TCP for the client, and a reset', async (t) => {
        const { client, upstream } = await target.pair(t);
        upstream.send(frame(null));
        assert.equal(await client.untilEnded(), 'fin');
        assert.equal(await upstream.untilEnded(), 'reset');
        assert.equal(client.bytes.length, 0);
      });
    }
  }

  for (const claimed of [2n ** 63n - 1n, 2n ** 53n + 1n]) {
    target.attack(
      `a frame of 0x${claimed.toString(16)} bytes`,
      'begun like any other, and nothing is reserved',
      async (t) => {
        const { client, upstream } = await target.pair(t);
        target.forgetPeak();
        const before = target.memory();
        const frame = buildFrame({ opcode: OPCODE.binary, claimed, payload: 'begin', lengthBytes: 8, mask: MASK });
        client.send(frame);
        await upstream.until(() => upstream.rest.equals(frame), 'its beginning');
        assert.ok(target.peak() - before < 8 * MIB);
      },
    );
  }
});

/** Takes what comes without looking at it. Resolves when so many bytes have come. */
function drainBytes(peer: RawPeer, wanted: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = 0;
    function socketOnData(chunk: Buffer): void {
      seen += chunk.length;
      if (seen >= wanted) resolve();
    }
    peer.socket.removeAllListeners('data').on('data', socketOnData);
    peer.socket.once('close', () => reject(new Error(`ended after ${seen} of ${wanted} bytes`)));
  });
}

describe('peers that send much of little', () => {
  for (const direction of ['up', 'down'] as const) {
    target.attack(`a million empty fragments (${direction})`, 'relayed, and not held', async (t) => {
      const pair = await target.pair(t);
      const [from, to] = direction === 'up' ? [pair.client, pair.upstream] : [pair.upstream, pair.client];
      const mask = direction === 'up' ? MASK : null;
      const fragment = buildFrame({ opcode: OPCODE.continuation, fin: false, mask });
      const many = Buffer.concat(Array<Buffer>(1_000_000).fill(fragment));
      from.send(buildFrame({ opcode: OPCODE.text, fin: false, mask }));
      await to.nextMessage();
      target.forgetPeak();
      const before = target.memory();
      const all = drainBytes(to, many.length);
      from.socket.write(many);
      await all;
      assert.ok(target.peak() - before < 32 * MIB, `${target.peak() - before} bytes more`);
    });
  }

  for (const [what, direction] of [
    ['client', 'up'],
    ['upstream', 'down'],
  ] as const) {
    target.attack(`100,000 Pings of a ${what} that never reads`, 'its rate ends it', async (t) => {
      const pair = await target.pair(t);
      const from = direction === 'up' ? pair.client : pair.upstream;
      const other = direction === 'up' ? pair.upstream : pair.client;
      from.stopReading();
      const ping = buildFrame({
        opcode: OPCODE.ping,
        payload: 'x'.repeat(100),
        mask: direction === 'up' ? MASK : null,
      });
      target.forgetPeak();
      const before = target.memory();
      const { child } = target.program;
      const seen = child.logs.length;
      from.socket.write(Buffer.concat(Array<Buffer>(100_000).fill(ping)));
      await other.untilEnded();
      // No reset: Node loses a socket that is reset while its end waits behind a queue.
      for (const peer of [from, other]) peer.socket.destroy();
      await child.until(() => child.logs.slice(seen).find((line) => line['cause'] === 'rate_limit'), 'the end by rate');
      assert.ok(target.peak() - before < 32 * MIB, `${target.peak() - before} bytes more`);
    });
  }
});

/** Sends until the kernel and the proxy take no more, or everything has gone. @returns bytes that nobody took */
async function pour(t: Cleanup, from: RawPeer, bytes: Buffer): Promise<number> {
  from.socket.write(bytes);
  let left = -1;
  // Others are served meanwhile; that is the clock.
  for (let round = 0; round < 200 && left !== from.socket.writableLength; round += 1) {
    left = from.socket.writableLength;
    for (let turn = 0; turn < 20; turn += 1) await exchange(await unlimited.pair(t));
  }
  return left;
}

describe('peers that take nothing', () => {
  for (const direction of ['up', 'down'] as const) {
    const mask = direction === 'up' ? MASK : null;
    for (const [what, frame] of [
      ['64 MiB of data', buildFrame({ opcode: OPCODE.binary, payload: Buffer.alloc(65_536), mask })],
      ['Pings without a limit on their rate', buildFrame({ opcode: OPCODE.ping, payload: 'x'.repeat(100), mask })],
    ] as const) {
      unlimited.attack(`${what} to a peer that never reads (${direction})`, 'their sender waits', async (t) => {
        const pair = await unlimited.pair(t);
        const [from, to] = direction === 'up' ? [pair.client, pair.upstream] : [pair.upstream, pair.client];
        to.stopReading();
        unlimited.forgetPeak();
        const before = unlimited.memory();
        const bytes = Buffer.concat(Array<Buffer>(Math.ceil((64 * MIB) / frame.length)).fill(frame));
        assert.ok((await pour(t, from, bytes)) > 16 * MIB, 'most of it waits at its sender');
        assert.ok(unlimited.peak() - before < 16 * MIB, `${unlimited.peak() - before} bytes more`);
      });
    }
  }
});

describe('Pongs that are forged', () => {
  /** The tag of a Ping that waits for its Pong, and the pair whose client it was sent to. */
  async function pinged(t: Cleanup) {
    const pair = await quick.pair(t, { autoPong: false });
    const silent = pair.client;
    const ping = await silent.until(() => silent.frames.find(({ opcode }) => opcode === OPCODE.ping), 'a Ping');
    return { ...pair, tag: ping.payload };
  }

  async function arrives(upstream: RawPeer, pong: Buffer): Promise<void> {
    await upstream.until(() => upstream.frames.some(({ raw }) => raw.equals(pong)), 'the forged Pong');
  }

  for (const [what, payload] of [
    ['an empty payload', Buffer.alloc(0)],
    ['eight zeros', Buffer.alloc(8)],
    ['eight bytes that were guessed', Buffer.from('deadbeef')],
    ['125 bytes', Buffer.alloc(125, 'x')],
  ] as const) {
    quick.attack(`a Pong of ${what}`, 'relayed, not taken for an answer', async (t) => {
      const { client, upstream } = await pinged(t);
      const pong = buildFrame({ opcode: OPCODE.pong, payload, mask: MASK });
      client.send(pong);
      await arrives(upstream, pong);
    });
  }

  quick.attack("a Pong with another connection's tag", 'relayed, not taken for an answer', async (t) => {
    const [one, other] = await Promise.all([pinged(t), pinged(t)]);
    const pong = buildFrame({ opcode: OPCODE.pong, payload: one.tag, mask: MASK });
    other.client.send(pong);
    await arrives(other.upstream, pong);
  });

  for (const [what, parts] of [
    ['without FIN', { fin: false }],
    ['with a reserved bit', { rsv: 4 }],
    ['with its length in two bytes', { lengthBytes: 2 }],
  ] as const) {
    quick.attack(`a Pong with the right tag, but ${what}`, 'relayed, not taken for an answer', async (t) => {
      const { client, upstream, tag } = await pinged(t);
      const pong = buildFrame({ opcode: OPCODE.pong, payload: tag, mask: MASK, ...parts });
      client.send(pong);
      await arrives(upstream, pong);
    });
  }

  quick.attack(
    'a Pong with the right tag, but without a mask',
    'taken for the answer, as some peers mean it',
    async (t) => {
      const { client, upstream, tag } = await pinged(t);
      const end = client.frame({ opcode: OPCODE.text, payload: 'end' });
      client.send(Buffer.concat([buildFrame({ opcode: OPCODE.pong, payload: tag, mask: null }), end]));
      await arrives(upstream, end);
      assert.ok(upstream.frames.every(({ opcode }) => opcode !== OPCODE.pong));
    },
  );

  quick.attack('a proper Pong sent twice', 'the second one is relayed', async (t) => {
    const { client, upstream, tag } = await pinged(t);
    const pong = buildFrame({ opcode: OPCODE.pong, payload: tag, mask: MASK });
    const end = client.frame({ opcode: OPCODE.text, payload: 'end' });
    client.send(Buffer.concat([pong, pong, end]));
    await arrives(upstream, end);
    assert.equal(upstream.frames.filter(({ raw }) => raw.equals(pong)).length, 1);
  });
});
