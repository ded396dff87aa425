/** The first of two upstreams takes no connection, and the kernel swallows every attempt. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { fullPort } from '../support/full-port.ts';
import { adminText, startHttpTarget, statusOf } from '../support/hostile.ts';
import { connectRaw, upgradeRequest } from '../support/raw-http.ts';

const CONNECT_MS = 2000;
const target = await startHttpTarget(async (port, scope) => ({
  args: ['--upstream', `http://127.0.0.1:${await fullPort(scope)}`, '--upstream', `http://127.0.0.1:${port}`],
  settings: { TIMEOUTS_CONNECT: `${CONNECT_MS}ms`, LIMITS_HANDSHAKES: '10' },
}));
const PLAIN = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

describe('a first upstream that swallows connections', () => {
  target.attack('300 upgrades at once, ten handshakes at a time', 'all are served by the second', async (t) => {
    await target.program.child.log('upstream cannot be reached');
    const peers = await Promise.all(Array.from({ length: 300 }, () => target.ask(t, upgradeRequest())));
    for (const peer of peers) assert.equal(statusOf(await peer.head()), 101);
    assert.equal(target.heads.length, peers.length);
  });

  target.attack('300 plain requests at once', 'all are served by the second', async (t) => {
    const peers = await Promise.all(Array.from({ length: 300 }, () => target.ask(t, PLAIN)));
    for (const peer of peers) assert.equal(statusOf(await peer.end()), 200);
  });

  target.attack(
    'clients that leave while they are passed from one to the other',
    'nothing is left of them',
    async (t) => {
      for (let round = 0; round < 100; round += 1) {
        const peers = [await target.ask(t, upgradeRequest()), await connectRaw(t, target.port, PLAIN)];
        for (const peer of peers) peer.reset();
      }
      const metrics = await adminText(t, target.program, '/metrics');
      assert.match(metrics, /^ws_keepalive_upstream_up\{route="default",upstream="0"\} 0$/m);
      assert.match(metrics, /^ws_keepalive_upstream_up\{route="default",upstream="1"\} 1$/m);
    },
  );
});
