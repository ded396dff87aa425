/** A catalogue of requests as they stand on the wire: proper ones, odd ones, and what smugglers try. Latin-1. */

export interface RawRequest {
  readonly name: string;
  readonly text: string;
}

const HOST = 'Host: rooms.example.com';

function request(name: string, line: string, lines: readonly string[], body = ''): RawRequest {
  return { name, text: [line, ...lines, 'Connection: close', '', body].join('\r\n') };
}

const post = (name: string, lines: readonly string[], body = ''): RawRequest =>
  request(name, 'POST / HTTP/1.1', [HOST, ...lines], body);
const get = (name: string, lines: readonly string[]): RawRequest => request(name, 'GET / HTTP/1.1', lines);
const shown = (text: string): string => JSON.stringify(text).slice(1, -1);

const LENGTHS: readonly (readonly [string, string])[] = [
  ['0', ''],
  ['5', 'hello'],
  ['05', 'hello'],
  ['+5', 'hello'],
  ['-5', 'hello'],
  ['5 ', 'hello'],
  [' 5', 'hello'],
  ['\t5', 'hello'],
  ['5,5', 'hello'],
  ['5, 5', 'hello'],
  ['5,6', 'hello'],
  ['5;', 'hello'],
  ['0x5', 'hello'],
  ['5.0', 'hello'],
  ['5e0', 'hello'],
  ['5 5', 'hello'],
  ['five', 'hello'],
  ['', ''],
  ['\xb5', 'hello'],
  ['18446744073709551616', ''],
  ['9223372036854775808', ''],
];

const CODINGS: readonly (readonly string[])[] = [
  ['chunked'],
  ['Chunked'],
  ['CHUNKED'],
  [' chunked'],
  ['chunked '],
  ['\tchunked'],
  ['chunked\t'],
  ['chunked,'],
  [',chunked'],
  [', chunked'],
  ['chunked, chunked'],
  ['gzip, chunked'],
  ['chunked, gzip'],
  ['gzip'],
  ['identity'],
  ['identity, chunked'],
  ['chunked, identity'],
  ['xchunked'],
  ['chunkedx'],
  ['"chunked"'],
  ['chunked;q=1'],
  ['\x0bchunked'],
  ['chun\x6bed\x0c'],
  [''],
  ['chunked', 'chunked'],
  ['chunked', 'identity'],
  ['identity', 'chunked'],
  ['gzip', 'chunked'],
  ['', 'chunked'],
];

const CHUNKS: readonly string[] = [
  '5\r\nhello\r\n0\r\n\r\n',
  '05\r\nhello\r\n0\r\n\r\n',
  '0000000005\r\nhello\r\n000\r\n\r\n',
  'A\r\nhellohello\r\n0\r\n\r\n',
  'a\r\nhellohello\r\n0\r\n\r\n',
  '5;x\r\nhello\r\n0\r\n\r\n',
  '5;x=y\r\nhello\r\n0\r\n\r\n',
  '5;x="y"\r\nhello\r\n0\r\n\r\n',
  '5 ;x\r\nhello\r\n0\r\n\r\n',
  '5;\r\nhello\r\n0\r\n\r\n',
  '5;x\nhello\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  '5\t\r\nhello\r\n0\r\n\r\n',
  ' 5\r\nhello\r\n0\r\n\r\n',
  '+5\r\nhello\r\n0\r\n\r\n',
  '-5\r\nhello\r\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '5\nhello\r\n0\r\n\r\n',
  '5\r\nhello\n0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '5\r\nhello\r\n0\n\n',
  '5\r\nhello\r\n0\r\n\n',
  '5\rhello\r\n0\r\n\r\n',
  '\r\n5\r\nhello\r\n0\r\n\r\n',
  'g\r\nhello\r\n0\r\n\r\n',
  '5x\r\nhello\r\n0\r\n\r\n',
  'ffffffffffffffff\r\nhello\r\n0\r\n\r\n',
  '10000000000000005\r\nhello\r\n0\r\n\r\n',
  '0\r\n\r\n',
  '0\r\nX: y\r\n\r\n',
  '0\r\nX : y\r\n\r\n',
  '0\r\nContent-Length: 9\r\n\r\n',
  '0\r\nTransfer-Encoding: chunked\r\n\r\n',
  '0\r\nno colon\r\n\r\n',
];

const HOSTS: readonly (readonly string[])[] = [
  ['rooms.example.com'],
  ['rooms.example.com:80'],
  ['rooms.example.com:'],
  ['rooms.example.com.'],
  ['ROOMS.example.com'],
  ['127.0.0.1'],
  ['[::1]'],
  ['[::1]:80'],
  ['[::1'],
  ['::1'],
  ['a_b'],
  [''],
  [],
  ['a', 'a'],
  ['a', 'b'],
  ['a, b'],
  ['a b'],
  ['a/b'],
  ['a\\b'],
  ['a?b'],
  ['a#b'],
  ['a@b'],
  ['user:pass@a'],
  ['a:b'],
  ['a:80:90'],
  ['a:99999'],
  ['a:-1'],
  ['a..b'],
  ['.a'],
  ['..'],
  ['a%00b'],
  ['a\x01b'],
  ['a\x7fb'],
  ['b\xfccher.example'],
  ['<a>'],
  ['a"b'],
];

const TARGETS: readonly string[] = [
  '/',
  '/a?b=c',
  '/%2e%2e/a',
  '/a/../b',
  '/../a',
  '/a%00b',
  '/a%zz',
  '/a#b',
  '/a\\b',
  '//a',
  '/a\x7fb',
  '/a\tb',
  '/caf\xc3\xa9',
  '*',
  'a',
  '?a',
  '',
  'http://other.example/a',
  'HTTP://other.example/a',
  'https://other.example/a',
  'ftp://other.example/a',
  'ws://other.example/a',
  'http://user@other.example/a',
  'http:///a',
  'http://[::1]/a',
  'http://',
];

