/** The table of routes with their upstreams, and what was learned. */
import { byId, make } from './dom.js';
import { count, duration, local, utc } from './format.js';

/** @typedef {import('./types.d.ts').Route} Route */
/** @typedef {import('./types.d.ts').Upstream} Upstream */
/** @typedef {import('./types.d.ts').Overview} Overview */

/** @param {Readonly<Record<string, number>>} counts */
export function sum(counts) {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}

/** What a click on a column orders by: small first. @type {Record<string, (route: Route, down: boolean) => number | string>} */
const ORDERS = {
  name: (route) => route.name,
  upstream: (_route, isDown) => (isDown ? 0 : 1),
  interval: (route) => route.intervalMs ?? Infinity,
  open: (route) => -route.open,
  opened: (route) => -route.opened,
  refused: (route) => -sum(route.failures),
  prevented: (route) => -route.cutsPrevented,
};

/** @param {Overview} overview @param {string | null} order null: as configured */
export function inOrder({ routes, upstreams }, order) {
  const rank = ORDERS[order ?? ''];
  if (rank === undefined) return routes;
  const down = new Set(upstreams.filter(({ isUp }) => isUp === false).map(({ route }) => route));
  const ranked = routes.map((route) => /** @type {const} */ ([rank(route, down.has(route.name)), route]));
  ranked.sort(([a], [b]) => (a === b ? 0 : a < b ? -1 : 1));
  return ranked.map(([, route]) => route);
}

/** @param {Overview} overview @param {string | null} order */
export function showRoutes(overview, order) {
  byId('routes').replaceChildren(...inOrder(overview, order).map((route) => lineOf(route, overview.upstreams)));
  byId('lessons').replaceChildren(
    ...overview.lessons.map(({ route, front, cutAfterMs, intervalMs }) =>
      make(
        'li',
        '',
        `Learned on route ${route}: the front at ${front} cuts connections after ${duration(cutAfterMs)} of silence, so Pings go out every ${duration(intervalMs)} at the latest.`,
      ),
    ),
  );
}

/** @param {Route} route @param {readonly Upstream[]} upstreams */
function lineOf(route, upstreams) {
  const line = make('tr');
  const name = make('th', '', route.name);
  name.setAttribute('scope', 'row');
  const cell = make('td');
  for (const upstream of upstreams) if (upstream.route === route.name) cell.append(upstreamOf(upstream));
  line.append(name, cell, make('td', '', intervalOf(route)));
  const figures = [route.open, route.opened, sum(route.failures), route.cutsPrevented];
  for (const value of figures) line.append(make('td', 'number', count(value)));
  return line;
}

/** @param {Route} route */
function intervalOf({ intervalMs, configuredMs }) {
  if (intervalMs === null) return 'off';
  const isLearned = configuredMs !== null && intervalMs < configuredMs;
  return duration(intervalMs) + (isLearned ? `, learned (configured: ${duration(configuredMs)})` : '');
}

/** @param {Upstream} upstream */
function upstreamOf({ url, isUp, since, error }) {
  const state = isUp === null ? 'not tried yet' : `${isUp ? 'up' : 'down'} since ${since === null ? '' : utc(since)}`;
  const place = make('div', isUp === false ? 'upstream down' : 'upstream');
  const words = make('small', '', state);
  if (since !== null) words.title = local(since);
  place.append(make('span', '', url), words);
  if (error !== null) place.append(make('small', '', isUp ? `last error: ${error}` : error));
  return place;
}
