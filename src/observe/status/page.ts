/** The status page: one document that asks for nothing but its live feed. */
import { createHash } from 'node:crypto';
import { DRAWING } from './page-drawing.ts';
import { SCRIPT } from './page-script.ts';
import { STYLE } from './page-style.ts';

const CODE = `'use strict';\n${DRAWING}${SCRIPT}`;

/** Only these two texts run and apply; the page can neither load nor send anything elsewhere, nor be framed. */
export const PAGE_POLICY: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [
    "default-src 'none'",
    `script-src '${hashOf(CODE)}'`,
    `style-src '${hashOf(STYLE)}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
};

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 8h4l2-5 3 10 2-5h3' fill='none' stroke='%230f9488' stroke-width='2'/%3E%3C/svg%3E">
<title>ws-keepalive-proxy</title>
<style>${STYLE}</style>
</head>
<body class="lost">
<header>
  <h1>ws-keepalive-proxy</h1>
  <p id="about" class="soft"></p>
  <p id="link" role="status"><span class="dot"></span><span id="link-text">connecting</span></p>
</header>
<main>
<section aria-label="In short">
  <dl class="figures">
    <div><dt>open now</dt><dd id="open">–</dd></div>
    <div><dt>cuts prevented</dt><dd id="prevented">–</dd></div>
    <div><dt>closed since the start</dt><dd id="closed">–</dd></div>
    <div id="alarm"><dt>trouble in 15 minutes</dt><dd id="trouble">–</dd></div>
  </dl>
</section>
<section aria-labelledby="path-title">
  <h2 id="path-title">Where connections ended in the last 15 minutes</h2>
  <ol class="hops">
    <li id="hop-browser"><span class="node">0</span><b>Browser</b><small></small></li>
    <li id="hop-front"><span class="node">0</span><b>Front</b><small></small></li>
    <li id="hop-proxy"><span class="node">0</span><b>Proxy</b><small></small></li>
    <li id="hop-upstream"><span class="node">0</span><b>Upstream</b><small></small></li>
  </ol>
</section>
<section aria-labelledby="routes-title">
  <h2 id="routes-title">Routes</h2>
  <div class="scroll" tabindex="0" role="group" aria-labelledby="routes-title"><table>
    <thead><tr><th scope="col">Route</th><th scope="col">Ping interval</th><th scope="col" class="number">Open</th>
      <th scope="col" class="number wide">Opened</th><th scope="col" class="number">Refused</th>
      <th scope="col" class="number">Cuts prevented</th></tr></thead>
    <tbody id="routes"></tbody>
  </table></div>
  <ul id="lessons"></ul>
</section>
<section aria-labelledby="open-title">
  <div class="bar">
    <h2 id="open-title">Open connections</h2>
    <span id="shown" class="soft"></span>
    <input id="filter" type="search" placeholder="Filter" aria-label="Filter by client, route, path or state" autocomplete="off">
    <select id="sort" aria-label="Order">
      <option value="newest">Newest first</option><option value="oldest">Oldest first</option>
      <option value="idle">Longest idle first</option><option value="rtt">Slowest first</option>
      <option value="bytes">Most bytes first</option>
    </select>
  </div>
  <div id="table" role="table" aria-labelledby="open-title">
    <div role="rowgroup"><div class="columns" role="row">
      <span role="columnheader">State</span><span role="columnheader">Client</span><span role="columnheader">Route</span>
      <span role="columnheader" class="age">Age</span><span role="columnheader" class="idle">Idle</span>
      <span role="columnheader">Round trip</span><span role="columnheader">Pings answered</span>
      <span role="columnheader" class="bytes">Bytes</span>
    </div></div>
    <div id="view" role="rowgroup" tabindex="0" aria-labelledby="open-title"><div id="space" role="presentation"></div></div>
  </div>
  <p id="none" class="empty">No connection is open.</p>
</section>
<section aria-labelledby="ends-title">
  <h2 id="ends-title">Last ends, and why</h2>
  <ol id="ends" tabindex="0" aria-labelledby="ends-title"></ol>
  <p id="no-ends" class="empty">Nothing has ended yet.</p>
</section>
</main>
<script>${CODE}</script>
</body>
</html>
`;

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
