/**
 * The pictures in docs/images: `npm run build`, then `node --import tsx test/support/screenshots.ts` takes them again, and
 * `pngquant --force --ext .png docs/images/*.png` makes them small, of
 * the demo, its status page, and what the doctor says about both of the demo's ways.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './chromium.ts';
import { connectIdle } from './idle-client.ts';
import { type Program, spawnProgram, startProgram } from './process.ts';
import { Scope } from './scope.ts';

export const IMAGES = fileURLToPath(new URL('../../docs/images/', import.meta.url));
export const PICTURES = ['demo', 'status', 'doctor'] as const;

const GUESTS = ['ann', 'bela', 'carol', 'dee', 'eve'];
/** Three cuts of the demo's front, which allows five seconds. */
const DEMO_MS = 20_000;
const SIZE = { width: 1000, height: 640 };

/** As a terminal shows it. */
const terminalPage = (text: string): string => `<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; background: #10161a; }
  pre { margin: 0; padding: 20px; display: inline-block; font: 14px/1.45 "DejaVu Sans Mono", monospace; color: #d7e0e2; }
  b { font-weight: normal; color: #5cc8b8; } i { font-style: normal; color: #ff8f85; }
</style><pre>${text}</pre>`;

function coloured(text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return escaped.replaceAll(/^( +)ok\b/gm, '$1<b>ok</b>').replaceAll(/^( +)FAIL\b/gm, '$1<i>FAIL</i>');
}

async function shoot(page: Page, name: (typeof PICTURES)[number], selector = 'body'): Promise<void> {
  await page.locator(selector).screenshot({ path: join(IMAGES, `${name}.png`) });
}

async function pictureOfDemo(browser: Browser, url: string): Promise<void> {
  const page = await browser.newPage({ viewport: SIZE });
  await page.goto(url);
  await setTimeout(DEMO_MS);
  await page.locator('#kept input').fill('still here');
  await page.keyboard.press('Enter');
  await page.locator('#kept li', { hasText: 'still here' }).waitFor();
  await shoot(page, 'demo');
  await page.close();
}

async function pictureOfStatus(browser: Browser, url: string, port: number): Promise<void> {
  const scope = new Scope();
  const guests = await Promise.all(GUESTS.map((name) => connectIdle(scope, port, name)));
  guests[0]?.say('hello');
  // A Ping and its answer for each.
  await setTimeout(4_000);
  guests[1]?.socket.close(1001);
  guests[2]?.socket.terminate();
  const page = await browser.newPage({ viewport: SIZE });
  await page.goto(url);
  // The closing line of an end without a Close comes a second late.
  await setTimeout(3_000);
  // Explanations, and always the same.
  await page.locator('section[aria-labelledby="words-title"]').evaluate((section) => section.remove());
  await shoot(page, 'status');
  await page.close();
  await scope.undo();
}

async function askDoctor(scope: Scope, url: string): Promise<string> {
  const child = spawnProgram(scope, { args: ['doctor', url, '--for', '12s'] });
  await child.exited;
  return `$ ws-keepalive-proxy doctor '${url}' --for 12s\n${child.stdout}`;
}

async function pictureOfDoctor(scope: Scope, browser: Browser, origin: string): Promise<void> {
  const query = '?password=neko&username=doctor';
  const paths = [`/straight/ws${query}`, `/ws${query}`];
  const answers = await Promise.all(paths.map((path) => askDoctor(scope, `${origin.replace('http', 'ws')}${path}`)));
  const page = await browser.newPage({ viewport: SIZE });
  await page.setContent(terminalPage(coloured(answers.join('\n'))));
  await shoot(page, 'doctor', 'pre');
}

function printed({ child }: Program, name: string): Promise<string> {
  return child.until(() => new RegExp(`${name}: (http://[^/]+)/`).exec(child.stdout)?.[1], `the URL of the ${name}`);
}

async function takeAll(): Promise<void> {
  const scope = new Scope();
  mkdirSync(IMAGES, { recursive: true });
  try {
    const program = await startProgram(scope, { args: ['--demo'] });
    const demo = await printed(program, 'Demo');
    const browser = await launchChromium(scope);
    await pictureOfDemo(browser, demo);
    await pictureOfStatus(browser, await printed(program, 'Status page'), program.port);
    await pictureOfDoctor(scope, browser, demo);
  } finally {
    await scope.undo();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await takeAll();
