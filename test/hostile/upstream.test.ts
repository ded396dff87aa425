/** Upstreams that lie, break off, or never come to an end. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { type Script, startHttpTarget, statusOf } from '../support/hostile.ts';
import { ACCEPT, fieldOf, type RawHttpPeer, switchingProtocols, upgradeRequest } from '../support/raw-http.ts';

/** Short, for those who never finish their answer. */
const HANDSHAKE = '1s';
const target = await startHttpTarget({ settings: { TIMEOUTS_HANDSHAKE: HANDSHAKE, LIMITS_HEADER_BYTES: '16KiB' } });

/** A proper 101, with one line of it changed. */
const changed =
  (line: RegExp, replacement: string) =>
  (head: string): string =>
    switchingProtocols(head).replace(line, replacement);
const withLines =
  (...lines: string[]) =>
  (head: string): string =>
    switchingProtocols(head, lines);

const OFFER = ['Sec-WebSocket-Protocol: chat, superchat', 'Sec-WebSocket-Extensions: permessage-deflate'];

/** What is wrong, and the answer to a request. */
const LIES: readonly (readonly [string, (head: string) => string])[] = [
  ['101 without any header', () => 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['101 without Upgrade', changed(/Upgrade: websocket\r\n/, '')],
  ['101 to h2c', changed(/Upgrade: websocket/, 'Upgrade: h2c')],
  ['101 with Upgrade twice', withLines('Upgrade: websocket')],
  ['101 without Connection', changed(/Connection: Upgrade\r\n/, '')],
  ['101 with Connection: close', changed(/Connection: Upgrade/, 'Connection: close')],
  ['101 without an accept', changed(/Sec-WebSocket-Accept: .*\r\n/, '')],
  ['101 with a wrong accept', changed(/Accept: ./, 'Accept: #')],
  ["101 with the accept of the client's key", changed(/Accept: .*\r\n/, `Accept: ${ACCEPT}\r\n`)],
  ['101 with the accept in other casing', (head) => switchingProtocols(head).replace(/(?<=Accept: ).*/, flipCase)],
  ['101 with two accepts', withLines(`Sec-WebSocket-Accept: ${ACCEPT}`)],
  ['101 over HTTP/2', changed(/^HTTP\/1\.1/, 'HTTP/2')],
  ['101 with a bare LF', changed(/\r\n/, '\n')],
  ['101 with a folded line', withLines('X-A: b\r\n c')],
  ['101 with a NUL', withLines('X-A: b\0c')],
  ['101 with a space before a colon', withLines('X-A : b')],
  ['100 for ever', () => 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2000)],
  ['a head of 1 MiB in lines', () => `HTTP/1.1 101 Switching Protocols\r\n${'X-A: b\r\n'.repeat(131_072)}`],
  ['a head of 1 MiB in one line', () => `HTTP/1.1 101 ${'x'.repeat(1024 * 1024)}`],
  ['a status of four digits', () => 'HTTP/1.1 1010 Switching\r\n\r\n'],
  ['a status of 099', () => 'HTTP/1.1 099 Low\r\n\r\n'],
  ['a frame instead of a head', () => '\x82\x02hi\r\n\r\n'],
  ['SSH', () => 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['200 with Content-Length and Transfer-Encoding', () => both('Content-Length: 4', 'Transfer-Encoding: chunked')],
  ['200 with two Content-Lengths', () => both('Content-Length: 4', 'Content-Length: 5')],
];

function both(first: string, second: string): string {
  return `HTTP/1.1 200 OK\r\n${first}\r\n${second}\r\n\r\nabcd`;
}

function flipCase(text: string): string {
  return text.replace(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
}

describe('an upstream that lies in its handshake', () => {
  for (const [what, answer] of LIES) {
    target.attackWith(
      what,
      '502, and the upstream is let go',
      (peer, head) => peer.send(answer(head)),
      async (t) => {
        const client = await target.ask(t, upgradeRequest({ add: OFFER }));
        assert.equal(statusOf(await client.end()), 502);
        await target.dialled[0]?.end();
      },
    );
  }

  target.attackWith(
    '200 with Upgrade',
    'passed on as what it is, without Upgrade',
    (peer, head) => peer.send(switchingProtocols(head, ['Content-Length: 2']).replace(/101 .*/, '200 OK') + 'hi'),
    async (t) => {
      const text = await (await target.ask(t, upgradeRequest())).end();
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nhi$/);
      assert.doesNotMatch(text, /upgrade/i);
    },
  );

  target.attackWith(
    '101 and then HTTP',
    'those bytes pass as the frames they are not',
    (peer, head) => peer.send(`${switchingProtocols(head)}HTTP/1.1 200 OK\r\n\r\n`),
    async (t) => {
      const client = await target.ask(t, upgradeRequest());
      await client.until('\r\n\r\nHTTP/1.1 200 OK\r\n\r\n');
    },
  );

  target.attackWith(
    'a request in a 101 with a length and a coding',
    'neither gets to the client',
    (peer, head) => peer.send(switchingProtocols(head, ['Content-Length: 5', 'Transfer-Encoding: chunked'])),
    async (t) => {
      const head = await (await target.ask(t, upgradeRequest())).head();
      assert.equal(statusOf(head), 101);
      assert.doesNotMatch(head, /content-length|transfer-encoding/i);
    },
  );

  for (const how of ['reset', 'end'] as const) {
    let length = 0;
    target.attackWith(
      `a 101 that breaks off after each of its bytes (${how})`,
      '502 each time',
      (peer, head) => {
        peer.socket.write(switchingProtocols(head).slice(0, length), () => breakOff(peer, how));
      },
      async (t) => {
        const whole = switchingProtocols(upgradeRequest()).length;
        for (length = 0; length < whole; length += 1) {
          const client = await target.ask(t, upgradeRequest());
          assert.equal(statusOf(await client.end()), 502, `after ${length} bytes`);
        }
      },
    );
  }

  for (const [what, script] of [
    ['one byte at a time, for ever', drip('HTTP/1.1 101 Switching Protocols\r\nX-A: ')],
    ['nothing', () => undefined],
    ['half a head', (peer) => peer.send('HTTP/1.1 101 ')],
  ] as readonly (readonly [string, Script])[]) {
    target.attackWith(`an answer of ${what}`, '504 after timeouts.handshake', script, async (t) => {
      const client = await target.ask(t, upgradeRequest());
      assert.equal(statusOf(await client.end()), 504);
    });
  }
});

function breakOff(peer: RawHttpPeer, how: 'reset' | 'end'): void {
  if (how === 'reset') peer.reset();
  else peer.socket.end();
}

/** As slowly as an upstream may be that is never quite silent. */
function drip(text: string): Script {
  return (peer) => {
    let at = 0;
    const timer = setInterval(() => peer.send(text[at++] ?? 'x'), 20);
    peer.socket.on('close', () => clearInterval(timer));
    peer.socket.on('end', () => peer.socket.destroy());
  };
}

const GET = 'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

/** What is wrong, and the answer to a plain GET. */
const PLAIN_LIES: readonly (readonly [string, string])[] = [
  [
    '101 that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  ],
  ['Content-Length with Transfer-Encoding', both('Content-Length: 4', 'Transfer-Encoding: chunked')],
  ['two Content-Lengths', both('Content-Length: 4', 'Content-Length: 5')],
  ['a negative Content-Length', both('Content-Length: -4', 'X-A: b')],
  ['a coding that nobody asked for', both('Transfer-Encoding: gzip, chunked', 'X-A: b')],
  ['a bare CR', both('X-A: b\rSet-Cookie: c=d', 'Content-Length: 4')],
  ['a NUL', both('X-A: b\0c', 'Content-Length: 4')],
  ['a head of 1 MiB', `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(131_072)}\r\n`],
  ['nothing but noise', '\0\x01\x02\x03'],
  ['an end instead of an answer', ''],
];

describe('an upstream that lies in plain HTTP', () => {
  for (const [what, answer] of PLAIN_LIES) {
    target.attackWith(
      what,
      '502',
      (peer) => {
        peer.send(answer);
        peer.socket.end();
      },
      async (t) => {
        const text = await (await target.ask(t, GET)).end();
        assert.equal(statusOf(text), 502, text.slice(0, 500));
        assert.equal(text.split('HTTP/1.1').length, 2);
      },
    );
  }

  for (const [what, answer] of [
    ['a body shorter than its Content-Length', 'Content-Length: 10\r\n\r\nabcd'],
    ['a chunked body without its end', 'Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n'],
    ['a chunk size that is none', 'Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nxyz\r\n'],
    ['a chunk size that overflows', 'Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n10000000000000000000\r\n'],
  ] as const) {
    target.attackWith(
      what,
      'the client sees that it is not whole',
      (peer) => {
        peer.send(`HTTP/1.1 200 OK\r\n${answer}`);
        peer.socket.end();
      },
      async (t) => {
        const text = await (await target.ask(t, GET)).end();
        assert.match(text, /abcd/);
        const isWhole = /Content-Length: 4\r\n/i.test(text) || text.endsWith('0\r\n\r\n');
        assert.ok(!isWhole, text);
      },
    );
  }

  target.attackWith(
    'a second answer behind the first',
    "it is nobody's",
    (peer) =>
      peer.send(
        `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned`,
      ),
    async (t) => {
      for (let index = 0; index < 5; index += 1) {
        const text = await (await target.ask(t, GET)).end();
        assert.match(text, /first$/);
      }
    },
  );

  target.attackWith(
    '1,000 interim answers',
    'the final one arrives',
    (peer) =>
      peer.send(`${'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(1000)}HTTP/1.1 204 No Content\r\n\r\n`),
    async (t) => {
      assert.match(await (await target.ask(t, GET)).end(), /HTTP\/1\.1 204 No Content\r\n/);
    },
  );

  target.attackWith(
    'a second Content-Length in Connection',
    'the length of the answer stays',
    (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, content-length\r\n\r\nhi'),
    async (t) => {
      const text = await (await target.ask(t, GET)).end();
      assert.deepEqual(fieldOf(text, 'content-length'), ['2']);
    },
  );
});
