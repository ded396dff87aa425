import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import {
  compileTrust,
  forwardHeaders,
  isForwardingField,
  peerAddress,
  resolveClient,
} from '../../src/http/client-address.ts';
import { valuesOf } from '../../src/http/headers.ts';

const trusted = compileTrust(['loopback', 'private']);
const FRONT = '10.0.0.2';
const STRANGER = '203.0.113.9';

/** The pair an upstream looks at. */
function told(rawHeaders: readonly string[], peer: string): { realIp: string[]; chain: string[] } {
  const headers = forwardHeaders(rawHeaders, peer, trusted);
  return { realIp: valuesOf(headers, 'x-real-ip'), chain: valuesOf(headers, 'x-forwarded-for') };
}

test('loopback and private cover their ranges and no neighbour', () => {
  for (const inside of [
    '127.0.0.1',
    '127.255.255.255',
    '::1',
    '10.9.8.7',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    'fd00::1',
  ]) {
    assert.equal(trusted(inside), true, inside);
  }
  for (const outside of [
    '126.0.0.1',
    '128.0.0.1',
    '::2',
    '11.0.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '2001:db8::1',
    '8.8.8.8',
  ]) {
    assert.equal(trusted(outside), false, outside);
  }
});

test('CIDRs and single addresses of both families are trusted exactly', () => {
  const some = compileTrust(['198.51.100.0/24', '203.0.113.9', '2001:db8::/32', '2001:db9::1']);
  for (const inside of ['198.51.100.255', '203.0.113.9', '2001:db8:ffff::1', '2001:db9::1'])
    assert.equal(some(inside), true);
  for (const outside of ['198.51.101.0', '203.0.113.8', '2001:db9::2', '127.0.0.1']) assert.equal(some(outside), false);
});

test('an IPv4-mapped IPv6 address is its IPv4 address, when asked and in the list', () => {
  assert.equal(trusted('::ffff:10.0.0.1'), true);
  assert.equal(trusted('::ffff:8.8.8.8'), false);
  assert.equal(compileTrust(['::ffff:10.0.0.0/104'])('10.1.2.3'), true);
  assert.equal(compileTrust(['::ffff:10.0.0.0/104'])('11.1.2.3'), false);
});

test('what is no address is never trusted', () => {
  const everybody = compileTrust(['0.0.0.0/0', '::/0']);
  assert.equal(everybody('8.8.8.8'), true);
  for (const odd of ['', 'unknown', 'localhost', '127.1', '0x7f.0.0.1', '010.0.0.1', '10.0.0.1:80'])
    assert.equal(everybody(odd), false, odd);
});

test('a list entry that is no range is an error that names it', () => {
  for (const entry of [
    'localhost',
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '',
  ]) {
    assert.throws(() => compileTrust([entry]), { name: 'RangeError', message: new RegExp(`^"${entry}" is no`) }, entry);
  }
});

test('an untrusted peer is the client, whatever it says', () => {
  assert.equal(resolveClient(STRANGER, ['X-Forwarded-For', '1.1.1.1', 'X-Real-IP', '2.2.2.2'], trusted), STRANGER);
});

test('the client is the first untrusted address from the right, over all lines', () => {
  const lines = ['X-Forwarded-For', '6.6.6.6, 1.2.3.4', 'x-forwarded-for', '10.0.0.7,192.168.0.1'];
  assert.equal(resolveClient(FRONT, lines, trusted), '1.2.3.4');
});

test('when every proxy is trusted the leftmost address is the client', () => {
  assert.equal(resolveClient(FRONT, ['X-Forwarded-For', '10.0.0.9, 10.0.0.8'], trusted), '10.0.0.9');
});

test('an entry that is no address ends the walk', () => {
  assert.equal(resolveClient(FRONT, ['X-Forwarded-For', '1.2.3.4, <script>, 10.0.0.8'], trusted), '10.0.0.8');
  assert.equal(resolveClient(FRONT, ['X-Forwarded-For', '1.2.3.4, unknown'], trusted), FRONT);
  assert.equal(resolveClient(FRONT, ['X-Forwarded-For', '127.1'], trusted), FRONT);
});

