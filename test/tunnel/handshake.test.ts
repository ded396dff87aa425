import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acceptFor,
  checkRequest,
  checkResponse,
  extensionNames,
  formatRequest,
  formatSwitchingProtocols,
  oddityOf,
  offerOf,
} from '../../src/tunnel/handshake.ts';
import { offersWebSocket } from '../../src/http/headers.ts';
import type { ResponseHead } from '../../src/http/response-head.ts';
import { ACCEPT, KEY } from '../support/raw-http.ts';

type Fields = readonly (readonly [name: string, value: string])[];

const REQUEST: Fields = [
  ['Host', 'rooms.example.com'],
  ['Connection', 'keep-alive, Upgrade'],
  ['Upgrade', 'WebSocket'],
  ['Sec-WebSocket-Key', KEY],
  ['Sec-WebSocket-Version', '13'],
];

function check(fields: Fields, line: Partial<Parameters<typeof checkRequest>[0]> = {}): number | null {
  const refusal = checkRequest({ method: 'GET', url: '/ws', httpVersion: '1.1', rawHeaders: fields.flat(), ...line });
  return refusal?.status ?? null;
}

/** The request with one field replaced, or left out. */
function but(name: string, ...values: readonly string[]): Fields {
  return [...REQUEST.filter(([other]) => other !== name), ...values.map((value) => [name, value] as const)];
}

test('the accept of a key is that of RFC 6455', () => {
  assert.equal(acceptFor(KEY), ACCEPT);
});

test('a proper request is let in', () => {
  assert.equal(check(REQUEST), null);
});

for (const [what, fields] of [
  ['no body of length zero', [...REQUEST, ['Content-Length', '0']]],
  ['an IPv6 Host', but('Host', '[::1]:8080')],
  ['a Host with an underscore', but('Host', 'neko_room:8080')],
  ['several tokens in Upgrade', but('Upgrade', 'h2c, websocket')],
] as const) {
  test(`a request with ${what} is let in`, () => {
    assert.equal(check(fields), null);
  });
}

for (const [what, fields, status] of [
  ['no Host', but('Host'), 400],
  ['an empty Host', but('Host', ''), 400],
  ['two Hosts', but('Host', 'a', 'a'), 400],
  ['two names in its Host', but('Host', 'a, b'), 400],
  ['a user in its Host', but('Host', 'a@b'), 400],
  ['a path in its Host', but('Host', 'a/b'), 400],
  ['a length', [...REQUEST, ['Content-Length', '5']], 400],
  ['chunks', [...REQUEST, ['Transfer-Encoding', 'chunked']], 400],
  ['no Connection', but('Connection'), 400],
  ['a Connection that only contains the word', but('Connection', 'upgrades'), 400],
  ['no Upgrade', but('Upgrade'), 400],
  ['another Upgrade', but('Upgrade', 'h2c'), 400],
  ['no key', but('Sec-WebSocket-Key'), 400],
  ['a short key', but('Sec-WebSocket-Key', 'c2hvcnQ='), 400],
  ['a long key', but('Sec-WebSocket-Key', `${KEY}AA==`), 400],
  ['a key that is not base64', but('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25!ZQ=='), 400],
  ['two keys', but('Sec-WebSocket-Key', KEY, KEY), 400],
  ['no version', but('Sec-WebSocket-Version'), 426],
  ['version 0', but('Sec-WebSocket-Version', '0'), 426],
  ['version 12', but('Sec-WebSocket-Version', '12'), 426],
  ['version 1337', but('Sec-WebSocket-Version', '1337'), 426],
  ['version 013', but('Sec-WebSocket-Version', '013'), 426],
  ['two versions', but('Sec-WebSocket-Version', '13', '13'), 426],
] as const) {
  test(`a request with ${what} is refused with ${status}`, () => {
    assert.equal(check(fields), status);
  });
}

