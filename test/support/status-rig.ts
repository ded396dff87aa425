/** The status page without a proxy behind it: what it shows is up to the test, thousands of connections too. */
import type { Server } from 'node:http';
import type { Lesson } from '../../src/core/adaptive.ts';
import type { ConnectionView } from '../../src/core/report.ts';
import { createAdminServer } from '../../src/io/admin.ts';
import { systemClock } from '../../src/io/clock.ts';
import { listen } from '../../src/io/server.ts';
import type { Timing } from '../../src/observe/closing-desk.ts';
import { Feed } from '../../src/observe/status/feed.ts';
import { Ledger } from '../../src/observe/status/ledger.ts';
import { PAGE, PAGE_POLICY } from '../../src/observe/status/page.ts';
import type { RouteView } from '../../src/observe/status/view.ts';
import { atEnd, type Cleanup } from './cleanup.ts';
import { createSinkLogger } from './log-sink.ts';
import { connectionInfo } from './reports.ts';

export type MutableView = { -readonly [Key in keyof ConnectionView]: ConnectionView[Key] };

export interface StatusRig {
  readonly port: number;
  readonly feed: Feed;
  readonly ledger: Ledger;
  readonly connections: MutableView[];
  readonly routes: RouteView[];
  readonly lessons: Lesson[];
  isDraining: boolean;
}

/** A connection that was opened now. */
export const connectionView = (more: Partial<ConnectionView> = {}): MutableView => ({
  ...connectionInfo(),
  openedAt: systemClock.now(),
  activeAt: systemClock.now(),
  state: 'open',
  rttMs: null,
  pings: 0,
  pongs: 0,
  intervalMs: 10_000,
  bytesUp: 0,
  bytesDown: 0,
  ...more,
});

/** @param timing of the feed; what it shows goes by the system's clock */
export async function startStatusRig(cleanup: Cleanup, timing: Timing = systemClock): Promise<StatusRig> {
  const ledger = new Ledger({ now: () => systemClock.now(), wallClock: Date.now });
  const connections: MutableView[] = [];
  const routes: RouteView[] = [{ name: 'default', intervalMs: 10_000, adaptive: true }];
  const lessons: Lesson[] = [];
  const state = { isDraining: false };
  const source = {
    connections: () => connections,
    routes: () => routes,
    lessons: () => lessons,
    isDraining: () => state.isDraining,
  };
  const startedAt = systemClock.now() - 3_723_000;
  const feed = new Feed({ version: '1.2.3', ledger, source, startedAt, timing, wallClock: Date.now });
  const page = { status: 200, contentType: 'text/html; charset=utf-8', body: PAGE, headers: PAGE_POLICY };
  const server = createAdminServer({
    hosts: () => [],
    pages: new Map([['/', { anyHost: false, answer: () => page }]]),
    livePath: '/live',
    onLive: feed.handleUpgrade,
    log: createSinkLogger().log,
  });
  const port = await start(server);
  atEnd(cleanup, () => {
    feed.close();
    server.close();
    server.closeAllConnections();
  });
  return Object.assign(state, { port, feed, ledger, connections, routes, lessons });
}

async function start(server: Server): Promise<number> {
  const address = await listen(server, { kind: 'tcp', host: '127.0.0.1', port: 0 });
  return address.kind === 'tcp' ? address.port : 0;
}
