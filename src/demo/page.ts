/** The demo's page: two connections to one room, side by side. No framework and no outside request. */
import { SCRIPT } from './page-script.ts';
import { STYLE } from './page-style.ts';

const lane = (id: string, title: string, way: string): string => `
<section class="lane" id="${id}" aria-labelledby="${id}-title">
  <h2 id="${id}-title">${title}</h2>
  <p class="way">${way}</p>
  <p class="state"><span class="dot" aria-hidden="true"></span><strong data-part="state" role="status">connecting</strong></p>
  <dl>
    <div><dt>open for</dt><dd data-part="age">0 s</dd></div>
    <div><dt>cut</dt><dd data-part="cuts">0 times</dd></div>
    <div><dt>Pings</dt><dd data-part="pings">0</dd></div>
  </dl>
  <canvas data-part="strip" width="600" height="64" role="img" aria-label="The last sixty seconds of this connection"></canvas>
  <p class="last" data-part="last">&nbsp;</p>
  <ol data-part="log" aria-label="Heard on this connection" tabindex="0"></ol>
  <form data-part="form">
    <input aria-label="Message over this connection" placeholder="Say something over this connection" autocomplete="off" maxlength="500">
    <button>Send</button>
  </form>
</section>`;

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ws-keepalive-proxy: one room, two ways</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
  <h1>One room, two ways to it</h1>
  <p>The front of this demo closes every connection that was silent for <b data-part="limit">5</b> seconds, as nginx does after 60.
  The room never sends a Ping, as Neko in legacy mode. Nothing here talks by itself: just watch.</p>
</header>
<main>
${lane('straight', 'Straight', 'browser — front — room')}
${lane('kept', 'Through ws-keepalive-proxy', 'browser — front — <b>proxy</b> — room')}
</main>
<footer>
  <p><span class="mark ping"></span> Ping <span class="mark message"></span> message <span class="mark cut"></span> cut by the front</p>
  <p>The page's script never sees the Pings: the browser answers them. They are counted at the front. Every cut makes somebody leave
  and join again, which is what the people in a real room hear.</p>
</footer>
<script>${SCRIPT}</script>
</body>
</html>
`;
