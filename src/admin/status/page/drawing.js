/** The two small drawings of a row. */

/** @typedef {import('./types.d.ts').Row} Row */

const palette = { calm: '', trouble: '', line: '' };

/** To be called again when the colours change. */
export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  palette.calm = style.getPropertyValue('--calm');
  palette.trouble = style.getPropertyValue('--trouble');
  palette.line = style.getPropertyValue('--line');
}

/** @param {HTMLCanvasElement} canvas @param {number} width @param {number} height */
function pen(canvas, width, height) {
  const scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const draw = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  draw.setTransform(scale, 0, 0, scale, 0, 0);
  draw.clearRect(0, 0, width, height);
  return draw;
}

/** Round trips of the remembered Pings, oldest left, from zero up to the slowest. @param {HTMLCanvasElement} canvas @param {Row} row */
export function drawSpark(canvas, row) {
  const [width, height] = [80, 22];
  const draw = pen(canvas, width, height);
  const values = row.history.map(([, rtt]) => rtt);
  const last = values.at(-1);
  if (last === undefined) return;
  const top = Math.max(1, ...values);
  /** @param {number} index */
  const x = (index) => (values.length === 1 ? width - 3 : 3 + (index * (width - 6)) / (values.length - 1));
  /** @param {number} value */
  const y = (value) => height - 3 - (value / top) * (height - 6);
  draw.strokeStyle = palette.calm;
  draw.lineWidth = 1.5;
  draw.lineJoin = 'round';
  draw.beginPath();
  values.forEach((value, index) => draw.lineTo(x(index), y(value)));
  draw.stroke();
  draw.fillStyle = palette.calm;
  draw.beginPath();
  draw.arc(x(values.length - 1), y(last), 2, 0, 7);
  draw.fill();
}

/**
 * Time runs to the right and ends now. An answered Ping is a whole bar, one without an answer its upper half.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Row} row
 * @param {number} now
 */
export function drawPings(canvas, row, now) {
  const [width, height] = [104, 22];
  const draw = pen(canvas, width, height);
  const span = Math.min(600_000, Math.max(10_000, 8 * (row.intervalMs ?? 60_000)));
  /** @param {number} at */
  const x = (at) => Math.round(width - 2 - ((now - at) / span) * (width - 4)) - 1;
  draw.fillStyle = palette.line;
  draw.fillRect(0, height / 2 - 0.5, width, 1);
  draw.fillStyle = palette.calm;
  for (const [at] of row.history) if (now - at < span) draw.fillRect(x(at), 3, 2, height - 6);
  draw.fillStyle = palette.trouble;
  for (const at of row.unanswered) if (now - at < span) draw.fillRect(x(at), 3, 2, height / 2 - 3);
}
