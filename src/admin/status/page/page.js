/** The status page: what the feed tells, and who shows it. */
import { byId, text } from './dom.js';
import { readPalette } from './drawing.js';
import { showEnds } from './ends.js';
import { count, duration, utc } from './format.js';
import { HOPS, showHour, showMarks, showMinutes, sumByHop } from './hour.js';
import { showRoutes, sum } from './routes.js';
import { Rows } from './rows.js';
import { scrolled, showTable, toTop } from './table.js';

/** @typedef {import('./types.d.ts').Message} Message */
/** @typedef {import('./types.d.ts').Minute} Minute */
/** @typedef {import('./types.d.ts').Mark} Mark */
/** @typedef {import('./types.d.ts').Overview} Overview */

const LATELY = 15 * 60_000;
const HOUR = 60 * 60_000;
/** Without a word for so long the connection is taken for lost, in ms. */
const SILENCE = 10_000;
const NAME = 'ws-keepalive-proxy';

const rows = new Rows();
/** @type {Minute[]} */
let minutes = [];
/** @type {Mark[]} */
let marks = [];
/** @type {Overview} */
let overview = { routes: [], lessons: [], upstreams: [], limit: null, draining: false };
/** @type {string | null} */
let routeOrder = null;
let version = '';
let startedAt = 0;
let offset = 0;
let wallOffset = 0;
let isDrawing = false;

const now = () => performance.now() + offset;
const wall = () => Date.now() + wallOffset;
const isLost = () => document.body.classList.contains('lost');

/** @param {Message} message */
function take(message) {
  offset = message.now - performance.now();
  wallOffset = message.wall - Date.now();
  const isAll = message.type === 'snapshot';
  if (isAll) {
    version = message.version ?? '';
    startedAt = message.startedAt ?? 0;
    [minutes, marks] = [[], []];
  }
  rows.take(message);
  if (message.routes !== undefined) {
    // All of it comes together.
    const { routes, lessons = [], upstreams = [], limit = null, draining = false } = message;
    overview = { routes, lessons, upstreams, limit, draining };
    showRoutes(overview, routeOrder);
  }
  if (message.ends !== undefined || isAll) showEnds(message.ends ?? [], isAll);
  if (message.marks !== undefined || isAll) takeMarks(message.marks ?? []);
  if (message.minutes !== undefined || isAll) takeMinutes(message.minutes ?? []);
  showOverview();
  show();
}

/** @param {readonly Mark[]} more */
function takeMarks(more) {
  marks = [...marks, ...more].filter(({ at }) => at > wall() - HOUR);
  showMarks(marks);
  showHour(minutes, marks, wall());
}

/** @param {readonly Minute[]} more */
function takeMinutes(more) {
  const known = new Map([...minutes, ...more].map((minute) => [minute.at, minute]));
  minutes = [...known.values()].filter(({ at }) => at > wall() - HOUR - 60_000).slice(-60);
  showHour(minutes, marks, wall());
  showMinutes(minutes);
}

function showOverview() {
  const { routes, limit, draining } = overview;
  const total = routes.reduce((so, { open }) => so + open, 0);
  text(byId('open'), count(total));
  text(byId('limit'), limit === null ? 'no limit' : `of at most ${count(limit)}`);
  text(byId('prevented'), count(routes.reduce((so, { cutsPrevented }) => so + cutsPrevented, 0)));
  text(byId('closed'), count(routes.reduce((so, { closes }) => so + sum(closes), 0)));
  text(byId('about'), `version ${version} · up ${duration(now() - startedAt)}`);
  const hops = sumByHop(minutes, wall() - LATELY);
  const troubled = HOPS.reduce((so, hop) => so + hops[hop].trouble, 0);
  const isDown = overview.upstreams.some(({ isUp }) => isUp === false);
  text(byId('trouble'), count(troubled));
  byId('alarm').className = troubled > 0 ? 'alarm' : '';
  for (const hop of HOPS) showHop(hop, hops[hop]);
  document.body.classList.toggle('draining', draining);
  if (isLost()) return;
  text(byId('link-text'), draining ? 'stopping' : 'live');
  const bad = isDown ? 'upstream down' : troubled > 0 ? `${count(troubled)} troubled` : '';
  showTab(bad === '' ? NAME : `${bad} – ${NAME}`, bad === '' ? '#0f9488' : '#c2740a');
}

