import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ValueError } from '../../src/config/errors.ts';
import * as values from '../../src/config/values.ts';

const refused = (read: (text: string) => unknown, text: string, message: RegExp) =>
  assert.throws(
    () => read(text),
    (error) => {
      assert.ok(error instanceof ValueError, `${text}: ${String(error)}`);
      assert.match(error.message, message, text);
      return true;
    },
    text,
  );

test('a listening address is host and port, IPv6 in brackets, or a unix socket', () => {
  assert.deepEqual(values.parseListen('0.0.0.0:8080'), { kind: 'tcp', host: '0.0.0.0', port: 8080 });
  assert.deepEqual(values.parseListen('LocalHost:0'), { kind: 'tcp', host: 'localhost', port: 0 });
  assert.deepEqual(values.parseListen('[::1]:65535'), { kind: 'tcp', host: '::1', port: 65_535 });
  assert.deepEqual(values.parseListen('unix:/run/proxy.sock'), { kind: 'unix', path: '/run/proxy.sock' });
  assert.deepEqual(values.parseListenOrDescriptor('fd:3'), { kind: 'fd', fd: 3 });
  assert.equal(values.formatListen(values.parseListenOrDescriptor('fd:03')), 'fd:3');
});

test('a listening address is written as it is read', () => {
  for (const text of ['0.0.0.0:8080', '[::1]:80', 'unix:/run/a.sock']) {
    assert.equal(values.formatListen(values.parseListen(text)), text);
  }
});

test('a bad listening address is refused with what to write', () => {
  refused(values.parseListenOrDescriptor, 'fd:0', /sockets begin at fd:3/);
  refused(values.parseListenOrDescriptor, 'fd:http', /write fd:3/);
  refused(values.parseListen, 'fd:3', /only for listen/);
  refused(values.parseListen, '8080', /write 0\.0\.0\.0:8080/);
  refused(values.parseListen, ':8080', /write 0\.0\.0\.0:8080 or \[::\]:8080/);
  refused(values.parseListen, '*:8080', /write 0\.0\.0\.0:8080/);
  refused(values.parseListen, '::1', /write "\[::1\]:8080"/);
  refused(values.parseListen, 'http://0.0.0.0:8080', /is a URL; write host:port/);
  refused(values.parseListen, 'localhost', /write host:port/);
  refused(values.parseListen, '0.0.0.0:65536', /port 65536 is out of range/);
  refused(values.parseListen, '0.0.0.256:80', /"0\.0\.0\.256" is not a host/);
  refused(values.parseListen, '[10.0.0.1]:80', /not a host/);
  refused(values.parseListen, 'a b:80', /not a host/);
  refused(values.parseListen, 'unix:run/a.sock', /absolute path/);
  refused(values.parseListen, `unix:/${'x'.repeat(107)}`, /at most 107 bytes/);
});

test('an upstream is a URL of a host', () => {
  const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port });
  assert.deepEqual(values.parseUpstream('http://neko:8080'), {
    address: tcp('neko', 8080),
    tls: false,
    url: 'http://neko:8080',
  });
  assert.deepEqual(values.parseUpstream('ws://neko/'), { address: tcp('neko', 80), tls: false, url: 'ws://neko' });
  assert.deepEqual(values.parseUpstream('HTTPS://neko'), { address: tcp('neko', 443), tls: true, url: 'https://neko' });
  assert.deepEqual(values.parseUpstream('wss://[::1]:8443'), {
    address: tcp('::1', 8443),
    tls: true,
    url: 'wss://[::1]:8443',
  });
  assert.deepEqual(values.parseUpstream('http://a:80').address, tcp('a', 80));
});

test('an upstream can be a unix socket', () => {
  const address = { kind: 'unix', path: '/run/neko.sock' };
  assert.deepEqual(values.parseUpstream('unix:/run/neko.sock'), { address, tls: false, url: 'unix:/run/neko.sock' });
  assert.deepEqual(values.parseUpstream('unix:///run/neko.sock').address, address);
});

test('a bad upstream is refused with what to write', () => {
  refused(values.parseUpstream, 'neko:8080', /write http:\/\/neko:8080/);
  refused(values.parseUpstream, 'http:/neko', /write http:\/\/neko:8080/);
  refused(values.parseUpstream, 'ftp://neko', /ftp:\/\/ is not supported/);
  refused(values.parseUpstream, 'http://neko/ws', /has no path/);
  refused(values.parseUpstream, 'http://a:1,b:2', /each has its scheme; write http:/);
  refused(values.parseUpstream, 'http://neko/?a=b', /no query/);
  refused(values.parseUpstream, 'http://neko#x', /no fragment/);
  refused(values.parseUpstream, 'http://neko:0', /port 0/);
  for (const authority of ['', '/', 'neko:', 'neko:99999', 'ne ko', 'ne\tko', 'neko\\x', '[::1', 'neko:80:80']) {
    refused(values.parseUpstream, `http://${authority}`, /not a host|write http/);
  }
});

