/** The open connections: what is known of each, and how the list is filtered and ordered. */

/** @typedef {import('./types.d.ts').Row} Row */
/** @typedef {import('../row.ts').RowChange} RowChange */
/** @typedef {import('./types.d.ts').Message} Message */

const HISTORY = 24;
/** A Ping that was answered was sent within this of when it was told, in ms. */
const SAME_PING = 1500;

/** Each gives what a row is ordered by: small first. @type {Record<string, (row: Row) => number | string>} */
const ORDERS = {
  newest: (row) => -row.openedAt,
  oldest: (row) => row.openedAt,
  idle: (row) => row.activeAt,
  rtt: (row) => -(row.rttMs ?? -1),
  bytes: (row) => -(row.bytesUp + row.bytesDown),
  client: (row) => row.client,
  route: (row) => row.route,
  state: (row) => row.state,
};

export class Rows {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #order = 'newest';
  #words = '';
  /** @type {Row[] | null} */
  #listed = null;

  get size() {
    return this.#rows.size;
  }

  get isFiltered() {
    return this.#words !== '';
  }

  /** @param {Message} message */
  take(message) {
    if (message.type === 'snapshot') this.#rows.clear();
    for (const row of [...(message.rows ?? []), ...(message.opened ?? [])]) this.#add(row);
    for (const change of message.changed ?? []) this.#apply(change, message.now);
    for (const id of message.closed ?? []) this.#rows.delete(id);
    const { rows, opened, closed } = message;
    if (rows !== undefined || opened !== undefined || closed !== undefined) this.#listed = null;
  }

  /** Orders anew: until then rows keep their places, whatever their figures do. @param {string} order */
  sort(order) {
    this.#order = order;
    for (const row of this.#rows.values()) row.rank = this.#rankOf(row);
    this.#listed = null;
  }

  /** @param {string} words */
  filter(words) {
    this.#words = words.trim().toLowerCase();
    this.#listed = null;
  }

  /** Those that fit the filter, in order. */
  list() {
    this.#listed ??= [...this.#rows.values()].filter((row) => this.#fits(row)).sort(byRank);
    return this.#listed;
  }

  /** @param {Row} row */
  #fits(row) {
    return this.#words === '' || row.words.includes(this.#words) || row.state === this.#words;
  }

  /** @param {Row} row */
  #rankOf(row) {
    return (ORDERS[this.#order] ?? ((other) => -other.openedAt))(row);
  }

  /** @param {Row} row */
  #add(row) {
    row.unanswered = [];
    row.words = `${row.client} ${row.route} ${row.path} ${row.front}`.toLowerCase();
    row.rank = this.#rankOf(row);
    this.#rows.set(row.id, row);
  }

  /** @param {RowChange} change @param {number} at */
  #apply(change, at) {
    const row = this.#rows.get(change.id);
    if (row === undefined) return;
    const { history = [], ...fields } = change;
    const sent = (fields.pings ?? row.pings) - row.pings;
    Object.assign(row, fields);
    row.history = [...row.history, ...history].slice(-HISTORY);
    for (let extra = sent - history.length; extra > 0; extra -= 1) row.unanswered.push(at);
    /** @param {number} asked */
    const isAnswered = (asked) => history.some(([sentAt]) => Math.abs(sentAt - asked) < SAME_PING);
    row.unanswered = row.unanswered.filter((asked) => !isAnswered(asked)).slice(-HISTORY);
  }
}

/** Who is equal stands in the order of opening. @param {Row} a @param {Row} b */
function byRank(a, b) {
  if (a.rank === b.rank) return b.openedAt - a.openedAt;
  return a.rank < b.rank ? -1 : 1;
}
