/** The demo's page. Each lane is a connection of its own; `demo/events` tells what the front saw. */

const WINDOW = 60_000;
const visitor = Math.random().toString(36).slice(2);

/** @typedef {'message' | 'ping' | 'cut'} MarkKind */
/** @typedef {{ from: number, to: number | null }} Span */
/** @typedef {{ event: string, id: string, displayname: string, content: string, members: { id: string, displayname: string }[] }} RoomMessage */

/** @param {ParentNode} root @param {string} name @returns {HTMLElement} */
function part(root, name) {
  const element = root.querySelector(`[data-part=${name}]`);
  if (!(element instanceof HTMLElement)) throw new Error(`no part ${name}`);
  return element;
}

/** @param {number} ms */
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

class Lane {
  /** @param {string} id @param {string} path @param {string} name */
  constructor(id, path, name) {
    this.root = /** @type {HTMLElement} */ (document.getElementById(id));
    this.path = path;
    this.name = name;
    this.cuts = 0;
    this.pings = 0;
    /** @type {{ kind: MarkKind, at: number }[]} */
    this.marks = [];
    /** @type {Span[]} */
    this.spans = [];
    /** @type {Span | null} */
    this.span = null;
    /** @type {Map<string, string>} */
    this.members = new Map();
    this.part('form').addEventListener('submit', (event) => this.say(event));
    this.socket = this.connect();
  }

  /** @param {string} name */
  part(name) {
    return part(this.root, name);
  }

  connect() {
    const address = new URL(this.path, location.href);
    address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    address.search = String(new URLSearchParams({ username: this.name, password: 'demo', visitor }));
    const socket = new WebSocket(address);
    socket.addEventListener('open', () => this.opened());
    socket.addEventListener('message', (event) => this.heard(JSON.parse(event.data)));
    socket.addEventListener('close', (event) => this.closed(event));
    return socket;
  }

  opened() {
    this.span = { from: performance.now(), to: null };
    this.spans.push(this.span);
    this.root.dataset['open'] = 'true';
    this.part('state').textContent = 'connected';
  }

  /** @param {CloseEvent} event */
  closed(event) {
    if (this.span !== null) this.span.to = performance.now();
    this.span = null;
    this.root.dataset['open'] = 'false';
    this.part('state').textContent = `closed with ${event.code}, trying again`;
    setTimeout(() => {
      this.socket = this.connect();
    }, 1000);
  }

  /** @param {RoomMessage} message */
  heard(message) {
    this.mark('message');
    const { event, id, displayname } = message;
    if (event === 'member/list') for (const member of message.members) this.members.set(member.id, member.displayname);
    if (event === 'member/connected') {
      this.members.set(id, displayname);
      this.write(`${displayname} joined`, true);
    }
    if (event === 'member/disconnected') this.write(`${this.members.get(id) ?? 'somebody'} left`, true);
    if (event === 'chat/message') this.write(`${this.members.get(id) ?? id}: ${message.content}`, false);
  }

  /** @param {Event} event */
  say(event) {
    event.preventDefault();
    const input = this.root.querySelector('input');
    if (input === null || input.value === '' || this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ event: 'chat/message', content: input.value }));
    input.value = '';
  }

  /** @param {string} text @param {boolean} isQuiet */
  write(text, isQuiet) {
    const log = this.part('log');
    const line = document.createElement('li');
    line.textContent = text;
    if (isQuiet) line.className = 'quiet';
    log.append(line);
    while (log.children.length > 200) log.firstChild?.remove();
    log.scrollTop = log.scrollHeight;
  }

  sawPing() {
    this.pings += 1;
    this.mark('ping');
    this.part('pings').textContent = String(this.pings);
  }

  /** @param {number} silentMs */
  wasCut(silentMs) {
    this.cuts += 1;
    this.mark('cut');
    this.part('cuts').textContent = this.cuts === 1 ? 'once' : `${this.cuts} times`;
    this.part('last').textContent = `cut by the front after ${seconds(silentMs)} of silence`;
    this.part('last').classList.add('bad');
  }

  /** @param {MarkKind} kind */
  mark(kind) {
    this.marks.push({ kind, at: performance.now() });
  }

  draw() {
    const now = performance.now();
    this.part('age').textContent = this.span === null ? '–' : `${Math.floor((now - this.span.from) / 1000)} s`;
    this.marks = this.marks.filter((mark) => now - mark.at < WINDOW);
    this.spans = this.spans.filter((span) => span.to === null || now - span.to < WINDOW);
    const canvas = /** @type {HTMLCanvasElement} */ (this.part('strip'));
    const scale = devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const { width, height } = canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    const colours = getComputedStyle(document.documentElement);
    /** @param {number} at */
    const x = (at) => width * (1 - (now - at) / WINDOW);
    context.fillStyle = colours.getPropertyValue('--good');
    context.globalAlpha = 0.25;
    for (const { from, to } of this.spans)
      context.fillRect(x(from), height * 0.35, x(to ?? now) - x(from), height * 0.3);
    context.globalAlpha = 1;
    const heights = { message: 0.3, ping: 0.5, cut: 1 };
    for (const { kind, at } of this.marks) {
      context.fillStyle = colours.getPropertyValue(kind === 'cut' ? '--bad' : `--${kind}`);
      const tall = height * heights[kind];
      context.fillRect(x(at) - scale, (height - tall) / 2, 2.5 * scale, tall);
    }
  }
}

/** @type {Map<string, Lane>} */
const lanes = new Map();

/** @param {{ idleLimit: number, statusPage: string | null }} told */
function greet({ idleLimit, statusPage }) {
  part(document, 'limit').textContent = String(idleLimit / 1000);
  if (statusPage === null) return;
  part(document, 'status-link').setAttribute('href', statusPage);
  part(document, 'status').hidden = false;
}

const events = new EventSource(`demo/events?visitor=${visitor}`);
events.addEventListener('message', (event) => {
  const told = JSON.parse(event.data);
  if (told.kind === 'hello') greet(told);
  if (told.kind === 'ping') lanes.get(told.lane)?.sawPing();
  if (told.kind === 'cut') lanes.get(told.lane)?.wasCut(told.silentMs);
});
events.addEventListener('open', () => {
  if (lanes.size > 0) return;
  lanes.set('straight', new Lane('straight', 'straight/ws', 'straight'));
  lanes.set('kept', new Lane('kept', 'ws', 'kept'));
});
setInterval(() => {
  for (const lane of lanes.values()) lane.draw();
}, 100);
