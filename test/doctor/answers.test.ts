/** Answers as servers really give them, and the faults that leave no answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, explainAnswer } from '../../src/doctor/answers.ts';
import { explainFault } from '../../src/doctor/dial-faults.ts';
import type { Finding } from '../../src/doctor/findings.ts';
import { connectFault, stalledTls, tlsFault } from '../../src/doctor/network-words.ts';
import { errorResponse } from '../../src/http/error-page.ts';

const context = { url: new URL('wss://neko.example.com/room/ws?password=x'), hide: (text: string) => text };

function explain(answer: Partial<Answer>): Finding {
  return explainAnswer({ version: '1.1', status: 200, reason: '', headers: {}, body: '', ...answer }, context);
}

/** As this proxy answers. */
function ours(status: number, reason: string, detail?: string): Finding {
  const { body, headers } = errorResponse(status, undefined, detail);
  const names = headers.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
  const values = headers.filter((_, at) => at % 2 === 1);
  const pairs = names.map((name, at) => [name, values[at] ?? ''] as const);
  // A front puts its own name on what it passes.
  return explain({ status, reason, headers: { ...Object.fromEntries(pairs), server: 'nginx' }, body: body.toString() });
}

test('a lost Upgrade is recognised in the words of several servers', () => {
  const bodies: readonly (readonly [status: number, body: string])[] = [
    [426, 'Upgrade Required'],
    [
      400,
      "websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header\n",
    ],
    [
      400,
      "websocket: the client is not using the websocket protocol: 'websocket' token not found in 'Upgrade' header\n",
    ],
    [426, 'WebSocket protocol violation: Connection header "close" does not contain Upgrade\n'],
    [400, 'Can "Upgrade" only to "WebSocket".'],
    [400, 'Invalid Upgrade header'],
  ];
  for (const [status, body] of bodies) {
    const { text, advice } = explain({ status, body, headers: { server: 'nginx/1.26' } });
    assert.match(text, /from nginx\/1\.26: the Upgrade header was lost on the way$/, body);
    assert.match(advice, /location for \/room\/ws:\n {4}proxy_http_version 1\.1;/);
  }
});

test('another 400 or 426 is not taken for it', () => {
  const other = explain({ status: 400, reason: 'Bad Request', body: 'Bad key' });
  assert.equal(other.text, '400 Bad Request from a server that does not say its name: Bad key');
  const version = explain({ status: 426, reason: 'Upgrade Required', body: 'Sec-WebSocket-Version is needed' });
  assert.match(version.text, /^426 .*: Sec-WebSocket-Version is needed$/);
});

test('a handshake that arrived as HTTP/1.0 is told as that, whoever says so', () => {
  const bodies = [
    'a WebSocket needs HTTP/1.1; nginx sends it with the line: proxy_http_version 1.1;',
    'handshake error: request must be HTTP/1.1 or higher',
  ];
  for (const body of bodies) {
    const { text, advice } = explain({ status: 426, reason: 'Upgrade Required', body, headers: { server: 'nginx' } });
    assert.equal(text, '426 Upgrade Required from nginx: the handshake arrived there as HTTP/1.0');
    assert.match(advice, /location for \/room\/ws:\n {4}proxy_http_version 1\.1;$/);
  }
});

test('this proxy is quoted, and told from the front before it', () => {
  assert.match(
    ours(426, 'Upgrade Required', 'The Upgrade header was lost.').text,
    /from ws-keepalive-proxy: the Upgrade/,
  );
  for (const status of [403, 404, 429, 502, 503, 504]) {
    const { text, advice } = ours(status, 'Reason');
    assert.match(text, /^\d+ Reason from ws-keepalive-proxy: [A-Z][^.]+$/);
    assert.notEqual(advice, 'The log of ws-keepalive-proxy says more.');
  }
  assert.equal(
    ours(502, 'Bad Gateway', 'The server answered, but not with a WebSocket.').text,
    '502 Bad Gateway from ws-keepalive-proxy: The server answered, but not with a WebSocket',
  );
  assert.match(ours(403, 'Forbidden').advice, /allowed_origins/);
  const front = explain({ status: 502, reason: 'Bad Gateway', headers: { server: 'nginx' }, body: '<h1>502</h1>' });
  assert.match(front.text, /^502 Bad Gateway from nginx: what is behind it cannot be reached from there, or/);
  assert.match(front.advice, /proxy_pass/);
});

test('server faults say who and what', () => {
  assert.match(explain({ status: 504 }).text, /does not answer in time$/);
  assert.match(explain({ status: 503 }).text, /from a server that does not say its name: it has no server or no room/);
  assert.doesNotMatch(explain({ status: 503 }).advice, /its name/);
  assert.match(
    explain({ status: 522, headers: { server: 'cloudflare' } }).text,
    /Cloudflare cannot talk to your server$/,
  );
  assert.doesNotMatch(explain({ status: 522 }).text, /Cloudflare/);
  assert.match(
    explain({ status: 500, headers: { via: '1.1 varnish' } }).text,
    /^500 from a server behind 1\.1 varnish: something failed there$/,
  );
  assert.match(explain({ status: 429 }).text, /too many requests$/);
});

