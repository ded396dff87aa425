import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endToEndHeaders, groupHeaders } from '../../src/http/headers.ts';

test('end-to-end headers keep their order, casing and repetition', () => {
  const headers = ['HOST', 'a', 'Cookie', 'x=1', 'accept', '*/*', 'Cookie', 'y=2'];
  assert.deepEqual(endToEndHeaders(headers), headers);
});

test('hop-by-hop headers are removed', () => {
  for (const name of ['Connection', 'KEEP-ALIVE', 'Proxy-Connection', 'TE', 'Transfer-Encoding', 'upgrade']) {
    assert.deepEqual(endToEndHeaders(['Host', 'a', name, 'x', 'Accept', 'b']), ['Host', 'a', 'Accept', 'b'], name);
  }
});

test('a header that Connection names is removed, whatever its spelling and on whichever line', () => {
  const headers = ['Connection', 'close, x-ONE', 'X-One', '1', 'X-Two', '2', 'X-Three', '3', 'connection', ' X-Two ,'];
  assert.deepEqual(endToEndHeaders(headers), ['X-Three', '3']);
});

test('Connection cannot remove framing, host, forwarding or handshake headers', () => {
  for (const name of ['Content-Length', 'Host', 'X-Forwarded-Proto', 'Forwarded', 'Sec-WebSocket-Protocol']) {
    assert.deepEqual(endToEndHeaders(['Connection', name, name, '5']), [name, '5'], name);
  }
});

test('TE passes as trailers alone', () => {
  assert.deepEqual(endToEndHeaders(['TE', 'gzip;q=0.5, Trailers', 'Connection', 'TE']), ['TE', 'trailers']);
  assert.deepEqual(endToEndHeaders(['TE', 'gzip']), []);
});

test('groupHeaders puts repeated lines under the first spelling', () => {
  assert.deepEqual(groupHeaders(['Set-A', '1', 'B', '2', 'set-a', '3']), [
    { name: 'Set-A', values: ['1', '3'] },
    { name: 'B', values: ['2'] },
  ]);
});