test('ports and brackets are taken off', () => {
  for (const [claim, client] of [
    ['1.2.3.4:5678', '1.2.3.4'],
    ['[2001:db8::1]:5678', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
  ] as const) {
    assert.equal(resolveClient(FRONT, ['X-Forwarded-For', claim], trusted), client);
  }
});

test('X-Real-IP of a trusted peer counts only without X-Forwarded-For', () => {
  assert.equal(resolveClient(FRONT, ['X-Real-IP', '1.2.3.4'], trusted), '1.2.3.4');
  assert.equal(resolveClient(FRONT, ['X-Real-IP', '1.2.3.4', 'X-Forwarded-For', '5.6.7.8'], trusted), '5.6.7.8');
  assert.equal(resolveClient(FRONT, ['X-Real-IP', '1.2.3.4', 'X-Real-IP', '5.6.7.8'], trusted), FRONT);
});

test('a peer on a unix socket is trusted and called 127.0.0.1', () => {
  const nobody = compileTrust([]);
  assert.equal(resolveClient('', [], nobody), '127.0.0.1');
  assert.equal(resolveClient('', ['X-Forwarded-For', '1.2.3.4'], nobody), '1.2.3.4');
});

test('a peer that was gone before it was asked is not trusted', () => {
  assert.equal(resolveClient('unknown', ['X-Forwarded-For', '1.2.3.4'], trusted), 'unknown');
});

test('the upstream is told the client and the believed part of the way', () => {
  const forged = ['X-Forwarded-For', '6.6.6.6, 1.2.3.4:99, 10.0.0.1', 'X-Real-IP', '7.7.7.7'];
  assert.deepEqual(told(forged, FRONT), { realIp: ['1.2.3.4'], chain: ['1.2.3.4, 10.0.0.1, 10.0.0.2'] });
  assert.deepEqual(told(forged, STRANGER), { realIp: [STRANGER], chain: [STRANGER] });
  assert.deepEqual(told([], `::ffff:${FRONT}`), { realIp: [FRONT], chain: [FRONT] });
  assert.deepEqual(told(['X-Real-IP', '1.2.3.4'], FRONT), { realIp: ['1.2.3.4'], chain: [`1.2.3.4, ${FRONT}`] });
});

test('X-Forwarded-Proto, -Host, -Port and Forwarded pass from a trusted peer alone', () => {
  const said = [
    'X-Forwarded-Proto',
    'https',
    'x-forwarded-host',
    'h',
    'X-Forwarded-Port',
    '443',
    'Forwarded',
    'for=1.2.3.4',
  ];
  assert.deepEqual(forwardHeaders(said, FRONT, trusted).slice(0, -4), said);
  assert.deepEqual(forwardHeaders(said, STRANGER, trusted).slice(0, -4), []);
});

test('True-Client-IP and look-alike spellings never pass', () => {
  for (const name of [
    'True-Client-IP',
    'true_client_ip',
    'X_Real_IP',
    'X_Forwarded-For',
    'X_FORWARDED_PROTO',
    'x.forwarded.host',
  ]) {
    assert.equal(isForwardingField(name), true, name);
    for (const peer of [FRONT, STRANGER]) {
      assert.deepEqual(forwardHeaders([name, '6.6.6.6'], peer, trusted).slice(0, -4), [], name);
    }
  }
});

test('Connection can neither remove nor smuggle forwarding headers', () => {
  const lines = [
    'Connection',
    'X-Forwarded-For, X-Real-IP, X-Forwarded-Proto',
    'X-Forwarded-For',
    '1.2.3.4',
    'X-Forwarded-Proto',
    'https',
  ];
  assert.deepEqual(forwardHeaders(lines, FRONT, trusted), [
    'X-Forwarded-Proto',
    'https',
    'X-Real-IP',
    '1.2.3.4',
    'X-Forwarded-For',
    `1.2.3.4, ${FRONT}`,
  ]);
});

test('other headers keep order and casing, and hop-by-hop ones go', () => {
  const lines = [
    'hOST',
    'h:1',
    'Sec-WebSocket-Protocol',
    'a',
    'Upgrade',
    'websocket',
    'Connection',
    'Upgrade',
    'Sec-WebSocket-Protocol',
    'b',
  ];
  assert.deepEqual(forwardHeaders(lines, STRANGER, trusted).slice(0, -4), [
    'hOST',
    'h:1',
    'Sec-WebSocket-Protocol',
    'a',
    'Sec-WebSocket-Protocol',
    'b',
  ]);
});

/** A connection on `path` or on a port, both ends; the server's is paused and has not been asked for its peer. */
async function connection(t: TestContext, path?: string): Promise<{ client: net.Socket; accepted: net.Socket }> {
  const server = net.createServer({ pauseOnConnect: true });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  const address = server.address();
  const client = typeof address === 'string' ? net.connect(address) : net.connect(address?.port ?? 0, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  t.after(() => {
    client.destroy();
    accepted.destroy();
    server.close();
  });
  return { client, accepted };
}

test('a TCP peer is called by its address', async (t) => {
  const { accepted } = await connection(t);
  assert.equal(peerAddress(accepted), '127.0.0.1');
});

test('a peer on a unix socket has the empty name', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'forwarded-'));
  t.after(() => rm(folder, { recursive: true }));
  const { accepted } = await connection(t, join(folder, 's'));
  assert.equal(peerAddress(accepted), '');
});

test('a TCP peer that has reset the connection does not pass for a unix socket', async (t) => {
  const { client, accepted } = await connection(t);
  client.resetAndDestroy();
  await once(client, 'close');
  assert.equal(accepted.remoteAddress, undefined);
  assert.equal(accepted.destroyed, false);
  assert.equal(peerAddress(accepted), 'unknown');
});

test('a TCP peer whose socket is closed does not pass for a unix socket', async (t) => {
  const { accepted } = await connection(t);
  accepted.destroy();
  assert.equal(peerAddress(accepted), 'unknown');
});
