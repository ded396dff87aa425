import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Cleanup } from './cleanup.ts';

/** A port whose queue is full: nothing accepts there, and the kernel lets further connections wait for ever. */
export async function fullPort(t: Cleanup): Promise<number> {
  const script = `
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  // Linux queues one more than it is told.
  for (let queued = 0; queued < 2; queued += 1) {
    const filler = connect(Number(port), '127.0.0.1');
    filler.on('error', () => {});
    t.after(() => filler.destroy());
    await once(filler, 'connect');
  }
  return Number(port);
}
