/** The status page in a real browser, before the built program and before thousands of made-up connections. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { startRoom } from '../../src/demo/room.ts';
import { adminGet, adminPort } from '../support/admin.ts';
import { atEnd } from '../support/cleanup.ts';
import { coverScripts, launchChromium } from '../support/chromium.ts';
import { connectIdle } from '../support/idle-client.ts';
import { startProxy } from '../support/process.ts';
import { closeReport, SILENT, upgradeFailure } from '../support/reports.ts';
import { skipWithout } from '../support/requirements.ts';
import { connectionView, startStatusRig, type StatusRig } from '../support/status-rig.ts';
import { frontReload, stage, upstreamDown } from '../support/status-scenes.ts';

const CROWD = 5_000;
/** Longest that the page's own work may keep it from answering, in ms; a loaded machine included. */
const LONGEST_TASK = 500;

interface Visit {
  readonly page: Page;
  /** Errors of the script and of its policy. */
  readonly complaints: string[];
  readonly requests: string[];
}

async function visit(t: TestContext, port: number, options: BrowserContextOptions = {}): Promise<Visit> {
  const browser: Browser = await launchChromium(t);
  const page = await browser.newPage(options);
  await coverScripts(t, page, 'src/admin/status/page');
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(`http://127.0.0.1:${port}/`);
  await untilTrue(page, `!document.body.classList.contains('lost')`);
  return { page, complaints, requests };
}

/** The page's policy forbids what `waitForFunction` does with text. */
async function untilTrue(page: Page, expression: string): Promise<void> {
  const wanted = JSON.stringify(`waited in vain for ${expression}`);
  await page.evaluate(`new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(${wanted})), 15000);
    const look = () => {
      if (!(${expression})) return void setTimeout(look, 10);
      clearTimeout(timer);
      resolve();
    };
    look();
  })`);
}

function textOf(page: Page, selector: string): Promise<string> {
  return page.locator(selector).innerText();
}

async function crowd(t: TestContext, count: number): Promise<StatusRig> {
  const rig = await startStatusRig(t);
  const now = performance.now();
  for (let index = 0; index < count; index += 1) {
    const client = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
    rig.connections.push(
      connectionView({ id: `c${index}`, client, openedAt: now - index * 1_000, rttMs: index % 200, bytesUp: index }),
    );
  }
  return rig;
}

