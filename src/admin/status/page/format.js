/** Numbers and times as people read them. */

const whole = new Intl.NumberFormat('en');

/** @param {number} value */
export function count(value) {
  return whole.format(value);
}

/** @param {number} ms */
export function duration(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${Number(s.toFixed(1))} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s / 60) % 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s / 3600) % 24)} h`;
}

/** Short, for a column. @param {number} ms */
export function age(ms) {
  const s = Math.floor(Math.max(0, ms) / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s / 60) % 60)}`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s / 3600) % 24)}`;
}

/** @param {number | null} ms */
export function milliseconds(ms) {
  if (ms === null) return '–';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : duration(ms);
}

/** @param {number} value */
export function bytes(value) {
  if (value < 1000) return `${value} B`;
  const power = Math.min(3, Math.floor(Math.log10(value) / 3));
  const scaled = value / 1000 ** power;
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${['B', 'kB', 'MB', 'GB'][power]}`;
}

/** Date and time in UTC, as in the log. @param {number} at ms since 1970 */
export function utc(at) {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Hours and minutes in UTC. @param {number} at ms since 1970 */
export function clock(at) {
  return new Date(at).toISOString().slice(11, 16);
}

/** The same moment where the reader is. @param {number} at ms since 1970 */
export function local(at) {
  return `${new Date(at).toLocaleString()} here`;
}

/** A number above all of these that is easy to read: 1, 2 or 5 and zeros. @param {readonly number[]} values */
export function roundTop(values) {
  const most = Math.max(1, ...values);
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most) ?? most;
}