test('a password in an upstream is refused and not repeated', () => {
  for (const text of [
    'http://user:hunter2@neko',
    'user:hunter2@neko',
    'ftp://user:hunter2@neko',
    'http://neko?pwd=hunter2',
    'neko?pwd=hunter2',
  ]) {
    refused(values.parseUpstream, text, /^(?!.*hunter2)/);
  }
});

test('trusted proxies are names, addresses and ranges', () => {
  for (const text of ['loopback', 'private', '10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8']) {
    assert.equal(values.parseTrustedProxy(text), text);
  }
  for (const text of [
    'lo',
    '127',
    '010.0.0.1',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '10.0.0.0/x',
    'fe80::1%eth0',
    'neko',
  ]) {
    refused(values.parseTrustedProxy, text, /is not loopback, private/);
  }
});

test('an origin is brought into the form that browsers send', () => {
  assert.equal(values.parseOrigin('same-host'), 'same-host');
  assert.equal(values.parseOrigin('https://Neko.example.com:443'), 'https://neko.example.com');
  assert.equal(values.parseOrigin('http://localhost:8080'), 'http://localhost:8080');
});

test('a bad origin is refused with what to write', () => {
  refused(values.parseOrigin, '*', /leave the list empty/);
  refused(values.parseOrigin, 'neko.example.com', /write same-host, or for example https/);
  for (const text of ['null', 'neko:8080', 'chrome-extension://abc', 'https://a b', 'https://[::1']) {
    refused(values.parseOrigin, text, /is not an origin/);
  }
  refused(values.parseOrigin, 'https://', /is not an origin/);
  refused(values.parseOrigin, 'https://neko.example.com/', /write https:\/\/neko\.example\.com$/);
  refused(values.parseOrigin, 'https://user:hunter2@neko', /^(?!.*hunter2).*write https:\/\/neko$/);
});

test('host names are lower-cased and carry no port', () => {
  assert.equal(values.parseHostName('Neko_1.Example.com'), 'neko_1.example.com');
  assert.equal(values.parseRouteHost('*.Example.com'), '*.example.com');
  assert.equal(values.parseRouteHost('10.0.0.1'), '10.0.0.1');
  refused(values.parseHostName, 'neko:80', /leave the port out/);
  refused(values.parseRouteHost, '*', /leave host out/);
  for (const text of ['*.', '-a', 'a..b', 'a/b', '300.1.1.1', 'x'.repeat(64)])
    refused(values.parseRouteHost, text, /not a host name/);
});

test('a path prefix loses its trailing slash, and / is any path', () => {
  assert.equal(values.parseRoutePath('/room/alpha/'), '/room/alpha');
  assert.equal(values.parseRoutePath('/room/alpha'), '/room/alpha');
  assert.equal(values.parseRoutePath('/Room%20A'), '/Room%20A');
  assert.equal(values.parseRoutePath('/'), null);
});

test('a path that no request could match as it stands is refused', () => {
  refused(values.parseRoutePath, 'room', /starts with \//);
  refused(values.parseRoutePath, '/room?a', /no query/);
  refused(values.parseRoutePath, '/room#a', /no fragment/);
  for (const path of ['/a//b', '//', '/./a', '/a/..', '/%2E%2e/a', '/a/%2e'])
    refused(values.parseRoutePath, path, /no empty segments/);
  for (const path of ['/a b', '/ä', '/a\\b', '/a\0']) refused(values.parseRoutePath, path, /as %XX/);
});

test('route names are labels, and two are taken', () => {
  assert.equal(values.parseRouteName('Room_1-a'), 'Room_1-a');
  for (const name of ['default', 'none']) refused(values.parseRouteName, name, /reserved/);
  for (const name of ['a b', 'a.b', 'ä', '']) refused(values.parseRouteName, name, /is not a name/);
});

test('counts are whole numbers from 1, or off', () => {
  assert.equal(values.parseCount('1'), 1);
  assert.equal(values.parseCount('off'), Infinity);
  for (const text of ['0', '-1', '1.5', '1e3', 'many']) refused(values.parseCount, text, /whole number from 1, or off/);
});

test('words and booleans are exact, and the nearest word is named', () => {
  assert.equal(values.parseWord(['idle', 'always'])('idle'), 'idle');
  refused(values.parseWord(['idle', 'always']), 'alway', /one of idle, always; did you mean always\?/);
  assert.deepEqual(['true', 'false'].map(values.parseBoolean), [true, false]);
  refused(values.parseBoolean, 'off', /neither true nor false/);
});
