/** Runs in the browser. Each lane is a connection of its own; `/demo/events` tells what the front saw. */
export const SCRIPT = `'use strict';
const visitor = Math.random().toString(36).slice(2);
const WINDOW = 60000;
const lanes = {};
const seconds = (ms) => (ms / 1000).toFixed(1) + ' s';

class Lane {
  constructor(id, path, name) {
    this.root = document.getElementById(id);
    this.part = (name) => this.root.querySelector('[data-part=' + name + ']');
    this.path = path;
    this.name = name;
    this.cuts = 0;
    this.pings = 0;
    this.marks = [];
    this.spans = [];
    this.members = new Map();
    this.part('form').addEventListener('submit', (event) => this.say(event));
    this.connect();
  }
  connect() {
    const address = new URL(this.path, location.href);
    address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    address.search = new URLSearchParams({ username: this.name, password: 'demo', visitor });
    this.socket = new WebSocket(address);
    this.socket.onopen = () => this.opened();
    this.socket.onmessage = (event) => this.heard(JSON.parse(event.data));
    this.socket.onclose = (event) => this.closed(event);
  }
  opened() {
    this.span = { from: performance.now(), to: null };
    this.spans.push(this.span);
    this.root.dataset.open = 'true';
    this.part('state').textContent = 'connected';
  }
  closed(event) {
    if (this.span) this.span.to = performance.now();
    this.span = null;
    this.root.dataset.open = 'false';
    this.part('state').textContent = 'closed with ' + event.code + ', trying again';
    setTimeout(() => this.connect(), 1000);
  }
  heard(message) {
    this.mark('message');
    if (message.event === 'member/list') for (const member of message.members) this.members.set(member.id, member.displayname);
    if (message.event === 'member/connected') {
      this.members.set(message.id, message.displayname);
      this.write(message.displayname + ' joined', true);
    }
    if (message.event === 'member/disconnected') this.write((this.members.get(message.id) || 'somebody') + ' left', true);
    if (message.event === 'chat/message') this.write((this.members.get(message.id) || message.id) + ': ' + message.content);
  }
  say(event) {
    event.preventDefault();
    const input = event.target.querySelector('input');
    if (!input.value || this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ event: 'chat/message', content: input.value }));
    input.value = '';
  }
  write(text, quiet) {
    const log = this.part('log');
    const line = document.createElement('li');
    line.textContent = text;
    if (quiet) line.className = 'quiet';
    log.append(line);
    while (log.children.length > 200) log.firstChild.remove();
    log.scrollTop = log.scrollHeight;
  }
  sawPing() {
    this.pings++;
    this.mark('ping');
    this.part('pings').textContent = this.pings;
  }
  wasCut(silentMs) {
    this.cuts++;
    this.mark('cut');
    this.part('cuts').textContent = this.cuts === 1 ? 'once' : this.cuts + ' times';
    this.part('last').textContent = 'cut by the front after ' + seconds(silentMs) + ' of silence';
    this.part('last').classList.add('bad');
  }
  mark(kind) { this.marks.push({ kind, at: performance.now() }); }
  draw() {
    const now = performance.now();
    this.part('age').textContent = this.span ? Math.floor((now - this.span.from) / 1000) + ' s' : '–';
    this.marks = this.marks.filter((mark) => now - mark.at < WINDOW);
    this.spans = this.spans.filter((span) => span.to === null || now - span.to < WINDOW);
    const canvas = this.part('strip');
    const scale = devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const { width, height } = canvas;
    const context = canvas.getContext('2d');
    const colors = getComputedStyle(document.documentElement);
    const x = (at) => width * (1 - (now - at) / WINDOW);
    context.fillStyle = colors.getPropertyValue('--good');
    context.globalAlpha = 0.25;
    for (const span of this.spans) {
      context.fillRect(x(span.from), height * 0.35, x(span.to === null ? now : span.to) - x(span.from), height * 0.3);
    }
    context.globalAlpha = 1;
    const heights = { message: 0.3, ping: 0.5, cut: 1 };
    for (const { kind, at } of this.marks) {
      context.fillStyle = colors.getPropertyValue(kind === 'cut' ? '--bad' : '--' + kind);
      const tall = height * heights[kind];
      context.fillRect(x(at) - scale, (height - tall) / 2, 2.5 * scale, tall);
    }
  }
}

const events = new EventSource('demo/events?visitor=' + visitor);
events.onmessage = (event) => {
  const told = JSON.parse(event.data);
  if (told.kind === 'hello') document.querySelector('[data-part=limit]').textContent = told.idleLimit / 1000;
  if (told.kind === 'ping') lanes[told.lane].sawPing();
  if (told.kind === 'cut') lanes[told.lane].wasCut(told.silentMs);
};
events.onopen = () => {
  if (lanes.kept) return;
  lanes.straight = new Lane('straight', 'straight/ws', 'straight');
  lanes.kept = new Lane('kept', 'ws', 'kept');
};
function frame() {
  for (const lane of Object.values(lanes)) lane.draw();
}
setInterval(frame, 100);
`;
