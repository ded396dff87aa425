/** The last ends, alike ones as one row that moves to the top when it grows. */
import { byId, make } from './dom.js';
import { count, duration, local, utc } from './format.js';

/** @typedef {import('./types.d.ts').EndGroup} EndGroup */
/** @typedef {import('./types.d.ts').End} End */

const MAX_ROWS = 200;
const HOPS = { browser: 'Browser', front: 'Front', proxy: 'Proxy', upstream: 'Upstream' };

/** @type {Map<number, HTMLElement>} */
const items = new Map();

/** @param {readonly EndGroup[]} groups the newest last @param {boolean} isAll nothing else is known */
export function showEnds(groups, isAll) {
  const list = byId('ends');
  if (isAll) {
    items.clear();
    list.replaceChildren();
  }
  for (const group of groups) {
    const before = items.get(group.id);
    // Whoever reads the addresses goes on reading them.
    const isRead = before?.querySelector('details')?.open === true;
    const item = itemOf(group, isRead);
    before?.remove();
    items.set(group.id, item);
    list.prepend(item);
  }
  while (list.childElementCount > MAX_ROWS) list.lastElementChild?.remove();
  list.hidden = list.childElementCount === 0;
  byId('no-ends').hidden = list.childElementCount > 0;
}

/** What is told of one end beside its verdict. @param {End} end */
export function factsOf(end) {
  const facts =
    end.kind === 'closed'
      ? [`open for ${duration(end.durationMs)}`, ...(end.code === null ? [] : [`code ${end.code}`])]
      : [...(end.status ? [`answered with ${end.status}`] : []), end.detail];
  return [end.client, end.route, end.path, ...facts].join(' · ');
}

/** @param {EndGroup} group @param {boolean} isRead */
function itemOf({ count: number, since, clients, newest }, isRead) {
  const item = make('li', newest.trouble ? 'trouble' : '');
  const time = /** @type {HTMLTimeElement} */ (make('time', 'soft', utc(newest.at)));
  time.dateTime = new Date(newest.at).toISOString();
  time.title = local(newest.at);
  const verdict = make('span', 'verdict');
  if (number > 1) verdict.append(make('b', 'times', `${count(number)} ×`), ' ');
  const link = /** @type {HTMLAnchorElement} */ (make('a', 'cause', newest.cause));
  link.href = `#cause-${newest.cause}`;
  verdict.append(newest.verdict, ' ', link);
  item.append(time, make('span', 'hop', HOPS[newest.hop]), verdict);
  item.append(make('span', 'who', `${number > 1 ? 'the last one: ' : ''}${factsOf(newest)}`));
  if (number > 1) item.append(addresses(since, clients, isRead));
  return item;
}

/** @param {number} since @param {readonly string[]} clients @param {boolean} isOpen */
function addresses(since, clients, isOpen) {
  const details = /** @type {HTMLDetailsElement} */ (make('details', 'who'));
  details.open = isOpen;
  details.append(make('summary', '', `since ${utc(since)}, newest addresses`), make('span', '', clients.join(', ')));
  return details;
}
