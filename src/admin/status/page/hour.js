/** The last hour as a picture: open connections, ends and failures a minute, round trips, and marks for what explains them. */
import { byId, drawn, make, text } from './dom.js';
import { clock, count, local, milliseconds, roundTop, utc } from './format.js';

/** @typedef {import('./types.d.ts').Minute} Minute */
/** @typedef {import('./types.d.ts').Mark} Mark */
/** @typedef {import('./types.d.ts').Hop} Hop */

const MINUTES = 60;
const MINUTE_MS = 60_000;
/** @type {readonly Hop[]} */
export const HOPS = ['browser', 'front', 'proxy', 'upstream'];

/** @typedef {Record<Hop, { all: number, trouble: number }>} HopSums */

/** @param {Minute} minute */
function failuresOf({ failed }) {
  return HOPS.reduce((sum, hop) => sum + failed[hop], 0);
}

/** Ends and failed upgrades by hop over the last minutes. @param {readonly Minute[]} minutes @param {number} since ms since 1970 */
export function sumByHop(minutes, since) {
  const recent = minutes.filter(({ at }) => at + MINUTE_MS > since);
  /** @type {HopSums} */
  const sums = Object.create(null);
  for (const hop of HOPS) {
    sums[hop] = {
      all: recent.reduce((sum, { ends, failed }) => sum + ends[hop].all + failed[hop], 0),
      trouble: recent.reduce((sum, { ends, failed }) => sum + ends[hop].trouble + failed[hop], 0),
    };
  }
  return sums;
}

/** What is told of a minute in the table. @param {Minute} minute */
export function minuteCells(minute) {
  const all = HOPS.reduce((sum, hop) => sum + minute.ends[hop].all, 0);
  const troubled = HOPS.filter((hop) => minute.ends[hop].trouble > 0);
  return [
    clock(minute.at),
    count(minute.open),
    count(minute.opened),
    count(all),
    troubled.map((hop) => `${hop} ${count(minute.ends[hop].trouble)}`).join(', '),
    count(failuresOf(minute)),
    milliseconds(minute.rttMedian),
    milliseconds(minute.rttWorst),
  ];
}

/** The picture in a sentence. @param {readonly Minute[]} minutes */
export function hourInWords(minutes) {
  const hops = sumByHop(minutes, 0);
  const failed = minutes.reduce((sum, minute) => sum + failuresOf(minute), 0);
  const troubled = HOPS.filter((hop) => hops[hop].trouble > 0).map((hop) => `${hop} ${count(hops[hop].trouble)}`);
  const open = minutes.map((minute) => minute.open);
  const all = HOPS.reduce((sum, hop) => sum + hops[hop].all, 0);
  return (
    `Open connections: ${count(open.at(-1) ?? 0)} now, at most ${count(Math.max(0, ...open))}. ` +
    `${count(all)} ended or failed, with trouble: ${troubled.join(', ') || 'none'}. ${count(failed)} upgrades failed.`
  );
}

const HEIGHTS = { open: 90, ends: 90, rtt: 60 };
const GAP = 26;
const LEFT = 4;
const TOTAL = HEIGHTS.open + HEIGHTS.ends + HEIGHTS.rtt + 3 * GAP + 18;

/**
 * @param {readonly Minute[]} minutes oldest first
 * @param {readonly Mark[]} marks
 * @param {number} now ms since 1970
 */
