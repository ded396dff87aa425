/** The demo room's page: joins the room it was loaded from and shows what is said there. No outside request. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Demo room</title>
<style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }
ol { list-style: none; padding: 0; min-height: 12rem; overflow-wrap: anywhere; }
form { display: flex; gap: .5rem; }
input { flex: 1; font: inherit; min-width: 0; }
button { font: inherit; }
</style>
</head>
<body>
<h1>Demo room</h1>
<p role="status" id="state">connecting</p>
<ol id="log" aria-live="polite"></ol>
<form id="chat"><input id="text" aria-label="Message" autocomplete="off" maxlength="1000"><button>Send</button></form>
<script>
'use strict';
const state = document.getElementById('state');
const log = document.getElementById('log');
const address = new URL('ws', location.href);
address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
address.search = new URLSearchParams({ username: 'guest', password: 'demo' });
const socket = new WebSocket(address);
let heartbeat;

socket.onopen = () => { state.textContent = 'connected'; };
socket.onclose = (event) => {
  clearInterval(heartbeat);
  state.textContent = 'closed (' + event.code + (event.reason ? ', ' + event.reason : '') + ')';
};
socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.event === 'system/init') startHeartbeat(message.heartbeat_interval);
  const line = document.createElement('li');
  line.textContent = message.event === 'chat/message' ? message.id + ': ' + message.content : event.data;
  log.append(line);
};
document.getElementById('chat').onsubmit = (event) => {
  event.preventDefault();
  const text = document.getElementById('text');
  if (text.value && socket.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ event: 'chat/message', content: text.value }));
    text.value = '';
  }
};
function startHeartbeat(seconds) {
  heartbeat = setInterval(() => socket.send(JSON.stringify({ event: 'client/heartbeat' })), seconds * 1000);
}
</script>
</body>
</html>
`;
