/** The same requests through nginx and through the proxy: what nginx refuses does not pass here either, but for what SECURITY.md explains. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Cleanup } from '../support/cleanup.ts';
import { startNginx } from '../support/nginx.ts';
import { startProxy } from '../support/process.ts';
import { connectRaw, type RawHttpPeer, startRawUpstream } from '../support/raw-http.ts';
import { RAW_REQUESTS, type RawRequest } from '../support/raw-requests.ts';
import { skipWithout } from '../support/requirements.ts';

/** How long a request may wait for its answer, in ms. Most that do wait for bytes that never come. */
const PATIENCE = 3000;
const SECURITY = readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8');

/** Takes whole requests and says how many it has seen. */
function record(peer: RawHttpPeer): void {
  peer.socket.on('data', () => {
    const end = peer.text.indexOf('\r\n\r\n');
    if (end < 0 || !isWhole(peer.text.slice(0, end), peer.text.slice(end + 4))) return;
    peer.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    peer.socket.end();
  });
}

function isWhole(head: string, body: string): boolean {
  if (/^transfer-encoding:/im.test(head)) return /(?:^|\r\n)0+\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(body);
  return body.length >= Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
}

/** The final status; 0 when the connection ended or nothing came. */
async function statusThrough(t: Cleanup, port: number, { text }: RawRequest): Promise<number> {
  const peer = await connectRaw(t, port, text);
  const final = (): number => Number(/HTTP\/1\.[01] ([2-5]\d\d)/.exec(peer.text)?.[1] ?? 0);
  const status = await new Promise<number>((resolve) => {
    const timer = setTimeout(() => resolve(0), PATIENCE);
    const look = (): void => {
      if (final() === 0 && peer.ended === null) return;
      clearTimeout(timer);
      resolve(final());
    };
    for (const event of ['data', 'end', 'close', 'error']) peer.socket.on(event, look);
  });
  peer.socket.destroy();
  return status;
}

test('nothing passes that nginx refuses, but for what SECURITY.md explains', {
  skip: skipWithout('nginx'),
}, async (t) => {
  const upstream = await startRawUpstream(t, record);
  const nginx = await startNginx(
    t,
    `location / { proxy_pass http://127.0.0.1:${upstream.port}; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection ""; }`,
  );
  const proxy = await startProxy(t, upstream.port, { LIMITS_REQUESTS: 'off' });
  const more: string[] = [];
  const less: string[] = [];
  await Promise.all(
    RAW_REQUESTS.map(async (request) => {
      const [there, here] = await Promise.all([
        statusThrough(t, nginx.port, request),
        statusThrough(t, proxy.port, request),
      ]);
      if (here === 200 && there !== 200) more.push(request.name);
      if (here !== 200 && there === 200) less.push(`${request.name} (${here})`);
    }),
  );
  t.diagnostic(`${RAW_REQUESTS.length} requests; refused here alone: ${less.length}: ${less.join(' | ')}`);
  const explained = [...SECURITY.matchAll(/^\| `([^`]+)` \| [^|]+ \|$/gm)].map(([, name]) => name);
  assert.deepEqual(new Set(more), new Set(explained));
});
