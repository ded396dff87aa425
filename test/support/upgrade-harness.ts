/** An http server with the upgrade handler behind it and plain stand-ins for its neighbours. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { endToEnd } from '../../src/core/raw-headers.ts';
import type { UpgradeFailure } from '../../src/core/report.ts';
import type { Route, UpstreamTarget } from '../../src/core/settings.ts';
import { systemClock } from '../../src/io/clock.ts';
import { Turn } from '../../src/io/turn.ts';
import { createUpgradeHandler } from '../../src/io/upgrade.ts';
import type { TunnelParts, UpgradeDeps, UpgradeSettings } from '../../src/io/upgrade.ts';
import type { Cleanup } from './cleanup.ts';
import { Watch } from './watch.ts';

const ping = { interval: Infinity, timeout: Infinity, mode: 'idle' } as const;

export function routeTo(upstream: UpstreamTarget, name = 'default', path: string | null = null): Route {
  const keepalive = { client: ping, upstream: ping, adaptive: false, frontIdleTimeout: Infinity };
  return { name, host: null, path, upstream, keepalive };
}

export interface HarnessOptions {
  readonly upstream: UpstreamTarget;
  readonly settings?: Partial<Omit<UpgradeSettings, 'timeouts' | 'limits'>>;
  readonly timeouts?: Partial<UpgradeSettings['timeouts']>;
  readonly headerBytes?: number;
  readonly deps?: Partial<UpgradeDeps>;
  /** Sees the client's socket before the handler does. */
  readonly onUpgrade?: (socket: Duplex) => unknown;
}

export interface Harness {
  readonly port: number;
  readonly failures: readonly UpgradeFailure[];
  readonly tunnels: readonly TunnelParts[];
  /** The first failure or tunnel, as soon as it is there. */
  failure(): Promise<UpgradeFailure>;
  tunnel(): Promise<TunnelParts>;
}

export async function startHarness(t: Cleanup, options: HarnessOptions): Promise<Harness> {
  const failures: UpgradeFailure[] = [];
  const tunnels: TunnelParts[] = [];
  const watch = new Watch();
  const settings = settingsOf(options);
  const handler = createUpgradeHandler({
    turn: new Turn(systemClock),
    settings: () => settings,
    forwardHeaders: (headers) => endToEnd(headers),
    resolveClient: (peer) => peer,
    redact: (target) => target.replace(/=[^&]*/g, '=[redacted]'),
    admit: () => null,
    renderError: (status, _accept, detail, headers) => errorText(status, detail, headers),
    openTunnel: (parts) => {
      tunnels.push(parts);
      t.after(() => {
        parts.socket.destroy();
        parts.upstream.destroy();
      });
      watch.changed();
    },
    observer: {
      upgradeFailed: (failure) => {
        failures.push(failure);
        watch.changed();
      },
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
  return {
    routes: [routeTo(options.upstream)],
    allowedOrigins: [],
    upstreamTls: { ca: 'system', verify: true },
    ...options.settings,
    timeouts: { connect: 5000, handshake: 15_000, stall: 60_000, ...options.timeouts },
    limits: { headerBytes: options.headerBytes ?? 16 * 1024 },
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
