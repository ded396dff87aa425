/** The tables and figures of docs/operations.md are held against the program. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REQUEST_REFUSALS } from '../../src/core/events.ts';
import { reloadedSettings } from '../../src/config/reload.ts';
import { effectiveLimits } from '../../src/server/descriptors.ts';
import { createMetrics } from '../../src/observe/metrics/metrics.ts';
import { createObserver } from '../../src/observe/observer.ts';
import { startRoom } from '../../src/demo/room.ts';
import { adminGet } from '../support/admin.ts';
import { settingsOf } from '../support/app.ts';
import { atEnd } from '../support/cleanup.ts';
import { codeIn, readDocument, tableOf } from '../support/documents.ts';
import { parseExposition } from '../support/exposition.ts';
import { freePort } from '../support/free-port.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { spawnProgram, startProxy } from '../support/process.ts';
import { closeReport, metricsInUse, upgradeFailure } from '../support/reports.ts';
import { FakeClock } from '../support/fake-clock.ts';

const PAGE = readDocument('docs/operations.md');
const LOGGED_BY_PINO = ['level', 'time', 'msg'];

test('its table of metrics has every metric with its labels', async () => {
  const metrics = metricsInUse();
  const { samples, types } = parseExposition((await metrics.exposition()).body, 'text');
  const labelsOf = (name: string): string[] => {
    const sample = samples.find(
      (each) => each.name.replace(/_(?:bucket|sum|count)$/, '') === name || each.name === name,
    );
    return Object.keys(sample?.labels ?? {}).filter((label) => label !== 'le');
  };
  const exported = [...types.keys()].map((name) => [name.replace('ws_keepalive_', ''), labelsOf(name).toSorted()]);
  const documented = tableOf(PAGE, 'Metric').flatMap(([names = '', labels = '']) =>
    codeIn(names).map((name) => [name, codeIn(labels).toSorted()]),
  );
  assert.deepEqual(new Set(documented.map(String)), new Set(exported.map(String)));
});

test('it names every reason for which a plain request is refused', () => {
  const [, list = ''] = /^The reasons of `requests_refused_total`: ([^]*?)\. A /m.exec(PAGE) ?? [];
  assert.deepEqual(
    codeIn(list).filter((word) => !word.includes('.')),
    REQUEST_REFUSALS,
  );
});

test('its tables of log fields are what the lines have', () => {
  const { sink, log } = createSinkLogger();
  const metrics = createMetrics({ version: '1', commit: 'c' });
  const observer = createObserver({ log, metrics, timing: new FakeClock() });
  const report = closeReport({ upstream: 'http://neko:8080' });
  observer.opened(report);
  observer.closed(report);
  observer.upgradeFailed(upgradeFailure({ request: report.request }));
  const fields = (message: string): string[] =>
    Object.keys(sink.lines(message)[0] ?? assert.fail(message)).filter((name) => !LOGGED_BY_PINO.includes(name));
  const documented = tableOf(PAGE, 'Field').flatMap(([names = '']) => codeIn(names));
  assert.deepEqual(documented, fields('websocket closed'));
  assert.deepEqual(documented.slice(0, 8), fields('websocket opened'));
  const [, list = ''] = /^`upgrade failed` has (.*)\.$/m.exec(PAGE) ?? [];
  assert.deepEqual(codeIn(list), fields('upgrade failed'));
});

test('it names the keys that need a restart', () => {
  const current = settingsOf({ UPSTREAM: 'http://127.0.0.1:1' });
  const next = {
    ...current,
    listen: [],
    admin: { listen: null, hosts: ['other'] },
    log: { level: 'debug', format: 'pretty', query: 'keep', requests: true },
  } as const;
  const [, list = ''] = /need a restart,[^:]*: ([^.]+(?:\.[^ .][^.]*)*)\./.exec(PAGE) ?? [];
  assert.deepEqual(codeIn(list), reloadedSettings(current, next).fixed);
});

test('its figures about descriptors are right', () => {
  const within = (limit: number): number =>
    effectiveLimits(
      { ...settingsOf({ UPSTREAM: 'http://127.0.0.1:1' }).limits, connections: 'auto' },
      { descriptors: limit, memory: Infinity },
    ).connections;
  const [, small, , large, limit] = /: (\d+) WebSockets\s+with `ulimit -n` (1024), (\d+) with (\d+)/.exec(PAGE) ?? [];
  assert.deepEqual([Number(small), Number(large)], [within(1024), within(Number(limit))]);
});

test('every path of its table answers on the admin listener', async (t) => {
  const room = await startRoom({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => room.close());
  const proxy = await startProxy(t, room.port);
  const paths = tableOf(PAGE, 'Path').flatMap(([path = '']) => codeIn(path));
  assert.equal(paths.length, 5);
  for (const path of paths) {
    const answer = await adminGet(proxy, path);
    await answer.text();
    assert.equal(answer.status, 200, path);
  }
});

test('an admin port that is taken is fatal, and the health check asks the one that is not', async (t) => {
  const room = await startRoom({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => room.close());
  const settings = { ADMIN_LISTEN: `127.0.0.1:${await freePort(t)}` };
  await startProxy(t, room.port, settings);
  const second = spawnProgram(t, { args: ['--upstream', 'http://127.0.0.1:1', '--listen', '127.0.0.1:0'], settings });
  assert.equal((await second.exited).code, 1);
  assert.match(second.stderr, /^admin\.listen: .*EADDRINUSE.*choose another address, or off$/m);
  const check = spawnProgram(t, { args: ['healthcheck'], settings });
  assert.equal((await check.exited).code, 0, check.stdout);
});