const VERSIONS: readonly string[] = [
  'HTTP/1.0',
  'HTTP/1.1',
  'HTTP/1.2',
  'HTTP/2.0',
  'HTTP/0.9',
  'HTTP/1',
  'HTTP/01.1',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTPS/1.1',
];

const METHODS: readonly string[] = [
  'HEAD',
  'OPTIONS',
  'DELETE',
  'PATCH',
  'PROPFIND',
  'TRACE',
  'CONNECT',
  'get',
  'G ET',
  'GET:',
  'FOO',
  'PRI',
  '',
];

const FIELDS: readonly string[] = [
  'X: y',
  'X:y',
  'X:',
  'X : y',
  ' X: y',
  'X\t: y',
  ': y',
  'X',
  'X: y\r\n z',
  'X: y\rz',
  'X: y\x00z',
  'X: y\x01z',
  'X: \xfc',
  'X y: z',
  'X(y): z',
  'X\x00: y',
  'X_Y: z',
  'Expect: 100-continue',
  'Expect: 200-ok',
  'Expect: 100-Continue, x',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'TE: trailers',
  'Trailer: X',
];

const UPGRADES: readonly (readonly string[])[] = [
  ['Connection: Upgrade', 'Upgrade: h2c'],
  ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
  ['Connection: upgrade', 'Upgrade: foo/1'],
  ['Connection: Upgrade'],
];

/** Whole requests that fit nowhere else. */
const WHOLE: readonly (readonly [string, string])[] = [
  ['bare line feeds', `GET / HTTP/1.1\n${HOST}\nConnection: close\n\n`],
  ['a bare line feed behind the request line', `GET / HTTP/1.1\n${HOST}\r\nConnection: close\r\n\r\n`],
  ['a bare line feed behind a field', `GET / HTTP/1.1\r\n${HOST}\nConnection: close\r\n\r\n`],
  ['a bare line feed as the empty line', `GET / HTTP/1.1\r\n${HOST}\r\nConnection: close\r\n\n`],
  ['a bare carriage return', `GET / HTTP/1.1\r${HOST}\r\nConnection: close\r\n\r\n`],
  ['empty lines before it', `\r\n\r\nGET / HTTP/1.1\r\n${HOST}\r\nConnection: close\r\n\r\n`],
  ['two spaces in the request line', `GET  / HTTP/1.1\r\n${HOST}\r\nConnection: close\r\n\r\n`],
  ['a space before the request line', ` GET / HTTP/1.1\r\n${HOST}\r\nConnection: close\r\n\r\n`],
  ['no version', `GET /\r\n\r\n`],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
  ['a WebSocket frame', '\x82\x05hello\r\n\r\n'],
  ['HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n'],
  ['HTTP/1.0 with chunks', `POST / HTTP/1.0\r\n${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
];

const CHUNKED_HELLO = '5\r\nhello\r\n0\r\n\r\n';
const BOTH: readonly (readonly [readonly string[], string])[] = [
  [['Content-Length: 5', 'Content-Length: 5'], 'hello'],
  [['Content-Length: 5', 'Content-Length: 6'], 'hello'],
  [['Content-Length: 5', 'Transfer-Encoding: chunked'], CHUNKED_HELLO],
  [['Transfer-Encoding: chunked', 'Content-Length: 5'], CHUNKED_HELLO],
  [['Transfer-Encoding: chunked', 'Content-Length: 0'], CHUNKED_HELLO],
  [['Transfer-Encoding : chunked'], CHUNKED_HELLO],
  [['Transfer-Encoding:\x0bchunked'], CHUNKED_HELLO],
  [['Transfer_Encoding: chunked', 'Content-Length: 5'], 'hello'],
  [['Content_Length: 9', 'Content-Length: 5'], 'hello'],
  [['X: y\r\n Transfer-Encoding: chunked', 'Content-Length: 5'], 'hello'],
];

export const RAW_REQUESTS: readonly RawRequest[] = [
  ...LENGTHS.map(([length, body]) => post(`Content-Length: ${shown(length)}`, [`Content-Length: ${length}`], body)),
  ...CODINGS.map((values) =>
    post(
      values.map((value) => `Transfer-Encoding: ${shown(value)}`).join(' and '),
      values.map((value) => `Transfer-Encoding: ${value}`),
      CHUNKED_HELLO,
    ),
  ),
  ...BOTH.map(([lines, body]) => post(lines.map(shown).join(' and '), lines, body)),
  ...CHUNKS.map((body) => post(`the chunks ${shown(body)}`, ['Transfer-Encoding: chunked'], body)),
  ...HOSTS.map((values) =>
    get(
      values.map((value) => `Host: ${shown(value)}`).join(' and ') || 'no Host',
      values.map((value) => `Host: ${value}`),
    ),
  ),
  ...TARGETS.map((target) => request(`the target ${shown(target)}`, `GET ${target} HTTP/1.1`, [HOST])),
  ...VERSIONS.map((version) => request(`the version ${shown(version)}`, `GET / ${version}`, [HOST])),
  ...METHODS.map((method) => request(`the method ${shown(method)}`, `${method} / HTTP/1.1`, [HOST])),
  ...FIELDS.map((field) => get(`the field ${shown(field)}`, [HOST, field])),
  ...UPGRADES.map((lines) => ({
    name: lines.join(' and '),
    text: ['GET / HTTP/1.1', HOST, ...lines, '', ''].join('\r\n'),
  })),
  ...WHOLE.map(([name, text]) => ({ name, text })),
];
