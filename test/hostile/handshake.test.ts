/** Requests that are not what they seem, and what is hidden behind them. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { serveProperly, startHttpTarget, statusOf } from '../support/hostile.ts';
import { fieldOf, KEY, type RequestParts, switchingProtocols, upgradeRequest } from '../support/raw-http.ts';

const target = await startHttpTarget({ settings: { LIMITS_HEADER_BYTES: '32KiB', LOG_LEVEL: 'debug' } });

const version = (...values: string[]): RequestParts => ({
  set: { 'Sec-WebSocket-Version': null },
  add: values.map((value) => `Sec-WebSocket-Version: ${value}`),
});
const key = (...values: string[]): RequestParts => ({
  set: { 'Sec-WebSocket-Key': null },
  add: values.map((value) => `Sec-WebSocket-Key: ${value}`),
});
const host = (...values: string[]): RequestParts => ({
  set: { Host: null },
  add: values.map((value) => `Host: ${value}`),
});
const field = (line: string): RequestParts => ({ add: [line] });

/** What is wrong, the request, and the status it gets. */
const HANDSHAKES: readonly (readonly [string, RequestParts, number])[] = [
  ['version 0', version('0'), 426],
  ['version 12', version('12'), 426],
  ['version 1337', version('1337'), 426],
  ['version 013', version('013'), 426],
  ['version +13', version('+13'), 426],
  ['version 13 in hexadecimal', version('0xd'), 426],
  ['version absent', version(), 426],
  ['version twice', version('13', '13'), 426],
  ['versions 13 and 8 in one line', version('13, 8'), 426],
  ['key absent', key(), 400],
  ['key empty', key(''), 400],
  ['key of 15 bytes', key('AAAAAAAAAAAAAAAAAAAA'), 400],
  ['key of 17 bytes', key('AAAAAAAAAAAAAAAAAAAAAAA='), 400],
  ['key that is no base64', key('!!!!!!!!!!!!!!!!!!!!!!=='), 400],
  ['key twice', key(KEY, KEY), 400],
  ['two keys in one line', key(`${KEY}, ${KEY}`), 400],
  ['POST', { line: 'POST /ws HTTP/1.1' }, 400],
  ['POST with a body', { line: 'POST /ws HTTP/1.1', add: ['Content-Length: 5'] }, 400],
  ['GET with a body', field('Content-Length: 5'), 400],
  ['GET with a chunked body', field('Transfer-Encoding: chunked'), 400],
  ['HEAD', { line: 'HEAD /ws HTTP/1.1' }, 400],
  ['a method in lower case', { line: 'get /ws HTTP/1.1' }, 400],
  ['HTTP/1.0', { line: 'GET /ws HTTP/1.0' }, 426],
  ['HTTP/0.9', { line: 'GET /ws' }, 426],
  ['HTTP/1.2', { line: 'GET /ws HTTP/1.2' }, 400],
  ['HTTP/2.0', { line: 'GET /ws HTTP/2.0' }, 426],
  ['no Host', host(), 400],
  ['an empty line for Host twice', host('', ''), 400],
  ['Host twice', host('a.example.com', 'a.example.com'), 400],
  ['two Hosts that differ', host('a.example.com', 'b.example.com'), 400],
  ['two Hosts in one line', host('a.example.com, b.example.com'), 400],
  ['Host with user information', host('user@a.example.com'), 400],
  ['Host with a path', host('a.example.com/b'), 400],
  ['Host with a backslash', host('a.example.com\\b'), 400],
  ['Connection without upgrade', { set: { Connection: 'keep-alive' } }, 426],
  ['Connection absent', { set: { Connection: null } }, 426],
  ['Upgrade absent', { set: { Upgrade: null } }, 426],
  ['a folded line', field('X-A: b\r\n c: d'), 400],
  ['a bare LF', field('X-A: b\nX-C: d'), 400],
  ['a bare CR', field('X-A: b\rX-C: d'), 400],
  ['a NUL', field('X-A: b\0c'), 400],
  ['a space before the colon', field('X-A : b'), 400],
  ['a line without a colon', field('X-A'), 400],
  ['a name with a space in it', field('X A: b'), 400],
  ['Content-Length with Transfer-Encoding', { add: ['Content-Length: 5', 'Transfer-Encoding: chunked'] }, 400],
  ['two Content-Lengths that differ', { add: ['Content-Length: 0', 'Content-Length: 5'] }, 400],
  ['Content-Length +0', field('Content-Length: +0'), 400],
  ['Content-Length -1', field('Content-Length: -1'), 400],
  ['Content-Length of 30 digits', field(`Content-Length: ${'9'.repeat(30)}`), 400],
  ['2,500 headers', { add: Array.from({ length: 2500 }, () => 'a:b') }, 431],
  ['257 headers', { add: Array.from({ length: 252 }, () => 'a:b') }, 431],
  ['a header of 64 KiB', field(`X-A: ${'b'.repeat(65_536)}`), 431],
  ['a target of 64 KiB', { line: `GET /${'a'.repeat(65_536)} HTTP/1.1` }, 431],
];

