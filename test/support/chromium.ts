/** Headless Chromium and a WebSocket inside a page, watched from the test. */
import { type Browser, chromium, type Page } from 'playwright-core';
import { atEnd, type Cleanup } from './cleanup.ts';
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
