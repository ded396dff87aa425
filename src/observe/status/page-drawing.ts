/** The status page's script, first part: numbers as words, and the two small drawings of a row. It runs in the browser. */
export const DRAWING = `
const HISTORY = 24;
const number = new Intl.NumberFormat('en');
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hour12: false });

function duration(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return Number(s.toFixed(1)) + ' s';
  if (s < 60) return Math.floor(s) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min ' + Math.floor(s % 60) + ' s';
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s / 60 % 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s / 3600 % 24) + ' h';
}
function age(ms) {
  const s = Math.floor(Math.max(0, ms) / 1000);
  if (s < 60) return s + ' s';
  if (s < 3600) return Math.floor(s / 60) + ':' + String(s % 60).padStart(2, '0');
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s / 60 % 60);
  return Math.floor(s / 86400) + ' d ' + Math.floor(s / 3600 % 24);
}
function milliseconds(ms) {
  if (ms === null) return '–';
  return ms < 10 ? ms.toFixed(1) + ' ms' : ms < 10000 ? Math.round(ms) + ' ms' : duration(ms);
}
function bytes(count) {
  if (count < 1000) return count + ' B';
  const power = Math.min(3, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return (value < 10 ? value.toFixed(1) : Math.round(value)) + [' B', ' kB', ' MB', ' GB'][power];
}

const palette = {};
function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['calm', 'trouble', 'soft', 'line']) palette[name] = style.getPropertyValue('--' + name);
}
function pen(canvas, width, height) {
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = width + 'px';
    canvas.style.height = height + 'px';
  }
  const draw = canvas.getContext('2d');
  draw.setTransform(scale, 0, 0, scale, 0, 0);
  draw.clearRect(0, 0, width, height);
  return draw;
}

// Round trips of the remembered Pings, oldest left, from zero up to the slowest of them.
function drawSpark(canvas, row) {
  const width = 80, height = 22, draw = pen(canvas, width, height);
  const values = row.history.map((pong) => pong[1]);
  if (values.length === 0) return;
  const top = Math.max(1, ...values);
  const x = (index) => values.length === 1 ? width - 3 : 3 + index * (width - 6) / (values.length - 1);
  const y = (value) => height - 3 - value / top * (height - 6);
  draw.strokeStyle = palette.calm;
  draw.lineWidth = 1.5;
  draw.lineJoin = 'round';
  draw.beginPath();
  values.forEach((value, index) => draw.lineTo(x(index), y(value)));
  draw.stroke();
  draw.fillStyle = palette.calm;
  draw.beginPath();
  draw.arc(x(values.length - 1), y(values[values.length - 1]), 2, 0, 7);
  draw.fill();
}

// Time runs to the right and ends now. An answered Ping is a whole bar, one without an answer its upper half.
function drawPings(canvas, row, now) {
  const width = 104, height = 22, middle = height / 2, draw = pen(canvas, width, height);
  const span = Math.min(600000, Math.max(10000, 8 * (row.intervalMs || 60000)));
  const x = (at) => Math.round(width - 2 - (now - at) / span * (width - 4)) - 1;
  draw.fillStyle = palette.line;
  draw.fillRect(0, middle - 0.5, width, 1);
  draw.fillStyle = palette.calm;
  for (const [at] of row.history) if (now - at < span) draw.fillRect(x(at), 3, 2, height - 6);
  draw.fillStyle = palette.trouble;
  for (const at of row.unanswered) if (now - at < span) draw.fillRect(x(at), 3, 2, middle - 3);
}
`;