describe('a handshake that is none', () => {
  for (const [what, parts, status] of HANDSHAKES) {
    target.attack(what, `${status}, and nobody is dialled`, async (t) => {
      const client = await target.ask(t, upgradeRequest(parts));
      const head = await client.head();
      assert.equal(statusOf(head), status, head);
      await target.assertDialled(0);
      if (status === 426 && what.startsWith('version'))
        assert.deepEqual(fieldOf(head, 'sec-websocket-version'), ['13']);
    });
  }

  for (const [what, bytes] of [
    ['a TLS greeting', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
    ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['bytes that mean nothing', '\0\x01\x02\xff\xfe\r\n\r\n'],
    ['a WebSocket frame', '\x82\x82\0\0\0\0hi'],
    ['a line break of a PROXY header', 'PROXY TCP4 6.6.6.6 1.1.1.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ] as const) {
    target.attack(`${what} instead of a request`, '400, and nobody is dialled', async (t) => {
      const client = await target.ask(t, bytes);
      assert.equal(statusOf(await client.end()), 400);
      await target.assertDialled(0);
    });
  }

  target.attack('a handshake cut after each of its bytes', 'each is forgotten', async (t) => {
    const request = upgradeRequest();
    for (let length = 0; length < request.length; length += 1) {
      const client = await target.ask(t, request.slice(0, length));
      client.reset();
    }
    await target.assertDialled(0);
  });

  target.attack('200 heads that never end', 'others are served meanwhile', async (t) => {
    for (let index = 0; index < 200; index += 1) await target.ask(t, 'GET / HTTP/1.1\r\nHost: a\r\nX-A: ');
    const other = await target.ask(t, 'GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    assert.equal(statusOf(await other.end()), 200);
  });
});

describe('an upgrade to something else', () => {
  for (const token of ['h2c', 'h2c, foo', 'TLS/1.0', 'foo', 'websocketx', 'web socket', 'x-websocket/13']) {
    const offer = `GET /first HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAAA\r\n`;
    target.attack(`Upgrade: ${token}, with a request behind it`, 'both are served as plain HTTP', async (t) => {
      const next = 'GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
      const client = await target.ask(t, `${offer}Upgrade: ${token}\r\n\r\n${next}`);
      const text = await client.end();
      assert.equal(text.split('HTTP/1.1 200 OK').length, 3, text);
      const lines = target.heads.map((head) => head.split('\r\n')[0]);
      assert.deepEqual(lines, ['GET /first HTTP/1.1', 'GET /second HTTP/1.1']);
      for (const head of target.heads) assert.deepEqual(fieldOf(head, 'upgrade'), []);
      assert.doesNotMatch(target.heads.join(''), /HTTP2-Settings/i);
    });
  }

  target.attackWith(
    'Upgrade: h2c on a POST whose body is a request',
    'the body stays a body',
    async (peer, head) => {
      await peer.until('GET /smuggled HTTP/1.1\r\n\r\n');
      serveProperly(peer, head);
    },
    async (t) => {
      const body = 'GET /smuggled HTTP/1.1\r\n\r\n';
      const head = `POST /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: ${body.length}\r\n`;
      const client = await target.ask(t, `${head}\r\n${body}`);
      assert.equal(statusOf(await client.head()), 200);
      assert.equal(target.heads.length, 1);
      await target.assertDialled(1);
    },
  );

  target.attack('a WebSocket behind a plain request, in one write', 'answered in order', async (t) => {
    const client = await target.ask(t, `GET /first HTTP/1.1\r\nHost: a\r\n\r\n${upgradeRequest()}`);
    const text = await client.until('HTTP/1.1 101 ');
    assert.match(text, /^HTTP\/1\.1 200 /);
  });
});

describe('requests smuggled in plain HTTP', () => {
  for (const [what, lines, body] of [
    ['Content-Length with Transfer-Encoding', ['Content-Length: 4', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
    ['Transfer-Encoding twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], '0\r\n\r\n'],
    ['Transfer-Encoding: xchunked', ['Transfer-Encoding: xchunked'], '0\r\n\r\n'],
    ['Transfer-Encoding with a tab before the colon', ['Transfer-Encoding\t: chunked'], '0\r\n\r\n'],
    ['Transfer-Encoding with a vertical tab', ['Transfer-Encoding: \vchunked'], '0\r\n\r\n'],
    ['Transfer-Encoding on a folded line', ['Transfer-Encoding:\r\n chunked'], '0\r\n\r\n'],
    ['two Content-Lengths', ['Content-Length: 4', 'Content-Length: 5'], 'aaaa'],
    ['Content-Length: 4, 5', ['Content-Length: 4, 5'], 'aaaa'],
    ['Content-Length in hexadecimal', ['Content-Length: 0x4'], 'aaaa'],
    ['a chunk size with a sign', ['Transfer-Encoding: chunked'], '+4\r\naaaa\r\n0\r\n\r\n'],
    ['a chunk size that overflows', ['Transfer-Encoding: chunked'], '10000000000000000000\r\na\r\n0\r\n\r\n'],
    ['a chunk without its line end', ['Transfer-Encoding: chunked'], '1\r\nab\r\n0\r\n\r\n'],
    ['a bare LF behind a chunk size', ['Transfer-Encoding: chunked'], '4\naaaa\r\n0\r\n\r\n'],
  ] as const) {
    target.attackWith(
      what,
      'refused, and the request behind it is never served',
      () => undefined,
      async (t) => {
        const head = ['POST /first HTTP/1.1', 'Host: a', ...lines].join('\r\n');
        const client = await target.ask(t, `${head}\r\n\r\n${body}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
        assert.match(await client.end(), /^(?:HTTP\/1\.1 (?:400|501|502) |$)/);
        assert.doesNotMatch(target.dialled.map((peer) => peer.text).join(''), /smuggled/);
      },
    );
  }
});

describe('bytes that come before the 101', () => {
  const early = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

  target.attackWith(
    'a request behind the handshake, with an upstream that refuses',
    'it never gets there',
    (peer) => peer.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'),
    async (t) => {
      const client = await target.ask(t, upgradeRequest() + early);
      const text = await client.end();
      assert.match(text, /^HTTP\/1\.1 403 /);
      assert.equal(text.split('HTTP/1.1').length, 2);
      await target.assertDialled(1);
      assert.doesNotMatch(target.dialled[0]?.text ?? '', /smuggled/);
    },
  );

  target.attackWith(
    'a request behind the handshake, with an upstream that answers like plain HTTP and stays',
    'it never gets there',
    (peer) => peer.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi'),
    async (t) => {
      const client = await target.ask(t, upgradeRequest() + early);
      assert.match(await client.end(), /^HTTP\/1\.1 200 /);
      assert.equal(await target.dialled[0]?.end(), target.heads[0]);
    },
  );

  target.attackWith(
    '16 MiB behind the handshake, with an upstream that does not answer',
    'not held in memory',
    () => undefined,
    async (t) => {
      const before = target.memory();
      target.forgetPeak();
      const client = await target.ask(t, upgradeRequest());
      for (let sent = 0; sent < 16; sent += 1) client.send('x'.repeat(1024 * 1024));
      const other = await target.ask(t, 'GET /other HTTP/1.0\r\nX-Bystander: yes\r\n\r\n');
      assert.equal(statusOf(await other.end()), 200);
      assert.ok(client.socket.writableLength > 4 * 1024 * 1024, 'the kernel alone holds the rest');
      assert.ok(target.peak() - before < 8 * 1024 * 1024, `${target.peak() - before} bytes more`);
    },
  );

  target.attackWith(
    'a frame behind the handshake, with an upstream that accepts',
    'it arrives behind the handshake',
    (peer, head) => peer.send(switchingProtocols(head)),
    async (t) => {
      await target.ask(t, `${upgradeRequest()}\x82\x82\0\0\0\0hi`);
      await (await target.firstDialled()).until('\x82\x82\0\0\0\0hi');
    },
  );
});

describe('names that mean something to JavaScript', () => {
  for (const name of ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'valueOf']) {
    target.attack(`a header named ${name}`, 'passes like any other, both ways', async (t) => {
      const line = `${name}: polluted`;
      const plain = await target.ask(t, `GET / HTTP/1.1\r\nHost: a\r\n${line}\r\nConnection: close\r\n\r\n`);
      assert.match(await plain.end(), /^HTTP\/1\.1 200 /);
      const webSocket = await target.ask(t, upgradeRequest({ add: [line] }));
      assert.match(await webSocket.head(), /^HTTP\/1\.1 101 /);
      assert.deepEqual(
        target.heads.map((head) => fieldOf(head, name)),
        [['polluted'], ['polluted']],
      );
    });
    target.attackWith(
      `an answer with a header named ${name}`,
      'passes like any other',
      (peer, head) => {
        if (/^upgrade/im.test(head)) peer.send(switchingProtocols(head, [`${name}: polluted`]));
        else peer.send(`HTTP/1.1 200 OK\r\n${name}: polluted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      },
      async (t) => {
        for (const request of ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', upgradeRequest()]) {
          const client = await target.ask(t, request);
          assert.deepEqual(fieldOf(await client.head(), name), ['polluted']);
        }
      },
    );
  }
});
