/** The demo's page: two connections to one room, side by side. No framework and no outside request. */
import { readFileSync } from 'node:fs';

interface PageFile {
  readonly contentType: string;
  readonly body: string;
}

function file(name: string, contentType: string): PageFile {
  return { contentType, body: readFileSync(new URL(`page/${name}`, import.meta.url), 'utf8') };
}

/** Its files by path, read once. */
export function demoPages(): ReadonlyMap<string, PageFile> {
  return new Map([
    ['/', file('demo.html', 'text/html; charset=utf-8')],
    ['/page/demo.css', file('demo.css', 'text/css; charset=utf-8')],
    ['/page/demo.js', file('demo.js', 'text/javascript; charset=utf-8')],
  ]);
}
