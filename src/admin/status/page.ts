/** The status page: a document with its style and scripts, which asks for nothing else but the live feed. */
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { CAUSE_WORDS } from '../../observe/cause-words.ts';
import type { AdminPage } from '../server.ts';

const FOLDER = new URL('page/', import.meta.url);
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
};

/** Only the files beside it run and apply; the page can neither load nor send anything elsewhere, nor be framed. */
const POLICY: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
};

/** The page at `/` and its files below `/page/`. They are read once. */
export function statusPages(): Map<string, AdminPage> {
  const html = readFileSync(new URL('page.html', FOLDER), 'utf8').replace('<!-- causes -->', explainCauses());
  const pages = new Map([['/', answering('text/html; charset=utf-8', html, POLICY)]]);
  for (const name of readdirSync(FOLDER)) {
    const contentType = CONTENT_TYPES[extname(name)];
    if (contentType !== undefined) {
      pages.set(`/page/${name}`, answering(contentType, readFileSync(new URL(name, FOLDER), 'utf8')));
    }
  }
  return pages;
}

function answering(contentType: string, body: string, headers: Readonly<Record<string, string>> = {}): AdminPage {
  return { anyHost: false, answer: () => ({ status: 200, contentType, body, headers }) };
}

function explainCauses(): string {
  const entries = Object.entries(CAUSE_WORDS);
  return entries.map(([cause, words]) => `<dt id="cause-${cause}">${cause}</dt><dd>${words}</dd>`).join('\n');
}
