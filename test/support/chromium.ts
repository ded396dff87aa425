/** Headless Chromium and a WebSocket inside a page, watched from the test. */
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { atEnd, type Cleanup } from './cleanup.ts';
import { PROJECT } from './documents.ts';
import { requireProgram } from './requirements.ts';
import { Watch } from './watch.ts';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function launchChromium(cleanup: Cleanup): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: requireProgram('chromium'), args: ARGUMENTS });
  atEnd(cleanup, () => browser.close());
  return browser;
}

/**
 * Notes what of the project's page scripts runs, for the run with coverage: Chromium and Node use the same engine and the
 * same form. To be called before the page is opened.
 *
 * @param sources the folder that the scripts are served from, below the project's folder
 */
export async function coverScripts(cleanup: Cleanup, page: Page, sources: string): Promise<void> {
  const folder = process.env['NODE_V8_COVERAGE'];
  if (folder === undefined) return;
  await page.coverage.startJSCoverage({ resetOnNavigation: false });
  atEnd(cleanup, async () => {
    const covered = await page.coverage.stopJSCoverage();
    const result = covered
      // What a test has put into the page has a path for its URL.
      .filter(({ url }) => URL.canParse(url) && new URL(url).pathname.startsWith('/page/'))
      .map(({ url, ...rest }) => ({ ...rest, url: pathToFileURL(join(PROJECT, sources, basename(url))).href }));
    await writeFile(join(folder, `coverage-${process.pid}-${Date.now()}-page.json`), JSON.stringify({ result }));
  });
}

type PageEvent =
  | { readonly type: 'open' }
  | { readonly type: 'message'; readonly data: string }
  | { readonly type: 'close'; readonly code: number; readonly reason: string; readonly wasClean: boolean };

/** A page with one WebSocket to `/ws` of the port the page came from. */
export interface PageSocket {
  readonly page: Page;
  /** Everything the page's JavaScript was told, in order. */
  readonly events: readonly PageEvent[];
  send(text: string): Promise<void>;
  /** The first event that fits, earlier ones included. */
  event(fits: (event: PageEvent) => boolean, what: string): Promise<PageEvent>;
}

export async function openPageSocket(browser: Browser, port: number, name: string): Promise<PageSocket> {
  const page = await browser.newPage();
  const events: PageEvent[] = [];
  const watch = new Watch();
  await page.exposeFunction('report', (event: PageEvent) => {
    events.push(event);
    watch.changed();
  });
  await page.goto(`http://127.0.0.1:${port}/health`);
  await page.evaluate(`(${CONNECT})(${JSON.stringify(name)})`);
  return {
    page,
    events,
    send: (text) => page.evaluate(`window.socket.send(${JSON.stringify(text)})`),
    event: (fits, what) =>
      watch.until(
        () => events.find(fits),
        () => `${what} in the page: ${JSON.stringify(events)}`,
      ),
  };
}

// As text: it runs in the page, whose globals this program does not have.
const CONNECT = `(name) => {
  const socket = new WebSocket('ws://' + location.host + '/ws?password=x&username=' + name);
  socket.onopen = () => report({ type: 'open' });
  socket.onmessage = ({ data }) => report({ type: 'message', data });
  socket.onclose = ({ code, reason, wasClean }) => report({ type: 'close', code, reason, wasClean });
  window.socket = socket;
}`;
