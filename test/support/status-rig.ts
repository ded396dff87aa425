/** The status page without a proxy behind it: what it shows is up to the test, thousands of connections too. */
import type { Server } from 'node:http';
import type { Lesson } from '../../src/core/adaptive.ts';
import type { ConnectionView } from '../../src/core/events.ts';
import { createAdminServer } from '../../src/admin/server.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { listen } from '../../src/server/server.ts';
import type { Timing } from '../../src/observe/close-groups.ts';
import { Feed } from '../../src/admin/status/feed.ts';
import { History } from '../../src/admin/status/history.ts';
import { statusPages } from '../../src/admin/status/page.ts';
import type { UpstreamStatus } from '../../src/admin/upstreams.ts';
import type { RouteView } from '../../src/admin/status/view.ts';
import { atEnd, type Cleanup } from './cleanup.ts';
import { createSinkLogger } from './log-sink.ts';
import { connectionInfo } from './reports.ts';

export type MutableView = { -readonly [Key in keyof ConnectionView]: ConnectionView[Key] };

export interface StatusRig {
  readonly port: number;
  readonly feed: Feed;
  readonly events: History;
  readonly connections: MutableView[];
  readonly routes: RouteView[];
  readonly lessons: Lesson[];
  readonly upstreams: UpstreamStatus[];
  isDraining: boolean;
  /** What is noted lies this far from the start of the rig, in ms, all of it in one minute; 0: it is noted now. */
  wallOffset: number;
}

/** A connection that was opened now. */
export const connectionView = (more: Partial<ConnectionView> = {}): MutableView => ({
  ...connectionInfo(),
  openedAt: systemClock.now(),
  activeAt: systemClock.now(),
  state: 'open',
  rttMs: null,
  answersPings: true,
  pings: 0,
  pongs: 0,
  intervalMs: 10_000,
  bytesUp: 0,
  bytesDown: 0,
  ...more,
});

/** @param timing of the feed; what it shows goes by the system's clock */
export async function startStatusRig(cleanup: Cleanup, timing: Timing = systemClock): Promise<StatusRig> {
  const connections: MutableView[] = [];
  const routes: RouteView[] = [{ name: 'default', intervalMs: 10_000, adaptive: true }];
  const lessons: Lesson[] = [];
  const upstreams: UpstreamStatus[] = [];
  const state = { isDraining: false, wallOffset: 0 };
  const bornAt = Date.now();
  const wallClock = (): number => (state.wallOffset === 0 ? Date.now() : bornAt + state.wallOffset);
  const events = new History({ now: () => systemClock.now(), wallClock });
  const source = {
    connections: () => connections,
    routes: () => routes,
    lessons: () => lessons,
    isDraining: () => state.isDraining,
    upstreams: () => upstreams,
    connectionsLimit: () => 29_491,
  };
  const startedAt = systemClock.now() - 3_723_000;
  const feed = new Feed({ version: '1.2.3', events, source, startedAt, timing, wallClock: Date.now });
  const server = createAdminServer({
    hosts: () => [],
    pages: statusPages(),
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
  return Object.assign(state, { port, feed, events, connections, routes, lessons, upstreams });
}

async function start(server: Server): Promise<number> {
  const address = await listen(server, { kind: 'tcp', host: '127.0.0.1', port: 0 }, 'admin.listen');
  return address.kind === 'tcp' ? address.port : 0;
}