/** @param {import('./types.d.ts').Hop} hop @param {{ all: number, trouble: number }} counts */
function showHop(hop, { all, trouble }) {
  const item = byId(`hop-${hop}`);
  item.className = trouble > 0 ? 'trouble' : all > 0 ? 'calm' : '';
  text(item.querySelector('.node'), count(all));
  text(
    item.querySelector('small'),
    trouble > 0 ? `${count(trouble)} with trouble` : all > 0 ? 'all in order' : 'nothing ended here',
  );
}

/** The tab tells trouble, and whether anything is known at all. @param {string} title @param {string} colour */
function showTab(title, colour) {
  if (document.title === title) return;
  document.title = title;
  const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M1 8h4l2-5 3 10 2-5h3" fill="none" stroke="${colour}" stroke-width="2"/></svg>`;
  byId('icon').setAttribute('href', `data:image/svg+xml,${encodeURIComponent(icon)}`);
}

function show() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    showTable(rows, now());
  });
}

let retry = 500;

function connect() {
  const place = location.pathname.replace(/[^/]*$/, '');
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}${place}live`);
  /** @type {number | undefined} */
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), SILENCE);
  };
  heard();
  socket.addEventListener('message', (event) => {
    heard();
    retry = 500;
    document.body.classList.remove('lost');
    take(JSON.parse(event.data));
  });
  socket.addEventListener('close', () => {
    clearTimeout(silence);
    lose();
    setTimeout(connect, retry);
    retry = Math.min(8000, retry * 2);
  });
}

function lose() {
  if (isLost()) return;
  document.body.classList.add('lost');
  text(byId('link-text'), `connection lost, this is as of ${utc(wall())}; trying again`);
  showTab(`lost – ${NAME}`, '#8a8f94');
}

/** @param {string} order */
function orderBy(order) {
  rows.sort(order);
  for (const button of document.querySelectorAll('[data-order]')) {
    const isThis = button.getAttribute('data-order') === order;
    button.parentElement?.setAttribute(
      'aria-sort',
      isThis ? (order === 'newest' || order === 'idle' ? 'descending' : 'other') : 'none',
    );
  }
  /** @type {HTMLSelectElement} */ (byId('sort')).value = order;
  toTop();
  show();
}

function listen() {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    readPalette();
    show();
  });
  addEventListener('resize', () => {
    show();
    showHour(minutes, marks, wall());
  });
  byId('view').addEventListener(
    'scroll',
    () => {
      scrolled();
      show();
    },
    { passive: true },
  );
  byId('filter').addEventListener('input', () => {
    rows.filter(/** @type {HTMLInputElement} */ (byId('filter')).value);
    toTop();
    show();
  });
  byId('sort').addEventListener('input', () => orderBy(/** @type {HTMLSelectElement} */ (byId('sort')).value));
  for (const button of document.querySelectorAll('[data-order]')) {
    button.addEventListener('click', () => orderBy(button.getAttribute('data-order') ?? 'newest'));
  }
  for (const button of document.querySelectorAll('[data-sort]')) {
    button.addEventListener('click', () => {
      routeOrder = button.getAttribute('data-sort');
      for (const other of document.querySelectorAll('[data-sort]'))
        other.parentElement?.setAttribute('aria-sort', other === button ? 'other' : 'none');
      showRoutes(overview, routeOrder);
    });
  }
  setInterval(() => {
    if (isLost()) return;
    showOverview();
    show();
  }, 1000);
}

readPalette();
listen();
connect();
