/** Answers as servers really give them, and the faults that leave no answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, explainAnswer } from '../../src/doctor/answers.ts';
import { explainFault } from '../../src/doctor/dial-faults.ts';
import type { Finding } from '../../src/doctor/findings.ts';
import { certificateFault, connectFault, tlsFault } from '../../src/doctor/network-words.ts';
import { errorResponse } from '../../src/io/error-page.ts';

const context = { url: new URL('wss://neko.example.com/room/ws?password=x'), hide: (text: string) => text };

function explain(answer: Partial<Answer>): Finding {
  return explainAnswer({ status: 200, reason: '', headers: {}, body: '', ...answer }, context);
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

test('what this proxy says is told from what the front says', () => {
  assert.match(
    ours(426, 'Upgrade Required', 'The Upgrade header was lost.').text,
    /from ws-keepalive-proxy: the Upgrade/,
  );
  assert.match(ours(502, 'Bad Gateway').text, /^502 Bad Gateway from ws-keepalive-proxy: it cannot reach the server/);
  assert.match(ours(504, 'Gateway Timeout').text, /from ws-keepalive-proxy: the server behind it does not answer$/);
  assert.match(ours(503, 'Service Unavailable').text, /from ws-keepalive-proxy: it is full or stopping$/);
  assert.match(ours(403, 'Forbidden').advice, /allowed_origins/);
  const front = explain({ status: 502, reason: 'Bad Gateway', headers: { server: 'nginx' }, body: '<h1>502</h1>' });
  assert.match(front.text, /^502 Bad Gateway from nginx: what is behind it cannot be reached from there$/);
  assert.match(front.advice, /proxy_pass/);
});

test('server faults say who and what', () => {
  assert.match(explain({ status: 504 }).text, /does not answer in time$/);
  assert.match(
    explain({ status: 522, headers: { server: 'cloudflare' } }).text,
    /Cloudflare cannot talk to your server$/,
  );
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
  assert.match(to('https://[').advice, /do not follow redirects/);
  assert.match(to().text, /redirect to wss:\/\/neko\.example\.com\/room\/ws$/);
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
  assert.equal(text('EHOSTUNREACH'), 'there is no way to a:443');
  assert.equal(text('ENETUNREACH'), 'there is no way to a:443');
  assert.equal(text('EWHAT'), 'no connection to a:443 (EWHAT)');
});

test('faults of TLS and of certificates are explained', () => {
  const tls = (code: string): string => tlsFault(Object.assign(new Error(code), { code }))[0];
  assert.match(tls('ERR_SSL_PACKET_LENGTH_TOO_LONG'), /no TLS/);
  assert.match(tls('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'), /does not take HTTP\/1\.1/);
  assert.match(tls('ERR_SSL_TLSV1_UNRECOGNIZED_NAME'), /no certificate for this name/);
  assert.match(tls('ERR_SSL_WHAT'), /ERR_SSL_WHAT/);
  const certificate = (code: string, names: string[] = []): string => certificateFault(code, 'neko', names)[0];
  assert.match(certificate('SELF_SIGNED_CERT_IN_CHAIN'), /authority that this machine does not know/);
  assert.match(certificate('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), /chain .* incomplete/);
  assert.match(certificate('CERT_HAS_EXPIRED'), /has expired/);
  assert.match(certificate('CERT_NOT_YET_VALID'), /not valid yet/);
  assert.equal(
    certificate('ERR_TLS_CERT_ALTNAME_INVALID', ['a', '*.b']),
    'the certificate is not for neko but for a, *.b',
  );
  assert.equal(certificate('ERR_TLS_CERT_ALTNAME_INVALID'), 'the certificate is not for neko');
  assert.match(certificate('WHAT'), /\(WHAT\)/);
});
