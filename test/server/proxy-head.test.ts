import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseProxyHead, ProxyHeadError } from '../../src/server/proxy-head.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const IPV4 = `${SIGNATURE}2111000ccb0071070a000005d43101bb`;
const IPV6 = `${SIGNATURE}2121002420010db8000000000000000000000007${'00'.repeat(15)}01d43101bb`;

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('a PROXY head', () => {
  const good: readonly (readonly [string, Buffer, string | null])[] = [
    ['of version 1 for IPv4', latin1('PROXY TCP4 203.0.113.7 10.0.0.5 54321 443\r\n'), '203.0.113.7'],
    ['of version 1 for IPv6', latin1('PROXY TCP6 2001:db8::7 ::1 54321 443\r\n'), '2001:db8::7'],
    ['of version 1 that tells nothing', latin1('PROXY UNKNOWN\r\n'), null],
    ['of version 1 that tells nothing in many words', latin1('PROXY UNKNOWN ff::1 ff::2 1 2\r\n'), null],
    ['of version 2 for IPv4', hex(IPV4), '203.0.113.7'],
    ['of version 2 for IPv6', hex(IPV6), '2001:db8::7'],
    ['of version 2 with extensions', hex(`${IPV4.replace('2111000c', '21110010')}04000161`), '203.0.113.7'],
    ['of version 2 that is a health check', hex(`${SIGNATURE}20000000`), null],
    ['of version 2 that is a health check with addresses', hex(IPV4.replace('2111000c', '2011000c')), null],
    ['of version 2 for a unix socket', hex(`${SIGNATURE}213100d8${'00'.repeat(216)}`), null],
    ['of version 2 as long as allowed', hex(`${SIGNATURE}20000208${'00'.repeat(520)}`), null],
  ];
  for (const [name, bytes, source] of good) {
    test(`${name} is read, in whatever pieces it comes`, () => {
      const whole = Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1\r\n')]);
      for (let length = 0; length < bytes.length; length += 1) {
        assert.equal(parseProxyHead(whole.subarray(0, length)), null, `${length} bytes`);
      }
      assert.deepEqual(parseProxyHead(whole), { length: bytes.length, source });
    });
  }

  const bad: readonly (readonly [string, Buffer])[] = [
    ['a request', latin1('GET / HTTP/1.1\r\n')],
    ['one wrong byte', latin1('PROXX')],
    ['a signature with one wrong byte', hex('0d0a0d0a000d0a5155495400')],
    ['a line without an end', latin1(`PROXY TCP4 ${'1'.repeat(100)}`)],
    ['a word for an address', latin1('PROXY TCP4 localhost 10.0.0.5 1 2\r\n')],
    ['IPv6 under the name of IPv4', latin1('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['an address with a zone', latin1('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
    ['a port that is none', latin1('PROXY TCP4 203.0.113.7 10.0.0.5 65536 2\r\n')],
    ['a port with a sign', latin1('PROXY TCP4 203.0.113.7 10.0.0.5 +1 2\r\n')],
    ['too few fields', latin1('PROXY TCP4 203.0.113.7 10.0.0.5 1\r\n')],
    ['too many fields', latin1('PROXY TCP4 203.0.113.7 10.0.0.5 1 2 3\r\n')],
    ['another family', latin1('PROXY UDP4 203.0.113.7 10.0.0.5 1 2\r\n')],
    ['version 3', hex(`${SIGNATURE}31110000`)],
    ['an unknown command', hex(`${SIGNATURE}22110000`)],
    ['datagrams', hex(IPV4.replace('2111000c', '2112000c'))],
    ['no room for its addresses', hex(IPV4.replace('2111000c', '2111000b'))],
    ['more than is allowed', hex(`${SIGNATURE}20000209`)],
  ];
  for (const [name, bytes] of bad) {
    test(`with ${name} is refused`, () => {
      assert.throws(() => parseProxyHead(bytes), ProxyHeadError);
    });
  }
});