describe('the status page', { skip: skipWithout('chromium') }, () => {
  test('it shows what the program does, as it happens, and asks nobody else', async (t) => {
    const room = await startRoom({ port: 0, host: '127.0.0.1' });
    atEnd(t, () => room.close());
    const proxy = await startProxy(t, room.port, { KEEPALIVE_PING_INTERVAL: '200ms' });
    const ann = await connectIdle(t, proxy.port, 'ann');
    const admin = await adminPort(proxy);
    const { page, complaints, requests } = await visit(t, admin);
    await untilTrue(page, `document.querySelectorAll('#space .row:not([hidden])').length === 1`);
    await untilTrue(page, `/^[1-9]\\d*\\/[1-9]/.test(document.querySelector('.row .pings').textContent)`);
    assert.match(await textOf(page, '.row .who'), /^127\.0\.0\.1\s+\/ws\?password=\[redacted\]/);
    assert.match(await textOf(page, '.row .rtt'), /\d ms/);
    assert.match(
      await textOf(page, '#routes tr'),
      /^default\s+http:\/\/127\.0\.0\.1:\d+\s+up since .* UTC\s+0\.2 s\s+1\s/,
    );

    await connectIdle(t, proxy.port, 'bob');
    await untilTrue(page, `document.getElementById('open').textContent === '2'`);
    ann.socket.close(1001);
    await untilTrue(page, `document.querySelectorAll('#ends li').length === 1`);
    assert.match(
      await textOf(page, '#ends li'),
      /UTC\s+Browser\s+The page went away [^\n]* close_frame\s+127\.0\.0\.1/,
    );
    assert.match(await textOf(page, '#hop-browser'), /^1\s+Browser\s+all in order$/);
    assert.deepEqual(complaints, []);
    assert.deepEqual([...new Set(requests.map((url) => new URL(url).host || 'data'))].sort(), [`127.0.0.1:${admin}`]);
  });

  test('it is not to be had from the public listener', async (t) => {
    const room = await startRoom({ port: 0, host: '127.0.0.1' });
    atEnd(t, () => room.close());
    const proxy = await startProxy(t, room.port);
    const own = await (await adminGet(proxy, '/')).text();
    assert.match(own, /Last ends, and why/);
    for (const path of ['/', '/status', '/metrics', '/readyz', '/live']) {
      const answer = await (await fetch(`http://127.0.0.1:${proxy.port}${path}`)).text();
      assert.ok(!answer.includes('Last ends, and why') && !answer.includes('ws_keepalive_'), path);
    }
  });

  test('of five thousand connections only those in sight exist, and it stays quick', async (t) => {
    const rig = await crowd(t, CROWD);
    const { page } = await visit(t, rig.port);
    await page.evaluate(`window.longest = 0; new PerformanceObserver((list) => {
      for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration);
    }).observe({ type: 'longtask' })`);
    await untilTrue(page, `document.getElementById('table').getAttribute('aria-rowcount') === '${CROWD + 1}'`);
    for (const view of rig.connections) view.bytesDown += 1_000;
    await untilTrue(page, `document.querySelector('.row .down').textContent === '↓ 1.0 kB'`);
    await page.evaluate(`document.getElementById('view').scrollTop = 1e9`);
    await untilTrue(
      page,
      `[...document.querySelectorAll('.row')].some((row) => row.getAttribute('aria-rowindex') === '${CROWD + 1}' && !row.hidden)`,
    );
    const [drawn, longest] = (await page.evaluate(
      `[document.querySelectorAll('.row').length, window.longest]`,
    )) as number[];
    assert.ok(Number(drawn) < 50, `${drawn} rows`);
    assert.ok(Number(longest) < LONGEST_TASK, `${longest} ms`);
  });

  test('the list can be filtered and ordered, by keyboard alone', async (t) => {
    const rig = await crowd(t, 300);
    const { page } = await visit(t, rig.port);
    await page.locator('#filter').focus();
    await page.keyboard.type('10.0.1.4');
    await untilTrue(page, `document.getElementById('shown').textContent === '5 of 300'`);
    await page.locator('#filter').fill('');
    await page.locator('#sort').selectOption('bytes');
    await untilTrue(page, `document.getElementById('shown').textContent === '300'`);
    await untilTrue(page, `document.querySelector('.row .up').textContent === '↑ 299 B'`);
    await page.locator('#sort').focus();
    // Past the headings, each of which orders the list.
    while ((await page.evaluate('document.activeElement.id')) !== 'view') await page.keyboard.press('Tab');
    await page.keyboard.press('End');
    await untilTrue(
      page,
      `[...document.querySelectorAll('.row:not([hidden]) .up')].some((cell) => cell.textContent === '↑ 0 B')`,
    );
  });

  test('a filter that fits nothing, and a list that is empty, say so', async (t) => {
    const rig = await crowd(t, 1);
    const { page } = await visit(t, rig.port);
    await page.locator('#filter').fill('nobody');
    await untilTrue(page, `document.getElementById('none').checkVisibility()`);
    assert.match(await textOf(page, '#none'), /fits the filter/);
    rig.connections.pop();
    await untilTrue(page, `document.getElementById('none').textContent.startsWith('No connection is open.')`);
  });

  test('it says when it has lost the program, comes back by itself, and starts anew', async (t) => {
    const rig = await crowd(t, 2);
    const { page } = await visit(t, rig.port);
    await untilTrue(page, `document.querySelectorAll('.row:not([hidden])').length === 2`);
    const seen = untilTrue(page, `document.body.classList.contains('lost')`);
    rig.connections.shift();
    rig.feed.close();
    await seen;
    await untilTrue(page, `document.getElementById('link-text').textContent === 'live'`);
    await untilTrue(page, `document.querySelectorAll('.row:not([hidden])').length === 1`);
    assert.equal(await page.locator('#link').getAttribute('role'), 'status');
  });

  test('trouble stands out at the hop where it is, stopping is told, and what was learned', async (t) => {
    const rig = await crowd(t, 1);
    const noting = rig.events.noting(SILENT);
    const { page } = await visit(t, rig.port);
    rig.events.closed({
      ...closeReport({ endedAt: performance.now() }),
      initiator: 'front',
      cause: 'front_idle_cut',
      verdict: 'cut after 3 s',
    });
    noting.upgradeFailed(upgradeFailure());
    rig.lessons.push({ route: 'default', front: '10.0.0.1', cutAfterMs: 3_000, intervalMs: 1_500, agesMs: [] });
    rig.isDraining = true;
    await untilTrue(page, `document.getElementById('link-text').textContent === 'stopping'`);
    assert.match(await textOf(page, '#hop-front'), /^1\s+Front\s+1 with trouble$/);
    assert.match(await textOf(page, '#hop-upstream'), /^1\s+Upstream\s+1 with trouble$/);
    assert.match(await textOf(page, '#hop-proxy'), /^0\s+Proxy\s+nothing ended here$/);
    assert.match(await textOf(page, '#lessons'), /10\.0\.0\.1 cuts connections after 3 s of silence.* every 1\.5 s/);
    assert.match(await textOf(page, '#routes'), /1\.5 s, learned \(configured: 10 s\)/);
    assert.equal(await textOf(page, '#trouble'), '2');
  });

  test('thousands of ends that are alike are one row, and what their causes mean is a click away', async (t) => {
    const rig = await startStatusRig(t);
    stage(rig, { connections: 3, past: frontReload });
    const { page } = await visit(t, rig.port);
    await untilTrue(page, `document.querySelectorAll('#ends li').length === 3`);
    const row = page.locator('#ends li', { hasText: 'front_reload' });
    assert.match(await row.innerText(), /Front\s+2,000 × Many connections ended within a second/);
    await row.locator('summary').click();
    assert.match(await row.innerText(), /newest addresses\s+2001:db8:/);
    await row.locator('a').click();
    assert.equal(await page.evaluate(`document.querySelector(':target').textContent`), 'front_reload');
    assert.equal(await textOf(page, '#hop-front .node'), '2,000');
    assert.equal(await page.title(), '2,001 troubled – ws-keepalive-proxy');
  });

  test('the last hour is a picture, a sentence and a table, with marks for what explains it', async (t) => {
    const rig = await startStatusRig(t);
    stage(rig, { connections: 3, past: frontReload });
    const { page } = await visit(t, rig.port);
    const picture = page.locator('#hour svg');
    await picture.waitFor();
    assert.match(
      (await picture.getAttribute('aria-label')) ?? '',
      /^Open connections: 3 now, at most 2,003\. .*front 2,000/,
    );
    assert.equal(await page.locator('#hour .bar-front').count(), 1);
    assert.equal(await page.locator('#hour .mark').count(), 2);
    assert.match(
      await textOf(page, '#marks'),
      /UTC learned 10\.0\.0\.1 cuts connections .*\n.*UTC reloaded the configuration/,
    );
    await page.locator('#minutes-details summary').click();
    assert.equal(await page.locator('#minutes tr').count(), 60);
    assert.match(await textOf(page, '#minutes'), /front 2,000.*\s2,003\s/s);
  });

  test('an upstream that is down is seen in its route, the picture and the tab', async (t) => {
    const rig = await startStatusRig(t);
    stage(rig, { connections: 3, past: upstreamDown });
    const { page } = await visit(t, rig.port);
    await untilTrue(page, `document.title === 'upstream down – ws-keepalive-proxy'`);
    assert.match(await textOf(page, '#routes .down'), /neko-default:8080\s+down since .* UTC\s+connect ECONNREFUSED/);
    assert.match(await textOf(page, '#marks'), /upstream lost/);
  });

  test('forty routes are ordered by a click, and the list of connections as well', async (t) => {
    const rig = await startStatusRig(t);
    stage(rig, { connections: 81, routes: 40 });
    const { page } = await visit(t, rig.port);
    await untilTrue(page, `document.querySelectorAll('#routes tr').length === 40`);
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    assert.match(await textOf(page, '#routes tr:first-child'), /^default\s.*\s3\s/s);
    await page.getByRole('button', { name: 'Round trip', exact: true }).click();
    await untilTrue(page, `document.querySelector('.row .rtt').textContent === '71 ms'`);
    // What changes moves no row.
    for (const view of rig.connections) view.rttMs = 1;
    await untilTrue(page, `document.querySelector('.row .rtt').textContent === '1.0 ms'`);
    assert.equal(await page.locator('#sort').inputValue(), 'rtt');
  });

  test('rows that are looked at stay where they are when others come above them', async (t) => {
    const rig = await crowd(t, 300);
    const { page } = await visit(t, rig.port);
    await untilTrue(page, `document.getElementById('shown').textContent === '300'`);
    await page.evaluate(`document.getElementById('view').scrollTop = 2600`);
    const top = `[...document.querySelectorAll('.row:not([hidden])')].map((row) => [row.getBoundingClientRect().top -
      document.getElementById('view').getBoundingClientRect().top, row.querySelector('.client').textContent])
      .filter(([at]) => at > -2).sort(([a], [b]) => a - b)[0]?.[1]`;
    await untilTrue(page, `${top} === '10.0.0.50'`);
    for (let index = 0; index < 5; index += 1) {
      rig.connections.push(connectionView({ id: `new${index}`, client: '192.0.2.1', openedAt: performance.now() }));
    }
    await untilTrue(page, `document.getElementById('shown').textContent === '305'`);
    await untilTrue(page, `${top} === '10.0.0.50'`);
  });

  test('on a phone the whole address of a client is there to be read', async (t) => {
    const rig = await startStatusRig(t);
    const client = '2001:db8:1234:5678:9abc:def0:1234:ffff';
    rig.connections.push(connectionView({ client }));
    const { page } = await visit(t, rig.port, { viewport: { width: 375, height: 780 } });
    await untilTrue(page, `document.querySelector('.row .client')?.textContent === '${client}'`);
    const isWhole = `(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('.row .client'))`;
    assert.equal(await page.evaluate(isWhole), true);
  });

  for (const [name, options, scene] of [
    ['busy, wide and light', {}, { connections: 50, past: frontReload }],
    ['busy, dark', { colorScheme: 'dark' }, { connections: 50, past: upstreamDown }],
    ['with forty routes on a phone', { viewport: { width: 375, height: 780 } }, { connections: 81, routes: 40 }],
    ['empty', {}, { connections: 0 }],
  ] as const)
    test(`axe finds no violation on the page, ${name}`, async (t) => {
      const rig = await startStatusRig(t);
      stage(rig, scene);
      const { page } = await visit(t, rig.port, { ...options, bypassCSP: true });
      await page.locator('#hour svg').waitFor();
      await page.locator('#minutes-details summary').click();
      await page.addScriptTag({ path: fileURLToPath(import.meta.resolve('axe-core/axe.min.js')) });
      const { violations } = (await page.evaluate('axe.run()')) as { violations: { id: string; nodes: object[] }[] };
      assert.deepEqual(
        violations.map(({ id, nodes }) => [id, JSON.stringify(nodes).slice(0, 400)]),
        [],
      );
    });

  test('what came from outside is text and nothing else', async (t) => {
    const rig = await startStatusRig(t);
    const evil = '<img src=x onerror="document.title=1"><b>';
    rig.connections.push(connectionView({ client: evil, path: evil, route: evil }));
    rig.events.closed({ ...closeReport({ path: evil }), verdict: evil });
    const { page, complaints } = await visit(t, rig.port);
    await untilTrue(page, `document.querySelectorAll('.row:not([hidden])').length === 1`);
    assert.equal(await page.locator('.row img, .row b, #ends img, #ends b').count(), 0);
    assert.match(await textOf(page, '#ends .verdict'), /^<img/);
    assert.deepEqual(complaints, []);
  });

  for (const [name, viewport] of [
    ['wide', { width: 1280, height: 900 }],
    ['narrow', { width: 360, height: 780 }],
  ] as const)
    for (const colorScheme of ['light', 'dark'] as const)
      test(`it fits and is readable, ${name} and ${colorScheme}`, async (t) => {
        const rig = await crowd(t, 30);
        rig.events.closed({ ...closeReport(), verdict: 'The browser left normally.' });
        const { page } = await visit(t, rig.port, { viewport, colorScheme });
        await untilTrue(page, `document.querySelector('.row .rtt')`);
        assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true);
        const contrasts = (await page.evaluate(CONTRASTS)) as [string, number][];
        assert.ok(contrasts.length > 10);
        for (const [text, contrast] of contrasts) assert.ok(contrast >= 4.5, `${text}: ${contrast}`);
      });
});

/** WCAG contrast of every piece of text with what is behind it. */
const CONTRASTS = `(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const luminance = (color) => parse(color).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (element) => {
    for (let here = element; here; here = here.parentElement) {
      const color = getComputedStyle(here).backgroundColor;
      if (parse(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.body.querySelectorAll('*')]
    .filter((element) => element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((element) => !['SCRIPT', 'STYLE', 'OPTION'].includes(element.tagName))
    .map((element) => {
      const [high, low] = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
      return [element.textContent.trim(), (high + 0.05) / (low + 0.05)];
    });
})()`;
