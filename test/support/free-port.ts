import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { atEnd, type Cleanup } from './cleanup.ts';

/** Below what systems give out by themselves (Linux from 32,768): nobody's connection or port 0 takes one between now and the program's start. */
const [FIRST, LAST] = [10_000, 32_767];

/** A port for programs that cannot choose one by themselves, until the end of the test. */
export async function freePort(cleanup: Cleanup): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    // The same number among the UDP ports is the lock that tests in other processes see.
    const lock = createSocket('udp4').bind({ port, address: '127.0.0.1', exclusive: true });
    if ((await listens(lock)) && (await isFree(port))) {
      atEnd(cleanup, () => new Promise<void>((resolve) => lock.close(resolve)));
      return port;
    }
    lock.close();
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  if (!(await listens(server))) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** False when the port is somebody's. */
function listens(socket: NodeJS.EventEmitter): Promise<boolean> {
  return once(socket, 'listening').then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') return false;
      throw error;
    },
  );
}
