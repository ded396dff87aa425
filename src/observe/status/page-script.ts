/** The status page's script, second part: what is known, how it arrives, and how it is shown. It runs in the browser. */
export const SCRIPT = `
const LATELY = 15 * 60000;
const MAX_ENDS = 250;
const SILENCE = 10000;
const $ = (id) => document.getElementById(id);
const HOPS = { browser: 'Browser', front: 'Front', proxy: 'Proxy', upstream: 'Upstream' };
const ORDERS = {
  newest: (a, b) => b.openedAt - a.openedAt,
  oldest: (a, b) => a.openedAt - b.openedAt,
  idle: (a, b) => a.activeAt - b.activeAt,
  rtt: (a, b) => (b.rttMs ?? -1) - (a.rttMs ?? -1),
  bytes: (a, b) => b.bytesUp + b.bytesDown - a.bytesUp - a.bytesDown,
};

let rows = new Map(), ends = [], routes = [], lessons = [], order = [];
let version = '', startedAt = 0, draining = false, offset = 0, wallOffset = 0;
let dirty = false, asked = false;
const now = () => performance.now() + offset;

function text(element, value) { if (element.textContent !== value) element.textContent = value; }
function make(tag, className, value) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (value !== undefined) element.textContent = value;
  return element;
}

function take(message) {
  offset = message.now - performance.now();
  wallOffset = message.wall - Date.now();
  if (message.type === 'snapshot') {
    ({ version, startedAt } = message);
    rows = new Map();
    ends = [];
    for (const row of message.rows) add(row);
    $('ends').replaceChildren();
  }
  for (const row of message.opened || []) add(row);
  for (const change of message.changed || []) apply(change, message.now);
  for (const id of message.closed || []) rows.delete(id);
  if (message.routes) ({ routes, lessons, draining } = message);
  if (message.routes || message.type === 'snapshot') showRoutes();
  if (message.ends) addEnds(message.ends);
  if (message.type === 'snapshot' || message.opened || message.changed || message.closed) dirty = true;
  showOverview();
  show();
}
function add(row) {
  row.unanswered = [];
  row.words = (row.client + ' ' + row.route + ' ' + row.path + ' ' + row.front).toLowerCase();
  rows.set(row.id, row);
}
function apply(change, at) {
  const row = rows.get(change.id);
  if (!row) return;
  const { history = [], ...fields } = change;
  const sent = (fields.pings ?? row.pings) - row.pings;
  Object.assign(row, fields);
  row.history = row.history.concat(history).slice(-HISTORY);
  for (let extra = sent - history.length; extra > 0; extra--) row.unanswered.push(at);
  const isAnswered = (asked) => history.some(([sentAt]) => Math.abs(sentAt - asked) < 1500);
  row.unanswered = row.unanswered.filter((asked) => !isAnswered(asked)).slice(-HISTORY);
}

function showOverview() {
  const sum = (pick) => routes.reduce((total, route) => total + pick(route), 0);
  const closes = (route) => Object.values(route.closes).reduce((a, b) => a + b, 0);
  text($('open'), number.format(sum((route) => route.open)));
  text($('prevented'), number.format(sum((route) => route.cutsPrevented)));
  text($('closed'), number.format(sum(closes)));
  text($('about'), 'version ' + version + ' · up ' + duration(now() - startedAt));
  const recent = ends.filter((end) => end.at > Date.now() + wallOffset - LATELY);
  const troubled = recent.filter((end) => end.trouble);
  text($('trouble'), number.format(troubled.length));
  $('alarm').className = troubled.length ? 'alarm' : '';
  for (const hop of Object.keys(HOPS)) showHop(hop, recent.filter((end) => end.hop === hop));
  document.body.classList.toggle('draining', draining);
  if (!document.body.classList.contains('lost')) text($('link-text'), draining ? 'stopping' : 'live');
}
function showHop(hop, list) {
  const item = $('hop-' + hop), troubled = list.filter((end) => end.trouble).length;
  item.className = troubled ? 'trouble' : list.length ? 'calm' : '';
  text(item.querySelector('.node'), String(list.length));
  const words = troubled ? troubled + ' with trouble' : list.length ? 'all in order' : 'nothing ended here';
  text(item.querySelector('small'), words);
}
function showRoutes() {
  $('routes').replaceChildren(...routes.map((route) => {
    const line = make('tr'), name = make('th', '', route.name);
    name.scope = 'row';
    const interval = route.intervalMs === null ? 'off' : duration(route.intervalMs);
    const learned = route.intervalMs !== null && route.intervalMs < route.configuredMs;
    line.append(name, make('td', '', interval + (learned ? ', learned (configured: ' + duration(route.configuredMs) + ')' : '')));
    const refused = Object.values(route.failures).reduce((a, b) => a + b, 0);
    line.append(make('td', 'number', number.format(route.open)), make('td', 'number wide', number.format(route.opened)));
    for (const value of [refused, route.cutsPrevented]) line.append(make('td', 'number', number.format(value)));
    return line;
  }));
  $('lessons').replaceChildren(...lessons.map((lesson) => make('li', '', 'Learned on route ' + lesson.route + ': the front at ' +
    lesson.front + ' cuts connections after ' + duration(lesson.cutAfterMs) + ' of silence, so Pings go out every ' +
    duration(lesson.intervalMs) + ' at the latest.')));
}
function addEnds(list) {
  for (const end of list) {
    ends.push(end);
    $('ends').prepend(endItem(end));
  }
  while (ends.length > MAX_ENDS) ends.shift();
  while ($('ends').childElementCount > MAX_ENDS) $('ends').lastChild.remove();
  $('no-ends').hidden = ends.length > 0;
}
function endItem(end) {
  const item = make('li', end.trouble ? 'trouble' : '');
  const time = make('time', 'soft', clock.format(end.at));
  time.dateTime = new Date(end.at).toISOString();
  const facts = end.kind === 'closed'
    ? 'open for ' + duration(end.durationMs) + (end.code === null ? '' : ', code ' + end.code)
    : (end.status ? 'answered with ' + end.status + ' · ' : '') + end.detail;
  item.append(time, make('span', 'hop', HOPS[end.hop]), make('span', 'verdict', end.verdict),
    make('span', 'who', end.client + ' · ' + end.route + ' · ' + end.path + ' · ' + facts));
  return item;
}

// Only what is to be seen exists: a few dozen rows that move along.
const pool = [];
function newRow() {
  const row = make('div', 'row'), cells = {};
  row.setAttribute('role', 'row');
  for (const name of ['state', 'who', 'route', 'age', 'idle', 'rtt', 'pings', 'bytes']) {
    const cell = cells[name] = make('div', name);
    cell.setAttribute('role', 'cell');
    row.append(cell);
  }
  cells.state.append(make('span', 'dot'), make('span'));
  cells.who.append(make('span'), make('small'));
  cells.bytes.append(make('span', 'up'), make('span', 'down'));
  for (const name of ['rtt', 'pings']) {
    const canvas = make('canvas');
    canvas.setAttribute('aria-hidden', 'true');
    cells[name].className = name + ' chart';
    cells[name].append(canvas, make('span'));
  }
  $('space').append(row);
  pool.push({ row, cells });
}
function showRow({ row, cells }, data, index, height) {
  row.hidden = false;
  row.style.transform = 'translateY(' + index * height + 'px)';
  row.setAttribute('aria-rowindex', index + 2);
  cells.state.className = 'state ' + data.state;
  text(cells.state.lastChild, data.state);
  text(cells.who.firstChild, data.client);
  text(cells.who.lastChild, data.path);
  cells.who.title = data.path + ', through ' + data.front;
  text(cells.route, data.route);
  text(cells.age, age(now() - data.openedAt));
  text(cells.idle, age(now() - data.activeAt));
  text(cells.rtt.lastChild, milliseconds(data.rttMs));
  text(cells.pings.lastChild, data.pongs + '/' + data.pings);
  text(cells.bytes.firstChild, '↑ ' + bytes(data.bytesUp));
  text(cells.bytes.lastChild, '↓ ' + bytes(data.bytesDown));
  drawSpark(cells.rtt.firstChild, data);
  drawPings(cells.pings.firstChild, data, now());
}
function arrange() {
  dirty = false;
  const words = $('filter').value.trim().toLowerCase();
  order = [...rows.values()].filter((row) => words === '' || row.words.includes(words) || row.state === words);
  order.sort(ORDERS[$('sort').value]);
  text($('shown'), words === '' ? number.format(order.length) : number.format(order.length) + ' of ' + number.format(rows.size));
  $('none').hidden = order.length > 0;
  text($('none'), rows.size > 0 ? 'No open connection fits the filter.' : 'No connection is open.');
  $('table').hidden = order.length === 0;
  $('table').setAttribute('aria-rowcount', order.length + 1);
}
function draw() {
  asked = false;
  if (dirty) arrange();
  const view = $('view'), height = parseFloat(getComputedStyle(document.documentElement).fontSize) *
    parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--row'));
  const total = order.length * height;
  view.classList.toggle('few', total <= Math.min(innerHeight * 0.6, 640));
  $('space').style.height = total + 'px';
  const first = Math.max(0, Math.floor(view.scrollTop / height) - 2);
  const count = Math.min(order.length - first, Math.ceil(view.clientHeight / height) + 4);
  while (pool.length < count) newRow();
  pool.forEach((slot, index) => {
    if (index < count) showRow(slot, order[first + index], first + index, height);
    else slot.row.hidden = true;
  });
}
function show() { if (!asked) { asked = true; requestAnimationFrame(draw); } }

let retry = 500, silence;
function connect() {
  const socket = new WebSocket((location.protocol === 'https:' ? 'wss:' : 'ws:') + '//' + location.host + location.pathname.replace(/[^/]*$/, '') + 'live');
  const heard = () => { clearTimeout(silence); silence = setTimeout(() => socket.close(), SILENCE); };
  heard();
  socket.onmessage = (event) => {
    heard();
    retry = 500;
    document.body.classList.remove('lost');
    take(JSON.parse(event.data));
  };
  socket.onclose = () => {
    clearTimeout(silence);
    document.body.classList.add('lost');
    text($('link-text'), 'connection lost, trying again');
    setTimeout(connect, retry);
    retry = Math.min(8000, retry * 2);
  };
}

readPalette();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { readPalette(); show(); });
addEventListener('resize', show);
$('view').addEventListener('scroll', show, { passive: true });
for (const id of ['filter', 'sort']) $(id).addEventListener('input', () => { dirty = true; $('view').scrollTop = 0; show(); });
setInterval(() => { if (!document.body.classList.contains('lost')) { showOverview(); show(); } }, 1000);
connect();
`;