test('methods other than GET are refused', () => {
  assert.equal(check(REQUEST, { method: 'POST' }), 400);
});

test('a target without a path is refused', () => {
  assert.equal(check(REQUEST, { url: '*' }), 400);
});

test('HTTP/1.0 is told what the proxy in front needs', () => {
  const refusal = checkRequest({ method: 'GET', url: '/', httpVersion: '1.0', rawHeaders: REQUEST.flat() });
  assert.equal(refusal?.status, 426);
  assert.match(refusal.detail, /proxy_http_version 1\.1/);
});

test('a wrong version is told the right one', () => {
  const rawHeaders = but('Sec-WebSocket-Version', '12').flat();
  const refusal = checkRequest({ method: 'GET', url: '/', httpVersion: '1.1', rawHeaders });
  assert.deepEqual(refusal?.headers, { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' });
});

test('only a token websocket in Upgrade asks for a WebSocket', () => {
  assert.equal(offersWebSocket(['upgrade', 'h2c, WEBSOCKET']), true);
  assert.equal(offersWebSocket(['upgrade', 'websocket2']), false);
  assert.equal(offersWebSocket([]), false);
});

test('extensions are named without parameters, commas in quotes do not separate', () => {
  const values = ['permessage-deflate; client_max_window_bits, x-a; p="a, x-b; \\", x-c"', ' x-d ,, '];
  assert.deepEqual(extensionNames(values), ['permessage-deflate', 'x-a', 'x-d']);
});

test('a quote that never closes hides the rest, in linear time', () => {
  assert.deepEqual(extensionNames([`a, "${'\\"'.repeat(100_000)}, b`]), ['a']);
});

test('an offer is read over all lines of its fields', () => {
  const fields = ['sec-websocket-protocol', 'a, b', 'Sec-WebSocket-Protocol', 'C', 'Sec-WebSocket-Extensions', 'x;y'];
  assert.deepEqual(offerOf(fields), { protocols: ['a', 'b', 'C'], extensions: ['x'] });
});

const RESPONSE: Fields = [
  ['Upgrade', 'WebSocket'],
  ['Connection', 'Upgrade'],
  ['Sec-WebSocket-Accept', ACCEPT],
];

const OFFER = { protocols: ['chat', 'Chat2'], extensions: ['permessage-deflate', 'x-a'] };

function responseOf(fields: Fields, head: { status?: number; version?: '1.0' | '1.1' } = {}): ResponseHead {
  return { version: '1.1', status: 101, reason: '', rawHeaders: fields.flat(), length: 0, ...head };
}

function judge(fields: Fields, head: { status?: number; version?: '1.0' | '1.1' } = {}): string | null {
  return checkResponse(responseOf(fields, head), KEY);
}

for (const [what, fields] of [
  ['without agreements', []],
  ['with an offered subprotocol', [['Sec-WebSocket-Protocol', 'Chat2']]],
  ['with offered extensions', [['Sec-WebSocket-Extensions', 'x-a, permessage-deflate; server_no_context_takeover']]],
] as const) {
  test(`a 101 ${what} is a true one`, () => {
    assert.equal(judge([...RESPONSE, ...fields]), null);
  });
}

for (const [what, fields, fault] of [
  ['without Upgrade', RESPONSE.slice(1), /Upgrade header/],
  ['with another Upgrade', [['Upgrade', 'h2c'], ...RESPONSE.slice(1)], /Upgrade header/],
  ['with two Upgrades', [['Upgrade', 'websocket'], ...RESPONSE], /Upgrade header/],
  ['without Connection', [RESPONSE[0], RESPONSE[2]], /Connection/],
  ['with another Connection', [RESPONSE[0], ['Connection', 'close'], RESPONSE[2]], /Connection/],
  ['without an accept', RESPONSE.slice(0, 2), /Accept/],
  ['with a wrong accept', [...RESPONSE.slice(0, 2), ['Sec-WebSocket-Accept', ACCEPT.toLowerCase()]], /Accept/],
  ['with the key as accept', [...RESPONSE.slice(0, 2), ['Sec-WebSocket-Accept', KEY]], /Accept/],
  ['with two accepts', [...RESPONSE, ['Sec-WebSocket-Accept', ACCEPT]], /Accept/],
] as const) {
  test(`a 101 ${what} is none`, () => {
    assert.match(judge(fields as Fields) ?? '', fault);
  });
}

test('a 200 with everything else right is no 101', () => {
  assert.notEqual(judge(RESPONSE, { status: 200 }), null);
});

test("the upstream is asked with the client's fields and the proxy's own key", () => {
  const fields = [
    'host',
    'a',
    'SEC-websocket-KEY',
    'x',
    'Upgrade',
    'x',
    'Cookie',
    'a=1',
    'sec-websocket-version',
    '13',
  ];
  assert.equal(
    formatRequest('/ws?a', fields, KEY),
    'GET /ws?a HTTP/1.1\r\nhost: a\r\nCookie: a=1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`,
  );
});

test("the client's 101 has its own accept, the upstream's fields, and no framing", () => {
  const fields = ['Connection', 'Upgrade, X-Hop', 'X-Hop', '1', 'Sec-WebSocket-Accept', 'other', 'Content-Length', '5'];
  const more = ['Transfer-Encoding', 'chunked', 'Set-Cookie', 'a', 'set-cookie', 'b', 'Sec-WebSocket-Protocol', 'chat'];
  assert.equal(
    formatSwitchingProtocols([...fields, ...more], KEY),
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${ACCEPT}\r\nSet-Cookie: a\r\nset-cookie: b\r\nSec-WebSocket-Protocol: chat\r\n\r\n`,
  );
});

for (const [what, fields, oddity] of [
  ['with a subprotocol not offered', [...RESPONSE, ['Sec-WebSocket-Protocol', 'x']], /subprotocol/],
  ['with a subprotocol in other casing', [...RESPONSE, ['Sec-WebSocket-Protocol', 'CHAT']], /subprotocol/],
  ['with an empty subprotocol', [...RESPONSE, ['Sec-WebSocket-Protocol', '']], /subprotocol/],
  ['with two subprotocols', [...RESPONSE, ['Sec-WebSocket-Protocol', 'chat, Chat2']], /subprotocol/],
  [
    'with two lines of subprotocols',
    [...RESPONSE, ['Sec-WebSocket-Protocol', 'chat'], ['Sec-WebSocket-Protocol', 'chat']],
    /subprotocol/,
  ],
  ['with an extension not offered', [...RESPONSE, ['Sec-WebSocket-Extensions', 'x-b']], /extension/],
  ['with an extension twice', [...RESPONSE, ['Sec-WebSocket-Extensions', 'x-a, x-a']], /extension/],
  [
    'with two lines of extensions',
    [...RESPONSE, ['Sec-WebSocket-Extensions', 'x-a'], ['Sec-WebSocket-Extensions', 'permessage-deflate']],
    /extension/,
  ],
] as const) {
  test(`a 101 ${what} is odd, and passes`, () => {
    assert.equal(judge(fields), null);
    assert.match(oddityOf(responseOf(fields), OFFER) ?? '', oddity);
  });
}

test('an HTTP/1.0 101 is odd, and passes', () => {
  assert.equal(judge(RESPONSE, { version: '1.0' }), null);
  assert.match(oddityOf(responseOf(RESPONSE, { version: '1.0' }), OFFER) ?? '', /HTTP\/1\.0/);
});

test('a 101 that keeps every rule is not odd', () => {
  const agreed = [
    ['Sec-WebSocket-Protocol', 'chat'],
    ['Sec-WebSocket-Extensions', 'x-a'],
  ] as const;
  assert.equal(oddityOf(responseOf([...RESPONSE, ...agreed]), OFFER), null);
});
