/**
 * The status page in the states that matter, as pictures: `node --import tsx test/support/status-scenes.ts FOLDER`. They are
 * for whoever changes the page to look at; the project keeps none of them.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import type { ConnectionInfo, Observer, TrafficObserver } from '../../src/core/events.ts';
import { launchChromium } from './chromium.ts';
import { closeReport, connectionInfo, SILENT, upgradeFailure } from './reports.ts';
import { Scope } from './scope.ts';
import { connectionView, type MutableView, startStatusRig, type StatusRig } from './status-rig.ts';

interface Scene {
  readonly name: string;
  readonly connections: number;
  readonly routes?: number;
  /** What has happened in the last hour. */
  readonly past?: (rig: StatusRig, noting: Observer & TrafficObserver) => void;
}

const SCENES: readonly Scene[] = [
  { name: 'empty', connections: 0 },
  { name: 'three', connections: 3, past: quietHour },
  { name: 'fifty', connections: 50, past: quietHour },
  { name: 'two-thousand', connections: 2_000, past: quietHour },
  { name: 'forty-routes', connections: 400, routes: 40, past: quietHour },
  { name: 'upstream-down', connections: 12, past: upstreamDown },
  { name: 'front-reload', connections: 50, past: frontReload },
];
const VIEWS = [
  { name: 'wide', viewport: { width: 1280, height: 900 }, colorScheme: 'light' },
  { name: 'dark', viewport: { width: 1280, height: 900 }, colorScheme: 'dark' },
  { name: 'phone', viewport: { width: 375, height: 780 }, colorScheme: 'light' },
] as const;

const MINUTE_MS = 60_000;

/** Puts a scene on a rig whose wall clock stands `ms` in the past while it does. */
export function stage(rig: StatusRig, { connections, routes = 1, past }: Omit<Scene, 'name'>): void {
  for (let index = 1; index < routes; index += 1) {
    rig.routes.push({ name: `room-${index}`, intervalMs: 10_000, adaptive: true });
  }
  for (const { name } of rig.routes) {
    const url = `http://neko-${name}:8080`;
    rig.upstreams.push({ route: name, upstream: 0, url, isUp: true, since: Date.now() - 3_600_000, error: null });
  }
  const noting = rig.events.noting(SILENT);
  const now = performance.now();
  rig.wallOffset = -59 * MINUTE_MS;
  const infos = Array.from({ length: connections }, (_, index) => {
    const route = rig.routes[index % rig.routes.length]?.name ?? 'default';
    return connectionInfo({ id: `c${index}`, route, client: addressOf(index), path: '/ws?password=[redacted]' });
  });
  for (const info of infos) noting.opened(info);
  past?.(rig, noting);
  rig.wallOffset = 0;
  infos.forEach((info, index) => {
    for (let ping = 0; ping < 12; ping += 1) noting.ponged(info, 'client', 12 + ((index * 7 + ping * 13) % 60));
    rig.connections.push(openView(info, index, now));
  });
}

function openView(info: ConnectionInfo, index: number, now: number): MutableView {
  const pings = (index % 50) + 1;
  return connectionView({
    ...info,
    openedAt: now - index * 37_000,
    activeAt: now - (index % 90) * 1_000,
    state: index % 17 === 3 ? 'waiting' : index % 23 === 7 ? 'blocked' : 'open',
    rttMs: 12 + ((index * 7) % 60),
    pings,
    pongs: pings - (index % 17 === 3 ? 1 : 0),
    bytesUp: index * 1_234,
    bytesDown: index * 56_789,
  });
}

function addressOf(index: number): string {
  return index % 5 === 4
    ? `2001:db8:1234:5678:9abc:def0:1234:${(index % 65_536).toString(16)}`
    : `203.0.${(index >> 8) & 255}.${index & 255}`;
}

/** People come and go, somebody's laptop is closed. */
function quietHour(rig: StatusRig, noting: Observer & TrafficObserver, from = 55, to = 1): void {
  for (let minute = from; minute >= to; minute -= 1) {
    rig.wallOffset = -minute * MINUTE_MS;
    for (let index = 0; index < 2 + (minute % 5); index += 1) {
      const who = { id: `p${minute}-${index}`, client: addressOf(minute * 7 + index) };
      noting.opened(connectionInfo(who));
      for (let ping = 0; ping < 5; ping += 1)
        noting.ponged(connectionInfo(who), 'client', 10 + ((minute * 11 + ping * 17) % 80));
      const isGone = minute % 11 === 0 && index === 0;
      end(
        rig,
        noting,
        who,
        isGone ? { cause: 'pong_timeout' } : { code: 1001 },
        isGone
          ? 'The browser or its tab is gone: it answered no Ping in time, and nothing else came either.'
          : 'The browser left normally.',
      );
    }
  }
}

