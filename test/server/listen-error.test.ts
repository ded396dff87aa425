/** What operators read when an address cannot be had: the key, the address, the reason, and what to do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import type { Address } from '../../src/core/settings.ts';
import { ListenError, passedSockets } from '../../src/server/listen-error.ts';
import { listen } from '../../src/server/server.ts';

const tcp = (host: string, port: number): Address => ({ kind: 'tcp', host, port });

for (const [what, address, code, advice] of [
  [
    'an address of another machine',
    tcp('192.0.2.1', 80),
    'EADDRNOTAVAIL',
    /does not have the address .*; write 0\.0\.0\.0 or \[::\]/,
  ],
  ['a folder that does not exist', { kind: 'unix', path: '/nowhere/at/all' }, 'EACCES|ENOENT', /the folder/],
] as const)
  test(`${what} cannot be listened on`, async () => {
    await assert.rejects(listen(createServer(), address, 'listen'), (error: ListenError) => {
      assert.match(error.code ?? '', new RegExp(`^(?:${code})$`));
      assert.match(error.message, /^listen: cannot listen on /);
      assert.match(error.message, advice);
      return true;
    });
  });

test('a taken port cannot be listened on', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  t.after(() => holder.close());
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  await assert.rejects(listen(createServer(), tcp('127.0.0.1', port), 'admin.listen'), {
    code: 'EADDRINUSE',
    message: `admin.listen: cannot listen on 127.0.0.1:${port}: the port is taken (EADDRINUSE); stop what listens there, or choose another address, or off`,
  });
});

for (const [code, reason] of [
  [
    'EACCES',
    'this user may not use the port (EACCES); choose one from 1024 on, or allow it (AmbientCapabilities=CAP_NET_BIND_SERVICE)',
  ],
  ['ENOTFOUND', 'the name is not known (ENOTFOUND); write an address, or 0.0.0.0 for all that this machine has'],
  ['EAI_AGAIN', 'the name cannot be looked up (EAI_AGAIN); write an address, or 0.0.0.0 for all that this machine has'],
  ['EWHATEVER', 'as the system says it'],
] as const)
  test(`${code} is told with what to do`, () => {
    const error = new ListenError(
      'listen',
      tcp('neko', 80),
      Object.assign(new Error('as the system says it'), { code }),
    );
    assert.equal(error.message, `listen: cannot listen on neko:80: ${reason}`);
  });

for (const [env, words] of [
  [{}, '; start it from a socket unit of systemd, or write host:port'],
  [{ LISTEN_FDS: '1', LISTEN_PID: '7' }, '; LISTEN_FDS says that 1 came: only fd:3'],
  [{ LISTEN_FDS: '2' }, '; LISTEN_FDS says that 2 came: fd:3 to fd:4'],
  [
    { LISTEN_FDS: '1', LISTEN_PID: '6' },
    '; LISTEN_PID says that sockets are for process 6, and this is 7: start it with exec',
  ],
] as const)
  test(`a descriptor that cannot be had is explained by ${JSON.stringify(env)}`, () => {
    assert.equal(passedSockets(env, 7), words);
  });
