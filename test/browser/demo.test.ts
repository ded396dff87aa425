/** The demo as a visitor sees it: the built program and a real browser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { coverScripts, launchChromium } from '../support/chromium.ts';
import { startProgram } from '../support/process.ts';
import { skipWithout } from '../support/requirements.ts';

const skip = skipWithout('chromium');

const text = (page: Page, lane: string, part: string): Promise<string | null> =>
  page.locator(`#${lane} [data-part=${part}]`).textContent();

test('the straight connection is cut again and again, the kept one stays, and chat works across both', {
  skip,
}, async (t) => {
  const program = await startProgram(t, { args: ['--demo'] });
  const line = await program.child.until(() => /Demo: (\S+)/.exec(program.child.stdout)?.[1], 'the URL');
  const browser = await launchChromium(t);
  const page = await browser.newPage();
  await coverScripts(t, page, 'src/demo/page');
  const elsewhere: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(line)) elsewhere.push(request.url());
  });
  await page.goto(line);
  await page.getByText('2 times', { exact: true }).waitFor({ timeout: 30_000 });
  assert.match((await text(page, 'straight', 'last')) ?? '', /^cut by the front after [5-6]\.\d s of silence$/);
  assert.equal(await text(page, 'straight', 'pings'), '0');
  assert.equal(await text(page, 'kept', 'cuts'), '0 times');
  assert.ok(Number(await text(page, 'kept', 'pings')) >= 4);

  await page.locator('#straight [data-part=state]', { hasText: 'connected' }).waitFor();
  for (const [from, to] of [
    ['straight', 'kept'],
    ['kept', 'straight'],
  ] as const) {
    await page.locator(`#${from} input`).fill(`hello from ${from}`);
    await page.keyboard.press('Enter');
    await page.locator(`#${to} li`, { hasText: `${from}: hello from ${from}` }).waitFor();
  }
  const statusPage = await page.getByRole('link', { name: 'status page' }).getAttribute('href');
  assert.match(await (await fetch(statusPage ?? '')).text(), /Last ends, and why/);
  assert.deepEqual(elsewhere, []);
});
