/** The alerts in `examples/`, asked by Prometheus' own tool for made-up series, and by a real Prometheus that scrapes the program. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { adminPort } from '../support/admin.ts';
import { readDocument } from '../support/documents.ts';
import { EXAMPLES } from '../support/examples.ts';
import { freePort } from '../support/free-port.ts';
import { deadPort } from '../support/http.ts';
import { startChild, startProxy, temporaryFolder, untilListening } from '../support/process.ts';
import { connectRaw } from '../support/raw-websocket.ts';
import { requireProgram, skipWithout } from '../support/requirements.ts';

interface Rule {
  readonly alert: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Alerts {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
}

const ALERTS = join(EXAMPLES, 'prometheus-alerts.yml');
const CASES = fileURLToPath(new URL('../fixtures/prometheus-alerts.test.yml', import.meta.url));
const skip = skipWithout('prometheus', 'promtool');
const alerts = parse(readFileSync(ALERTS, 'utf8')) as Alerts;
const rules = alerts.groups.flatMap((group) => group.rules);

/** Without annotations, which promtool would compare as well. */
async function foldersOfRules(t: TestContext): Promise<string> {
  const folder = await temporaryFolder(t);
  const groups = alerts.groups.map((group) => ({
    ...group,
    rules: group.rules.map(({ annotations: _annotations, ...rule }) => rule),
  }));
  await writeFile(join(folder, 'prometheus-alerts.yml'), stringify({ groups }));
  await copyFile(CASES, join(folder, 'cases.yml'));
  return folder;
}

test('promtool finds that every alert fires when it should, and not when it should not', { skip }, async (t) => {
  const folder = await foldersOfRules(t);
  const child = startChild(t, requireProgram('promtool'), ['test', 'rules', join(folder, 'cases.yml')]);
  const { code } = await child.exited;
  assert.equal(code, 0, child.stdout + child.stderr);
});

test('every alert has a case in which it fires and one in which it does not', () => {
  interface Case {
    readonly alertname: string;
    readonly exp_alerts: readonly object[];
  }
  const cases = parse(readFileSync(CASES, 'utf8')) as { tests: { input_series: object[]; alert_rule_test: Case[] }[] };
  for (const { alert } of rules) {
    const groups = cases.tests.filter(({ alert_rule_test }) => alert_rule_test.some((c) => c.alertname === alert));
    const checks = groups.flatMap(({ alert_rule_test }) => alert_rule_test);
    assert.ok(
      checks.some((check) => check.exp_alerts.length > 0),
      `${alert} never fires`,
    );
    // Either nothing fires at some time, or some of several series do not.
    const isSpared = groups.some(({ input_series }) => input_series.length > 1);
    assert.ok(isSpared || checks.some((check) => check.exp_alerts.length === 0), `${alert} always fires`);
  }
});

test('every alert leads to a heading of its own in docs/operations.md', () => {
  const headings = [...readDocument('docs/operations.md').matchAll(/^#+ `?(\w+)`?$/gm)].map(([, name]) => name);
  for (const { alert, annotations } of rules) {
    assert.ok(headings.includes(alert), alert);
    assert.match(annotations?.['runbook_url'] ?? '', new RegExp(`/docs/operations\\.md#${alert.toLowerCase()}$`));
  }
});

interface Answer {
  readonly data: { readonly result: readonly { readonly metric: object; readonly value: readonly [number, string] }[] };
}

test('a real Prometheus scrapes the program, loads the alerts and sees the first failure of a route', {
  skip,
}, async (t) => {
  const proxy = await startProxy(t, await deadPort());
  const [target, port, folder] = [await adminPort(proxy), await freePort(t), await temporaryFolder(t)];
  const config = {
    global: { scrape_interval: '100ms', evaluation_interval: '100ms' },
    rule_files: [ALERTS],
    scrape_configs: [{ job_name: 'any', static_configs: [{ targets: [`127.0.0.1:${target}`] }] }],
  };
  await writeFile(join(folder, 'prometheus.yml'), stringify(config));
  const prometheus = startChild(t, requireProgram('prometheus'), [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  await untilListening(prometheus, port);
  async function ask(query: string): Promise<Answer['data']['result']> {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
    return answer.ok ? ((await answer.json()) as Answer).data.result : [];
  }
  /** The value of the only series of this query, once it fits. */
  async function until(query: string, fits: (value: number) => boolean): Promise<void> {
    for (;;) {
      const [only] = await ask(query);
      if (only !== undefined && fits(Number(only.value[1]))) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  await until('ws_keepalive_upgrade_failures_total{route="default",reason="upstream_unreachable"}', (n) => n === 0);
  await until('ws_keepalive_upstream_up', (up) => up === 0);
  await connectRaw(t, { port: proxy.port }).catch(() => undefined);
  await until('increase(ws_keepalive_upgrade_failures_total{reason="upstream_unreachable"}[1m])', (n) => n > 0);
  for (const query of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds', 'up']) {
    await until(query, (value) => value > 0);
  }
  const loaded = (await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json()) as { data: Alerts };
  assert.equal(loaded.data.groups.flatMap((group) => group.rules).length, rules.length);
});
