/** The dashboard and the alerts in `examples/` ask for what the program exports, under its real names and labels. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { CLOSE_CAUSES, UPGRADE_FAILURES } from '../../src/core/events.ts';
import { parseExposition } from '../support/exposition.ts';
import { metricsInUse } from '../support/reports.ts';

interface Alerts {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly description: string;
    readonly targets: readonly { readonly expr: string }[];
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  }[];
}

/** Labels that Prometheus adds. */
const TARGET = new Set(['job', 'instance']);

const read = (name: string): string => readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
const alerts = parse(read('prometheus-alerts.yml')) as Alerts;
const dashboard = JSON.parse(read('grafana-dashboard.json')) as Dashboard;
const rules = alerts.groups.flatMap((group) => group.rules);
const queries: readonly (readonly [string, string])[] = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
];

/** Labels of every exported series, by name. */
async function exportedLabels(): Promise<Map<string, Set<string>>> {
  const metrics = metricsInUse({ process: true });
  const { samples } = parseExposition((await metrics.exposition()).body, 'text');
  return new Map(samples.map(({ name, labels }) => [name, new Set(Object.keys(labels))]));
}

/** Names with the labels that are selected or grouped by, as far as the queries here go. */
function asked(expr: string): { readonly name: string; readonly selector: string }[] {
  return [...expr.matchAll(/((?:ws_keepalive|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', selector = '']) => ({
      name,
      selector,
    }),
  );
}

test('every metric asked for exists, and has the labels that are selected', async () => {
  const exported = await exportedLabels();
  for (const [title, expr] of queries) {
    for (const { name, selector } of asked(expr)) {
      const labels = exported.get(name);
      assert.ok(labels, `${title}: ${name}`);
      for (const [, label = ''] of selector.matchAll(/(\w+)\s*=~?/g))
        assert.ok(TARGET.has(label) || labels.has(label), `${title}: ${label}`);
    }
  }
});

test('every label that is grouped by exists on what is grouped', async () => {
  const exported = await exportedLabels();
  for (const [title, expr] of queries) {
    for (const [, list = '', rest = ''] of expr.matchAll(/by \(([^)]*)\) \((.*)/g)) {
      const [first] = asked(rest);
      assert.ok(first, title);
      for (const label of list.split(/, */))
        assert.ok(TARGET.has(label) || exported.get(first.name)?.has(label), `${title}: ${label}`);
    }
  }
});

test('every cause and reason asked for can occur', () => {
  const known: readonly string[] = [...CLOSE_CAUSES, ...UPGRADE_FAILURES];
  for (const [title, expr] of queries) {
    for (const [, values = ''] of expr.matchAll(/(?:cause|reason)=~?"([^"]*)"/g)) {
      for (const value of values.split('|')) {
        const fits = new RegExp(`^(?:${value})$`);
        assert.ok(
          known.some((word) => fits.test(word)),
          `${title}: ${value}`,
        );
      }
    }
  }
});

test('every panel obeys the variables, says what it shows, and says so where the routes are of no account', async () => {
  const exported = await exportedLabels();
  for (const { title, description, targets } of dashboard.panels) {
    assert.notEqual(description, '', title);
    for (const { name, selector } of targets.flatMap(({ expr }) => asked(expr))) {
      assert.ok(selector.includes('job=~"$job",instance=~"$instance"'), title);
      const isOfRoute = exported.get(name)?.has('route') === true;
      assert.equal(selector.includes('route=~"$route"'), isOfRoute, `${title}: ${name}`);
      assert.ok(isOfRoute || /All routes/.test(description), title);
    }
  }
});

test('alerts keep the job and the instance, and name no job', () => {
  for (const { alert, expr } of rules) {
    assert.ok(!/job *=/.test(expr), alert);
    for (const [, list = ''] of expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g))
      assert.match(list, /^job, instance\b/, alert);
  }
});

test('the dashboard shows every metric there is', async () => {
  const shown = new Set(
    dashboard.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => asked(expr).map(({ name }) => name))),
  );
  for (const name of (await exportedLabels()).keys()) {
    if (!name.startsWith('ws_keepalive_')) continue;
    const isPart = /_(?:sum|count)$/.test(name);
    if (!isPart) assert.ok(shown.has(name), name);
  }
});

test('alerts have names of their own, and panels do not overlap', () => {
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`),
  );
  assert.equal(new Set(cells).size, cells.length);
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
});
