/**
 * Finds values in a text in whatever case and encoding a server may repeat them: percent-encoded (once, or over and over), with the
 * escapes of HTML, JSON and JavaScript, in base64 (either alphabet, also in the middle of something longer), in hex. Pure.
 *
 * The text is decoded layer by layer, and for every character it is kept from which part of the text it came.
 */

/** Beginning and end in the text. */
export type Span = readonly [start: number, end: number];

interface Layer {
  readonly text: string;
  /** For each UTF-16 unit of `text`. */
  readonly spans: readonly Span[];
}

/** How many encodings may lie inside each other. */
const LAYERS = 3;
/** The text may have been cut off: so much of a value, or more, is hidden at its end. */
const SHORTEST_BEGINNING = 4;

/** Bytes from 0x80 on come in runs, since several of them make one character. */
const ESCAPE =
  /%([0-7][0-9a-f])|((?:%[89a-f][0-9a-f])+)|[%\\]u([0-9a-f]{4})|\\x([0-9a-f]{2})|(?:&#x|\\u\{)([0-9a-f]{1,6})[;}]?|&#(\d{1,7});?|&([a-z]{2,7});|\\(?![ux])(.)|\+/gis;
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", sol: '/' };
/** `&uuml;` is u with this mark. */
const MARKS: Readonly<Record<string, string>> = {
  grave: '\u0300',
  acute: '\u0301',
  circ: '\u0302',
  tilde: '\u0303',
  uml: '\u0308',
  ring: '\u030a',
  cedil: '\u0327',
};
const LAST_CODE_POINT = 0x10ffff;

/** An escape of which the end is missing. */
const CUT_ESCAPE = /(?:%u?[0-9a-f]*|&#?[0-9a-z]*|\\[ux]?\{?[0-9a-f]*)$/;

const BASE64 = /[A-Za-z0-9+/_-]{4,}/g;
const HEX = /[0-9a-f]{6,}/gi;

/** @returns where `values` stand in `text`, in no order; they may overlap */
export function findDisguised(text: string, values: readonly string[]): Span[] {
  const wanted = values.flatMap((value) => [value, base64(value)]).map(fold);
  const spans: Span[] = [];
  let layer: Layer = { text, spans: Array.from(text.split(''), (_, at): Span => [at, at + 1]) };
  for (let depth = 0; depth <= LAYERS; depth += 1) {
    const places = [...find(layer.text, wanted), ...findPacked(layer.text, wanted)];
    spans.push(...places.map((place) => origin(layer, place)));
    const next = decode(layer);
    if (next.text === layer.text) break;
    layer = next;
  }
  return spans;
}

/** Without padding, so that it is found with padding as well. */
function base64(value: string): string {
  return Buffer.from(value).toString('base64url');
}

/** Where a place in a decoded text came from. */
function origin({ spans }: Layer, [start, end]: Span): Span {
  return [spans[start]?.[0] ?? 0, spans[end - 1]?.[1] ?? 0];
}

/** @param wanted folded */
function find(text: string, wanted: readonly string[]): Span[] {
  const folded = fold(text);
  const tail = folded.replace(CUT_ESCAPE, '');
  const spans: Span[] = [];
  for (const value of wanted) {
    for (let at = folded.indexOf(value); at >= 0; at = folded.indexOf(value, at + 1))
      spans.push([at, at + value.length]);
    for (let length = value.length - 1; length >= SHORTEST_BEGINNING; length -= 1) {
      if (!tail.endsWith(value.slice(0, length))) continue;
      spans.push([tail.length - length, text.length]);
      break;
    }
  }
  return spans;
}

/** Runs of base64 and hex with a value in them. Where in the run the encoding begins is not known, so each beginning is tried. */
function findPacked(text: string, wanted: readonly string[]): Span[] {
  const holds = (run: string, encoding: 'base64' | 'hex', beginnings: readonly number[]): boolean =>
    beginnings.some((at) => find(Buffer.from(run.slice(at), encoding).toString(), wanted).length > 0);
  const packed = [
    ...[...text.matchAll(BASE64)].filter(([run]) => holds(run, 'base64', [0, 1, 2, 3])),
    ...[...text.matchAll(HEX)].filter(([run]) => holds(run, 'hex', [0, 1])),
  ];
  return packed.map(({ 0: run, index }) => [index, index + run.length]);
}

/** One layer of escapes less. */
function decode({ text, spans }: Layer): Layer {
  let decoded = '';
  const origins: Span[] = [];
  const add = (units: string, start: number, end: number): void => {
    decoded += units;
    const span: Span = [spans[start]?.[0] ?? 0, spans[end - 1]?.[1] ?? 0];
    for (let unit = 0; unit < units.length; unit += 1) origins.push(span);
  };
  let at = 0;
  for (const match of text.matchAll(ESCAPE)) {
    for (; at < match.index; at += 1) add(text[at] ?? '', at, at + 1);
    at = match.index + match[0].length;
    add(unescape(match), match.index, at);
  }
  for (; at < text.length; at += 1) add(text[at] ?? '', at, at + 1);
  return { text: decoded, spans: origins };
}

function unescape([whole, ascii, bytes, four, two, other, decimal, entity, escaped]: RegExpExecArray): string {
  const hex = four ?? two ?? other;
  if (ascii !== undefined) return String.fromCharCode(Number.parseInt(ascii, 16));
  if (bytes !== undefined) return Buffer.from(bytes.replaceAll('%', ''), 'hex').toString();
  if (hex !== undefined) return character(Number.parseInt(hex, 16), whole);
  if (decimal !== undefined) return character(Number(decimal), whole);
  if (entity !== undefined) return ENTITIES[entity.toLowerCase()] ?? marked(entity) ?? whole;
  return escaped ?? ' ';
}

function marked(entity: string): string | null {
  const mark = MARKS[entity.slice(1).toLowerCase()];
  return mark === undefined ? null : `${entity[0]}${mark}`.normalize('NFC');
}

function character(code: number, whole: string): string {
  return code <= LAST_CODE_POINT ? String.fromCodePoint(code) : whole;
}

/** Lower case, unit by unit, so that places stay where they are. */
function fold(text: string): string {
  return text.replace(/[A-Z\u0080-\uffff]/g, (unit) => {
    const lower = unit.toLowerCase();
    return lower.length === 1 ? lower : unit;
  });
}
