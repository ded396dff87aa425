/** The list of open connections. Only the rows in sight exist: a few dozen that move along. */
import { byId, make, text } from './dom.js';
import { drawPings, drawSpark } from './drawing.js';
import { age, bytes, count, milliseconds } from './format.js';

/** @typedef {import('./types.d.ts').Row} Row */
/** @typedef {import('./rows.js').Rows} Rows */
/** @typedef {{ row: HTMLElement, cells: Record<string, HTMLElement>, canvases: HTMLCanvasElement[] }} Slot */

const CELLS = /** @type {const} */ (['state', 'who', 'route', 'age', 'idle', 'rtt', 'pings', 'bytes']);

/** @type {Slot[]} */
const pool = [];
/** The first row in sight, so that those that come above it push nothing away. @type {string | undefined} */
let anchor;
/** Where the list was scrolled to for that. */
let heldAt = -1;

/** @param {Rows} rows */
function showSize(rows) {
  const { length } = rows.list();
  text(byId('shown'), rows.isFiltered ? `${count(length)} of ${count(rows.size)}` : count(length));
  byId('none').hidden = length > 0;
  const nobody = 'No connection is open. Open your page through the proxy, and it appears here.';
  text(byId('none'), rows.size > 0 ? 'No open connection fits the filter.' : nobody);
  byId('table').hidden = length === 0;
  byId('table').setAttribute('aria-rowcount', String(length + 1));
}

/** @param {Rows} rows @param {number} now on the server's monotonic clock, in ms */
export function showTable(rows, now) {
  const list = rows.list();
  showSize(rows);
  const view = byId('view');
  const height = rowHeight();
  const total = list.length * height;
  view.classList.toggle('few', total <= Math.min(innerHeight * 0.6, 640));
  byId('space').style.height = `${total}px`;
  holdStill(view, list, height);
  const first = Math.max(0, Math.floor(view.scrollTop / height) - 2);
  const wanted = Math.min(list.length - first, Math.ceil(view.clientHeight / height) + 4);
  while (pool.length < wanted) pool.push(newSlot());
  pool.forEach((slot, index) => {
    const data = list[first + index];
    if (index < wanted && data !== undefined) showRow(slot, data, first + index, height, now);
    else slot.row.hidden = true;
  });
  anchor = list[Math.floor(view.scrollTop / height)]?.id;
}

/** The user has chosen another order or filter: from the top. */
export function toTop() {
  anchor = undefined;
  byId('view').scrollTop = 0;
}

/** Somebody has scrolled: the user, unless it was this. */
export function scrolled() {
  if (byId('view').scrollTop !== heldAt) anchor = undefined;
}

/** @param {HTMLElement} view @param {readonly Row[]} list @param {number} height */
function holdStill(view, list, height) {
  if (anchor === undefined || view.scrollTop < height) return;
  const at = list.findIndex(({ id }) => id === anchor);
  if (at < 0) return;
  const wanted = at * height + (view.scrollTop % height);
  if (wanted !== view.scrollTop) view.scrollTop = wanted;
  heldAt = view.scrollTop;
}

function rowHeight() {
  const style = getComputedStyle(document.documentElement);
  return Number.parseFloat(style.fontSize) * Number.parseFloat(style.getPropertyValue('--row'));
}

/** @returns {Slot} */
function newSlot() {
  const row = make('div', 'row');
  row.setAttribute('role', 'row');
  /** @type {Record<string, HTMLElement>} */
  const cells = {};
  for (const name of CELLS) {
    const cell = make('div', name);
    cell.setAttribute('role', 'cell');
    cells[name] = cell;
    row.append(cell);
  }
  const { state, who, bytes: moved, rtt, pings } = cells;
  state?.append(make('span', 'dot'), make('span'));
  who?.append(make('span', 'client'), make('small'));
  moved?.append(make('span', 'up'), make('span', 'down'));
  const canvases = [rtt, pings].map((cell) => {
    const canvas = document.createElement('canvas');
    canvas.setAttribute('aria-hidden', 'true');
    cell?.classList.add('chart');
    cell?.append(canvas, make('span'));
    return canvas;
  });
  byId('space').append(row);
  return { row, cells, canvases };
}

/** @param {Slot} slot @param {Row} data @param {number} index @param {number} height @param {number} now */
function showRow({ row, cells, canvases }, data, index, height, now) {
  const { state, who, route, age: old, idle, rtt, pings, bytes: moved } = cells;
  row.hidden = false;
  row.style.transform = `translateY(${index * height}px)`;
  row.setAttribute('aria-rowindex', String(index + 2));
  if (state !== undefined) state.className = `state ${data.state}`;
  text(state?.lastElementChild ?? null, data.state);
  text(who?.firstElementChild ?? null, data.client);
  text(who?.lastElementChild ?? null, data.path);
  if (who !== undefined) who.title = `${data.client} ${data.path}, through ${data.front}`;
  text(route ?? null, data.route);
  text(old ?? null, age(now - data.openedAt));
  text(idle ?? null, age(now - data.activeAt));
  text(rtt?.lastElementChild ?? null, milliseconds(data.rttMs));
  text(pings?.lastElementChild ?? null, `${data.pongs}/${data.pings}`);
  text(moved?.firstElementChild ?? null, `↑ ${bytes(data.bytesUp)}`);
  text(moved?.lastElementChild ?? null, `↓ ${bytes(data.bytesDown)}`);
  const [spark, bars] = canvases;
  if (spark !== undefined) drawSpark(spark, data);
  if (bars !== undefined) drawPings(bars, data, now);
}
