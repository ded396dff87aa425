/** What a server answers does not depend on the proxy, however odd the question. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startEchoServer } from '../support/echo-server.ts';
import { buildFrame, closePayload, type FrameParts, OPCODE } from '../support/frames.ts';
import { startProxy } from '../support/process.ts';
import { connectRaw } from '../support/raw-websocket.ts';

const MASK = Buffer.of(0x9a, 0x3c, 0x51, 0xe7);
/** "Hello" as in RFC 7692 7.2.3.1. */
const DEFLATED = Buffer.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);

interface Case {
  readonly name: string;
  readonly send: readonly FrameParts[];
  readonly headers?: readonly string[];
}

const text = (payload: string, more: Partial<FrameParts> = {}): FrameParts => ({
  opcode: OPCODE.text,
  payload,
  ...more,
});
const binary = (size: number): FrameParts => ({ opcode: OPCODE.binary, payload: Buffer.alloc(size, 0xa5) });
const close = (code: number, reason = ''): FrameParts => ({
  opcode: OPCODE.close,
  payload: closePayload(code, reason),
});
const NORMAL_CLOSE = close(1000);
const DEFLATE = ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits'];

const CASES: readonly Case[] = [
  ...[0, 1, 125, 126, 65_535, 65_536, 1_000_000].map((size) => ({
    name: `a message of ${size} bytes`,
    send: [binary(size), NORMAL_CLOSE],
  })),
  { name: 'text beyond ASCII', send: [text('grüße, 你好, 🐈'), NORMAL_CLOSE] },
  { name: 'a length written longer than needed', send: [text('x', { lengthBytes: 8 }), NORMAL_CLOSE] },
  {
    name: 'a message in fragments, the last one empty',
    send: [text('Hello', { fin: false }), { opcode: 0 }, NORMAL_CLOSE],
  },
  {
    name: 'a Ping between fragments',
    send: [
      text('Hel', { fin: false }),
      { opcode: OPCODE.ping, payload: 'mid' },
      { opcode: 0, payload: 'lo' },
      NORMAL_CLOSE,
    ],
  },
  { name: 'a Ping with 125 bytes', send: [{ opcode: OPCODE.ping, payload: Buffer.alloc(125, 1) }, NORMAL_CLOSE] },
  { name: 'a Pong nobody asked for', send: [{ opcode: OPCODE.pong, payload: 'unasked' }, text('on'), NORMAL_CLOSE] },
  {
    name: 'subprotocols',
    send: [NORMAL_CLOSE],
    headers: ['Sec-WebSocket-Protocol: a, b', 'Sec-WebSocket-Protocol: c'],
  },
  { name: 'compression', send: [{ opcode: 1, rsv: 4, payload: DEFLATED }, NORMAL_CLOSE], headers: DEFLATE },
  {
    name: 'compression in fragments',
    send: [
      { opcode: 1, rsv: 4, fin: false, payload: DEFLATED.subarray(0, 3) },
      { opcode: 0, payload: DEFLATED.subarray(3) },
      NORMAL_CLOSE,
    ],
    headers: DEFLATE,
  },
  { name: 'broken compressed data', send: [{ opcode: 1, rsv: 4, payload: Buffer.of(0xff, 0xff) }], headers: DEFLATE },
  { name: 'a Close with a reason', send: [close(4999, 'so long')] },
  { name: 'a Close without a code', send: [{ opcode: OPCODE.close }] },
  { name: 'a Close of one byte', send: [{ opcode: OPCODE.close, payload: 'x' }] },
  { name: 'a Close with a reserved code', send: [close(1006, 'gone')] },
  { name: 'frames after a Close', send: [NORMAL_CLOSE, text('too late')] },
  { name: 'a reserved bit', send: [text('x', { rsv: 2 })] },
  { name: 'RSV1 without compression', send: [text('x', { rsv: 4 })] },
  { name: 'a reserved opcode', send: [{ opcode: 3, payload: 'x' }] },
  { name: 'a reserved control opcode', send: [{ opcode: 0xb }] },
  { name: 'a frame without a mask', send: [text('x', { mask: null })] },
  { name: 'a Ping of 126 bytes', send: [{ opcode: OPCODE.ping, payload: Buffer.alloc(126) }] },
  { name: 'a Ping in fragments', send: [{ opcode: OPCODE.ping, fin: false, payload: 'x' }] },
  { name: 'a continuation of nothing', send: [{ opcode: 0, payload: 'x' }] },
  { name: 'a message inside a message', send: [text('a', { fin: false }), text('b')] },
  { name: 'text that is not UTF-8', send: [{ opcode: OPCODE.text, payload: Buffer.of(0xc3, 0x28) }] },
  { name: 'a terabyte claimed', send: [{ opcode: OPCODE.binary, claimed: 2 ** 40, payload: 'x' }] },
];

interface Observed {
  readonly head: readonly string[];
  readonly bytes: string;
  readonly end: 'fin' | 'reset';
}

/** All that a client can see. */
async function observe(t: TestContext, port: number, { send, headers = [] }: Case): Promise<Observed> {
  const client = await connectRaw(t, { port, headers });
  client.send(Buffer.concat(send.map((parts) => buildFrame({ mask: MASK, ...parts }))));
  const end = await client.untilEnded();
  // The answer to a random key, and the order of header lines, carry nothing.
  const head = client.head
    .trim()
    .split('\r\n')
    .filter((line) => !/^sec-websocket-accept:/i.test(line));
  return { head: head.sort(), bytes: client.bytes.toString('hex'), end };
}

for (const compress of [false, true]) {
  test(`an echo server ${compress ? 'with' : 'without'} compression answers the same through the proxy`, async (t) => {
    const server = await startEchoServer(t, compress);
    const proxy = await startProxy(t, server);
    for (const each of CASES)
      await t.test(each.name, async (t) => {
        const direct = await observe(t, server, each);
        assert.ok(direct.bytes.length > 0, 'the server says something');
        assert.deepEqual(await observe(t, proxy.port, each), direct);
      });
  });
}
