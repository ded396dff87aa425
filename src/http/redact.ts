/**
 * What may be shown of a request target, and of other text that came from outside. Passwords and tokens travel in
 * URLs (`?password=`, `?token=`); they must not reach a log line, a label, an error text or the status page.
 *
 * In doubt a value is hidden: a hidden harmless value costs a look at the browser, a shown password costs a password.
 * Nothing here throws, whatever the text, and everything runs in linear time.
 */
import type { QueryLogging } from '../core/settings.ts';

const HIDDEN = '[redacted]';
/** Longest target that is shown, in characters. */
const TARGET_LENGTH = 512;

/** Names that stand for secrets (or, like `usr`, for half of a login), without case and punctuation. */
const SECRET_NAMES = new Set(['pass', 'pwd', 'usr', 'user', 'key', 'sig', 'sid', 'code', 'otp', 'pin', 'hash']);
const SECRET_PARTS =
  /passw|passphrase|username|secret|token|auth|apikey|accesskey|privatekey|signature|credential|session|cookie|jwt|bearer|^xamz|^xgoog/;
/** Control, format and surrogate characters and line separators: they forge lines or turn text round in a terminal. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** Without any of these there is no pair, no query and no user information in a target. */
const TELLING = /[=%#?@]/;
/** `?name=value`, also percent-encoded, anywhere in a text. The value ends where a URL in prose would. */
const PAIR = /([?&;]|%3f|%26|%3b)((?:[^=&;?/\s%]|%(?!3d|26|3b|3f)){1,100})(=|%3d)[^&\s"'<>]*/gi;
/** Same, at the start of the text: a bare query string. */
const FIRST_PAIR = /^([^=&;?/\s%:]{1,100})=[^&\s"'<>]*/;
const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i;

/**
 * A request target (origin or absolute form) that is safe to show: values of query parameters become `[redacted]` —
 * all of them, or with `keep` those whose names are known for secrets. Names stay, user information and fragments
 * never do. At most 512 characters and an ellipsis, without control characters.
 */
export function redactTarget(target: string, mode: QueryLogging): string {
  if (!TELLING.test(target)) return printable(target, TARGET_LENGTH);
  const [beforeFragment, fragment] = cut(target, '#');
  const [path, query] = cut(beforeFragment, '?');
  // A query whose `?` was encoded by mistake is a path to HTTP, but its values are as secret as ever.
  const shownPath = path.replace(USER_INFO, `$1${HIDDEN}@`).replace(PAIR, `$1$2$3${HIDDEN}`);
  const shownQuery =
    query === null
      ? ''
      : `?${query
          .split('&')
          .map((group) => redactGroup(group, mode))
          .join('&')}`;
  const shownFragment = fragment === null ? '' : `#${HIDDEN}`;
  return printable(shownPath + shownQuery + shownFragment, TARGET_LENGTH);
}

/** Free text (an error's message, a close reason) in which query values are hidden as {@link redactTarget} does. */
export function redactText(text: string, mode: QueryLogging): string {
  if (!TELLING.test(text)) return text;
  const hide = (whole: string, before: string, name: string, equals: string): string =>
    mode === 'keep' && !isSecretName(name) ? whole : `${before}${name}${equals}${HIDDEN}`;
  return text
    .replace(FIRST_PAIR, (whole: string, name: string) => (isSecretName(name) ? `${name}=${HIDDEN}` : whole))
    .replace(PAIR, hide);
}

/** Text from the wire for one line of output: unprintable characters as `\u{…}`, cut after `limit` characters. */
export function printable(text: string, limit: number): string {
  // Cut before escaping as well: only what is shown is worth escaping.
  const escaped = text.slice(0, limit + 1).replace(UNPRINTABLE, escapeCharacter);
  return escaped.length > limit ? `${escaped.slice(0, limit)}…` : escaped;
}

/** Whether a parameter of this (possibly percent-encoded) name is known to carry a secret. */
export function isSecretName(name: string): boolean {
  // Decoded twice, because a doubly encoded name still reads as a secret to whoever decodes it again.
  const plain = decodeAscii(decodeAscii(name))
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '');
  return SECRET_NAMES.has(plain) || SECRET_PARTS.test(plain);
}

/** One `&` group of a query: a pair, or several of them separated by `;`. */
function redactGroup(group: string, mode: QueryLogging): string {
  const shown: string[] = [];
  for (const part of group.split(';')) {
    const [name, value] = cut(part, '=');
    shown.push(redactPair(name, value, mode));
    // After a secret the `;` may belong to its value: what follows is not shown, not even as a name.
    if (value !== null && isSecretName(name)) break;
  }
  return shown.join(';');
}

function redactPair(name: string, value: string | null, mode: QueryLogging): string {
  if (value === null) return name === '' || mode === 'keep' ? name : HIDDEN;
  return mode === 'keep' && !isSecretName(name) ? `${name}=${redactText(value, mode)}` : `${name}=${HIDDEN}`;
}

/** The text before and after the first `mark`; null when there is none. */
function cut(text: string, mark: string): [string, string | null] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + mark.length)];
}

/** Decodes the escapes that are valid, byte by byte, and leaves the broken ones alone. */
function decodeAscii(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function escapeCharacter(character: string): string {
  return `\\u{${Number(character.codePointAt(0)).toString(16)}}`;
}
