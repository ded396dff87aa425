/** What `--demo` brings besides the proxy: a room behind it and a front before it. */
import { UsageError } from '../config/errors.ts';
import { formatListen, parseListen } from '../config/values.ts';
import type { Address } from '../core/settings.ts';
import { type DemoFront, startFront } from './front.ts';
import { startRoom } from './room.ts';

/** What the demo's front allows, in ms, and what the proxy does about it. */
const IDLE_LIMIT = 5000;
const DEFAULTS = {
  WSKP_KEEPALIVE_PING_INTERVAL: '2s',
  WSKP_KEEPALIVE_FRONT_IDLE_TIMEOUT: '5s',
  // Any free port: the usual one may be in use by a real one.
  WSKP_ADMIN_LISTEN: '127.0.0.1:0',
};

export interface Demo {
  /** The room's URL: the proxy's upstream. */
  readonly upstream: string;
  /** Settings that fit the front, under those of the caller. */
  readonly env: NodeJS.ProcessEnv;
  /**
   * Opens the front, once the proxy listens.
   *
   * @param listen `host:port`; by default port 8080 of this machine, or another one where that is taken
   * @param proxy what the proxy listens on
   * @param statusPage its URL; null: there is none
   * @returns the URL of the page
   */
  open(listen: string | undefined, proxy: readonly Address[], statusPage: string | null): Promise<string>;
  close(): Promise<void>;
}

export async function startDemo(env: NodeJS.ProcessEnv): Promise<Demo> {
  const room = await startRoom({ host: '127.0.0.1', port: 0 });
  let front: DemoFront | null = null;
  return {
    upstream: `http://127.0.0.1:${room.port}`,
    env: { ...DEFAULTS, ...env },
    async open(listen, [proxy], statusPage) {
      const address = parseListen(listen ?? '127.0.0.1:8080');
      if (address.kind === 'unix' || proxy?.kind !== 'tcp') throw new UsageError('the demo listens only on host:port');
      const { host, port } = address;
      const options = { host, roomPort: room.port, proxyPort: proxy.port, idleLimit: IDLE_LIMIT, statusPage };
      front = await startFront({ ...options, port }).catch((error: NodeJS.ErrnoException) => {
        if (listen !== undefined || error.code !== 'EADDRINUSE') throw error;
        return startFront({ ...options, port: 0 });
      });
      return `http://${formatListen({ ...address, port: front.port })}/`;
    },
    async close() {
      await front?.close();
      await room.close();
    },
  };
}