function end(
  rig: StatusRig,
  noting: Observer & TrafficObserver,
  who: { readonly id: string; readonly client: string },
  facts: Parameters<typeof closeReport>[0],
  verdict: string,
): void {
  const report = closeReport({ ...who, endedAt: performance.now(), ...facts });
  noting.closed(report);
  rig.events.closed({ ...report, verdict });
}

export function upstreamDown(rig: StatusRig, noting: Observer & TrafficObserver): void {
  quietHour(rig, noting, 55, 7);
  rig.wallOffset = -6 * MINUTE_MS;
  const since = Date.now() - 6 * MINUTE_MS;
  const error = 'connect ECONNREFUSED 172.18.0.3:8080';
  rig.upstreams[0] = { route: 'default', upstream: 0, url: 'http://neko-default:8080', isUp: false, since, error };
  rig.events.minutes.mark('upstream lost', `http://neko-default:8080 of route default: ${error}`);
  for (let index = 0; index < 30; index += 1) {
    const who = { id: `u${index}`, client: addressOf(index) };
    noting.opened(connectionInfo(who));
    const facts = { cause: 'abrupt_end', side: 'upstream', initiator: 'upstream' } as const;
    end(
      rig,
      noting,
      who,
      facts,
      "The upstream ended the connection without a Close frame, most likely because it stopped, crashed or was restarted; look into the upstream's log and its restarts.",
    );
  }
  for (let minute = 5; minute >= 0; minute -= 1) {
    rig.wallOffset = -minute * MINUTE_MS;
    for (let index = 0; index < 20; index += 1)
      noting.upgradeFailed(
        upgradeFailure({ client: addressOf(index), detail: `upstream http://neko-default:8080: ${error}` }),
      );
  }
}

export function frontReload(rig: StatusRig, noting: Observer & TrafficObserver): void {
  quietHour(rig, noting, 55, 21);
  rig.wallOffset = -20 * MINUTE_MS;
  rig.events.minutes.mark('reloaded', 'the configuration was read again');
  quietHour(rig, noting, 19, 10);
  rig.wallOffset = -9 * MINUTE_MS;
  const crowd = Array.from({ length: 2_000 }, (_, index) => ({ id: `r${index}`, client: addressOf(index) }));
  for (const who of crowd) noting.opened(connectionInfo(who));
  quietHour(rig, noting, 8, 5);
  rig.wallOffset = -4 * MINUTE_MS;
  for (const who of crowd) {
    end(
      rig,
      noting,
      who,
      { cause: 'front_reload', initiator: 'front' },
      'Many connections ended within a second: the proxy in front was reloaded or restarted, or its network failed; for nginx, a longer worker_shutdown_timeout lets connections outlive a reload.',
    );
  }
  rig.events.minutes.mark('learned', '10.0.0.1 cuts connections of route default after 60 s of silence');
  quietHour(rig, noting, 3, 1);
}

async function takeAll(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const scope = new Scope();
  try {
    const browser = await launchChromium(scope);
    for (const scene of SCENES) await takeScene(browser, scene, folder);
  } finally {
    await scope.undo();
  }
}

async function takeScene(browser: Browser, scene: Scene, folder: string): Promise<void> {
  const scope = new Scope();
  const rig = await startStatusRig(scope);
  stage(rig, scene);
  for (const { name, ...view } of VIEWS) {
    const page = await browser.newPage(view);
    await page.goto(`http://127.0.0.1:${rig.port}/`);
    await page.locator('body:not(.lost)').waitFor();
    await page.locator('#hour svg').waitFor();
    await page.screenshot({ path: join(folder, `${scene.name}-${name}.png`), fullPage: true });
    await page.close();
  }
  await scope.undo();
}

const [, script, folder = 'status-scenes'] = process.argv;
if (script === fileURLToPath(import.meta.url)) await takeAll(folder);