export function showHour(minutes, marks, now) {
  const width = Math.max(280, byId('hour').clientWidth);
  const end = Math.floor(now / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
  const start = end - MINUTES * MINUTE_MS;
  const step = (width - 2 * LEFT) / MINUTES;
  /** @param {number} at */
  const x = (at) => LEFT + ((at - start) / MINUTE_MS) * step;
  const shown = minutes.filter(({ at }) => at >= start);
  const picture = drawn('svg', { viewBox: `0 0 ${width} ${TOTAL}`, role: 'img', 'aria-label': hourInWords(shown) });
  let top = GAP;
  picture.append(...openLine(shown, x, step, top, width));
  top += HEIGHTS.open + GAP;
  picture.append(...endBars(shown, x, step, top, width));
  top += HEIGHTS.ends + GAP;
  picture.append(...roundTrips(shown, x, step, top, width));
  picture.append(...timeAxis(start, x, TOTAL - 4), ...markLines(marks, x, start));
  byId('hour').replaceChildren(picture);
}

/** @param {string} name @param {number} top @param {number} height @param {number} width @param {string} most */
function frame(name, top, height, width, most) {
  return [
    drawn('text', { x: LEFT, y: top - 7, class: 'label' }, name),
    drawn('text', { x: width - LEFT, y: top - 7, class: 'label end' }, most),
    drawn('line', { x1: LEFT, x2: width - LEFT, y1: top + height, y2: top + height, class: 'base' }),
    drawn('line', { x1: LEFT, x2: width - LEFT, y1: top, y2: top, class: 'top' }),
  ];
}

/** @typedef {(at: number) => number} Scale */

/** @param {readonly Minute[]} minutes @param {Scale} x @param {number} step @param {number} top @param {number} width */
function openLine(minutes, x, step, top, width) {
  const most = roundTop(minutes.map(({ open }) => open));
  const height = HEIGHTS.open;
  const points = minutes.map(({ at, open }) => `${x(at) + step / 2},${top + height - (open / most) * height}`);
  const parts = frame('open connections', top, height, width, count(most));
  const [first, last] = [minutes[0], minutes.at(-1)];
  if (first === undefined || last === undefined) return parts;
  const floor = top + height;
  const area = `${x(first.at) + step / 2},${floor} ${points.join(' ')} ${x(last.at) + step / 2},${floor}`;
  parts.push(drawn('polygon', { points: area, class: 'area' }));
  parts.push(drawn('polyline', { points: points.join(' '), class: 'line' }));
  if (points.length === 1) {
    parts.push(
      drawn('circle', { cx: x(first.at) + step / 2, cy: floor - (first.open / most) * height, r: 2.5, class: 'spot' }),
    );
  }
  return parts;
}

/** From the floor up: in order, trouble by hop, failed upgrades. @param {Minute} minute */
function stackOf(minute) {
  const ordinary = HOPS.reduce((sum, hop) => sum + minute.ends[hop].all - minute.ends[hop].trouble, 0);
  const troubled = HOPS.map((hop) => /** @type {const} */ ([hop, minute.ends[hop].trouble]));
  return [
    /** @type {const} */ (['ordinary', ordinary]),
    ...troubled,
    /** @type {const} */ (['failed', failuresOf(minute)]),
  ];
}

/** @param {readonly Minute[]} minutes @param {Scale} x @param {number} step @param {number} top @param {number} width */
function endBars(minutes, x, step, top, width) {
  const height = HEIGHTS.ends;
  const most = roundTop(minutes.map((minute) => stackOf(minute).reduce((sum, [, value]) => sum + value, 0)));
  const parts = frame('ends and failed upgrades a minute', top, height, width, count(most));
  for (const minute of minutes) {
    let floor = top + height;
    for (const [name, value] of stackOf(minute)) {
      if (value === 0) continue;
      // What is there is seen, however tall the tallest bar is.
      const tall = Math.max(2, (value / most) * height);
      floor -= tall;
      parts.push(
        drawn('rect', {
          x: x(minute.at) + 1,
          y: floor,
          width: Math.max(1, step - 2),
          height: tall,
          class: `bar-${name}`,
        }),
      );
    }
  }
  return parts;
}

/** @param {readonly Minute[]} minutes @param {Scale} x @param {number} step @param {number} top @param {number} width */
function roundTrips(minutes, x, step, top, width) {
  const height = HEIGHTS.rtt;
  const known = minutes.filter(({ rttMedian }) => rttMedian !== null);
  const most = roundTop(known.map(({ rttWorst }) => rttWorst ?? 0));
  const parts = frame(
    'round trip: median (bar) and slowest (dot)',
    top,
    height,
    width,
    known.length > 0 ? milliseconds(most) : '',
  );
  /** @param {number} ms */
  const tall = (ms) => Math.max(1, (ms / most) * height);
  for (const { at, rttMedian, rttWorst } of known) {
    const bar = tall(rttMedian ?? 0);
    parts.push(
      drawn('rect', {
        x: x(at) + 1,
        y: top + height - bar,
        width: Math.max(1, step - 2),
        height: bar,
        class: 'bar-rtt',
      }),
    );
    parts.push(
      drawn('circle', { cx: x(at) + step / 2, cy: top + height - tall(rttWorst ?? 0), r: 1.75, class: 'spot' }),
    );
  }
  return parts;
}

/** @param {number} start @param {Scale} x @param {number} y */
function timeAxis(start, x, y) {
  const quarter = 15 * MINUTE_MS;
  const first = Math.ceil(start / quarter) * quarter;
  const times = [0, 1, 2, 3].map((index) => first + index * quarter);
  return times.map((at) => drawn('text', { x: x(at), y, class: 'label middle' }, clock(at)));
}

/** @param {readonly Mark[]} marks @param {Scale} x @param {number} start */
function markLines(marks, x, start) {
  return marks
    .filter(({ at }) => at >= start)
    .map(({ at, kind }) =>
      drawn('line', { x1: x(at), x2: x(at), y1: 12, y2: TOTAL - 16, class: `mark ${kind.replace(' ', '-')}` }),
    );
}

/** The newest first; each is a line in the picture as well. @param {readonly Mark[]} marks */
export function showMarks(marks) {
  const items = marks
    .slice(-12)
    .toReversed()
    .map(({ at, kind, text: words }) => {
      const item = make('li', kind.replace(' ', '-'));
      const time = make('time', 'soft', utc(at));
      time.title = local(at);
      item.append(time, make('b', '', ` ${kind} `), make('span', '', words));
      return item;
    });
  byId('marks').replaceChildren(...items);
}

/** @param {readonly Minute[]} minutes */
export function showMinutes(minutes) {
  const body = byId('minutes');
  const wanted = minutes.toReversed();
  while (body.childElementCount > wanted.length) body.lastElementChild?.remove();
  wanted.forEach((minute, index) => {
    const cells = minuteCells(minute);
    const line = body.children[index] ?? body.appendChild(newLine(cells.length));
    cells.forEach((value, column) => text(line.children[column] ?? null, value));
  });
}

/** @param {number} cells */
function newLine(cells) {
  const line = make('tr');
  for (let index = 0; index < cells; index += 1) {
    const cell = make(index === 0 ? 'th' : 'td', index === 0 || index === 4 ? '' : 'number');
    if (index === 0) cell.setAttribute('scope', 'row');
    line.append(cell);
  }
  return line;
}