test('redirects name where they go, and logins are recognised', () => {
  const to = (location?: string): Finding => explain({ status: 302, reason: 'Found', headers: { location } });
  assert.match(
    to('https://neko.example.com/room/ws/?password=x').text,
    /: a redirect to wss:\/\/neko\.example\.com\/room\/ws\/$/,
  );
  assert.match(to('/elsewhere').text, /: a redirect to wss:\/\/neko\.example\.com\/elsewhere$/);
  assert.match(to('https://auth.example.com/?rd=x').text, /to a login \(wss:\/\/auth\.example\.com\/\)$/);
  assert.match(to('https://auth.example.com/').advice, /--header 'Cookie:/);
  for (const location of ['https://[', '', undefined])
    assert.match(to(location).text, /a redirect without a place to go$/);
});

test('a redirect to a scheme that no WebSocket has is not advice', () => {
  for (const scheme of ['file', 'ftp', 'javascript', 'mailto', 'data']) {
    const { text, advice } = explain({ status: 302, headers: { location: `${scheme}:///etc/passwd?password=x` } });
    assert.match(text, new RegExp(`: a redirect to a ${scheme}: address, where no WebSocket can be$`));
    assert.match(advice, /^Do not follow it\./);
    assert.doesNotMatch(text + advice, /passwd/);
  }
});

test('a plain request to a TLS port is told to use wss', () => {
  const body = '<center>The plain HTTP request was sent to HTTPS port</center>';
  assert.equal(explain({ status: 400, body }).text, 'the port wants TLS');
});

test('handshakes without an answer are explained, and unknown faults quoted without their secrets', () => {
  const fault = (code: string | undefined, message: string): string =>
    explainFault(Object.assign(new Error(message), code === undefined ? {} : { code }), (text) => `<${text}>`).text;
  assert.match(fault('ETIMEDOUT', 'x'), /no answer to the handshake/);
  assert.match(fault('HPE_INVALID_CONSTANT', 'Parse Error'), /not HTTP\/1\.1/);
  assert.match(fault('ECONNRESET', 'socket hang up'), /hung up/);
  assert.match(fault(undefined, 'Invalid Sec-WebSocket-Accept header'), /does not fit the request/);
  assert.match(fault(undefined, 'Invalid Upgrade header'), /no Upgrade: websocket/);
  assert.match(fault(undefined, 'Server sent no subprotocol'), /do not agree on a subprotocol/);
  assert.equal(fault('EWHAT', 'strange'), 'the handshake failed: <strange>');
});

test('connections that do not come about are explained', () => {
  const text = (code: string, host = 'a'): string =>
    connectFault(Object.assign(new Error(code), { code }), { host, port: 443 })[0];
  assert.equal(text('ECONNREFUSED', '::1'), 'nothing listens on [::1]:443');
  assert.equal(text('ETIMEDOUT'), 'a:443 does not answer');
  assert.equal(text('ECONNRESET'), 'a:443 hung up while the connection was made');
  assert.equal(text('EHOSTUNREACH'), 'there is no route to a:443');
  assert.equal(text('ENETUNREACH'), 'there is no route to a:443');
  assert.equal(text('EWHAT'), 'no connection to a:443 (EWHAT)');
});

test('faults of TLS are explained', () => {
  const tls = (code: string): string => tlsFault(Object.assign(new Error(code), { code }))[0];
  assert.match(tls('ERR_SSL_PACKET_LENGTH_TOO_LONG'), /no TLS/);
  assert.match(tls('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'), /does not take HTTP\/1\.1/);
  assert.match(tls('ERR_SSL_TLSV1_UNRECOGNIZED_NAME'), /no certificate for this name/);
  assert.match(tls('ERR_SSL_WHAT'), /ERR_SSL_WHAT/);
});

test('each address of a name is told when none can be reached', () => {
  const errors = [
    { code: 'ECONNREFUSED', address: '192.0.2.1' },
    { code: 'ENETUNREACH', address: '2001:db8::1' },
    { code: 'EWHAT' },
  ];
  assert.equal(
    connectFault(Object.assign(new Error('several'), { code: 'ECONNREFUSED', errors }), { host: 'a', port: 80 })[0],
    'nothing listens on a:80: 192.0.2.1 refuses, 2001:db8::1 cannot be reached from here, another EWHAT',
  );
});

test('TLS that stalls is told from a port that does not answer', () => {
  const words = (code: string): string =>
    stalledTls(Object.assign(new Error(code), { code }), { host: 'a', port: 443 })[0];
  assert.equal(words('ETIMEDOUT'), 'a:443 accepts the connection and then says nothing');
  assert.equal(words('ECONNRESET'), 'a:443 hung up in the TLS handshake');
});
