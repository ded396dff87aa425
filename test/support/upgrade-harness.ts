/** An http server with the upgrade handler behind it and plain stand-ins for its neighbours. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { endToEnd } from '../../src/http/headers.ts';
import type { UpgradeFailure } from '../../src/core/events.ts';
import { NO_HEALTH } from '../../src/core/failover.ts';
import type { Route, Timeouts, UpstreamTarget } from '../../src/core/settings.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { DialQueues } from '../../src/runtime/dial-queue.ts';
import { ReadBatch } from '../../src/tunnel/read-batch.ts';
import type { TunnelParts } from '../../src/tunnel/connection.ts';
import { createUpgradeHandler, type UpgradeDeps, type UpgradeSettings } from '../../src/tunnel/upgrade.ts';
import type { Cleanup } from './cleanup.ts';
import { routeTo, TIMEOUTS } from './routes.ts';
import { Watch } from './watch.ts';

export interface HarnessOptions {
  readonly upstream: UpstreamTarget | readonly UpstreamTarget[];
  readonly settings?: Partial<Omit<UpgradeSettings, 'timeouts'>>;
  readonly timeouts?: Partial<Timeouts>;
  readonly headerBytes?: number;
  readonly deps?: Partial<UpgradeDeps>;
  /** Sees the client's socket before the handler does. */
  readonly onUpgrade?: (socket: Duplex) => unknown;
}

/** What `openTunnel` was called with. */
interface Opened extends TunnelParts {
  readonly route: Route;
  readonly isExtended: boolean;
}

export interface Harness {
  readonly port: number;
  readonly failures: readonly UpgradeFailure[];
  /** What was odd about the answers of upstreams that were passed on. */
  readonly odd: readonly string[];
  readonly tunnels: readonly Opened[];
  /** The first failure or tunnel, as soon as it is there. */
  failure(): Promise<UpgradeFailure>;
  tunnel(): Promise<Opened>;
}

export async function startHarness(t: Cleanup, options: HarnessOptions): Promise<Harness> {
  const failures: UpgradeFailure[] = [];
  const odd: string[] = [];
  const tunnels: Opened[] = [];
  const watch = new Watch();
  const settings = settingsOf(options);
  const handler = createUpgradeHandler({
    batch: new ReadBatch(systemClock),
    dials: new DialQueues(() => Infinity),
    health: NO_HEALTH,
    settings: () => settings,
    forwardHeaders: (headers) => endToEnd(headers),
    identify: () => ({ host: '', userAgent: '', requestId: 'r1' }),
    resolveClient: (peer) => peer,
    redact: (target) => target.replace(/=[^&]*/g, '=[redacted]'),
    admit: () => null,
    renderError: (status, _accept, detail, headers) => errorText(status, detail, headers),
    openTunnel: (parts, route, isExtended) => {
      tunnels.push({ ...parts, route, isExtended });
      t.after(() => {
        parts.client.destroy();
        parts.upstream.destroy();
      });
      watch.changed();
    },
    observer: {
      upgradeFailed: (failure) => {
        failures.push(failure);
        watch.changed();
      },
      oddHandshake: (_route, detail) => void odd.push(detail),
    },
    ...options.deps,
  });
  const port = await listen(t, (req, socket, head) => {
    options.onUpgrade?.(socket);
    handler(req, socket, head);
  });
  return {
    port,
    failures,
    odd,
    tunnels,
    failure: () => watch.until(() => failures[0], 'a failure'),
    tunnel: () =>
      watch.until(
        () => tunnels[0],
        () => `a tunnel, not ${JSON.stringify(failures)}`,
      ),
  };
}

function settingsOf(options: HarnessOptions): UpgradeSettings {
  const { headerBytes = 16_384, timeouts = {} } = options;
  return {
    routes: [routeTo(options.upstream, 'default', { timeouts, limits: { headerBytes } })],
    allowedOrigins: [],
    upstreamTls: { ca: 'system', verify: true },
    ...options.settings,
    timeouts: { ...TIMEOUTS, ...timeouts },
  };
}

async function listen(t: Cleanup, handler: ReturnType<typeof createUpgradeHandler>): Promise<number> {
  const server = createServer();
  server.on('upgrade', handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

/** `detail` stands in the body, or `-`. */
function errorText(status: number, detail: string | undefined, headers: Readonly<Record<string, string>>): Buffer {
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status} Error\r\n${fields.join('')}Connection: close\r\n\r\n${detail ?? '-'}`);
}
