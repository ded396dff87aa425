/** A listening socket that this process holds and nobody here accepts from, as systemd does for a socket unit. */
import { spawn } from 'node:child_process';
import { atEnd, type Cleanup } from './cleanup.ts';
import { Child, MAIN } from './process.ts';

interface TcpHandle {
  readonly fd: number;
  bind(address: string, port: number): number;
  getsockname(out: { port?: number }): number;
  close(): void;
}

interface TcpBinding {
  readonly TCP: new (type: number) => TcpHandle;
  readonly constants: { readonly SERVER: number };
}

export interface HeldSocket {
  readonly port: number;
  /** Starts the built program with the socket as descriptor 3. It is stopped with the test. */
  start(args: readonly string[]): Child;
}

/** Node accepts from whatever it listens on; a bound socket without a server is to be had from its insides alone. */
export function holdSocket(cleanup: Cleanup): HeldSocket {
  const { binding } = process as unknown as { binding: (name: 'tcp_wrap') => TcpBinding };
  const { TCP, constants } = binding('tcp_wrap');
  const handle = new TCP(constants.SERVER);
  const name: { port?: number } = {};
  if (handle.bind('127.0.0.1', 0) !== 0 || handle.getsockname(name) !== 0) throw new Error('no port is left');
  atEnd(cleanup, () => handle.close());
  return {
    port: name.port ?? 0,
    start(args) {
      const command = [MAIN, '--listen', 'fd:3', ...args];
      const env = { ...process.env, WSKP_ADMIN_LISTEN: '127.0.0.1:0', WSKP_TIMEOUTS_DRAIN: '30s' };
      const child = new Child(
        'instance',
        spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe', handle.fd] }),
      );
      atEnd(cleanup, () => child.stop().catch(() => undefined));
      return child;
    },
  };
}
