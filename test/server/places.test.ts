import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestLimits } from '../../src/server/descriptors.ts';
import { networkOf } from '../../src/server/places.ts';

test('a /64 of IPv6 is one subscriber', () => {
  assert.equal(networkOf('2001:db8::1'), networkOf('2001:db8::2:3'));
  assert.notEqual(networkOf('2001:db8::1'), networkOf('2001:db8:0:1::1'));
});

test('a tenth of the descriptors serves plain requests, two for each', () => {
  const off = { requests: Infinity, requestsPerIp: Infinity };
  assert.deepEqual(requestLimits({ ...off, requests: 'auto' }, 1024), { requests: 51, requestsPerIp: Infinity });
  assert.deepEqual(requestLimits({ requests: 'auto', requestsPerIp: 4 }, Infinity), { ...off, requestsPerIp: 4 });
  assert.deepEqual(requestLimits({ requests: 7, requestsPerIp: 4 }, 8), { requests: 7, requestsPerIp: 4 });
});
