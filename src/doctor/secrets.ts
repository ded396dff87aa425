/**
 * Keeps out of the output what the URL and the headers carry. Servers repeat it in redirects and error pages, so text from the
 * wire is searched for the values themselves, on top of what `core/redact` finds by the shape.
 */
import { printable, redactTarget, redactText } from '../core/redact.ts';

const HIDDEN = '[redacted]';
/** Shorter values are no secret worth the damage to the text, and hiding every `e` would tell more than it hides. */
const SHORTEST = 3;
const TEXT_LENGTH = 200;

export interface Secrets {
  /** Text from the wire or from an error, fit for one line. */
  readonly hide: (text: string) => string;
}

/** @param headers values that are sent along, credentials among them */
export function createSecrets(url: URL, headers: readonly string[]): Secrets {
  const raw = url.search.split(/[?&;]/).map((pair) => pair.slice(pair.indexOf('=') + 1));
  const given = [...raw, ...url.searchParams.values(), ...credentials(url), ...headers.flatMap(headerSecrets)];
  const values = new Set(given.flatMap(spellings).filter((value) => value.length >= SHORTEST));
  // Longest first: one value may be a part of another.
  const ordered = [...values].toSorted((one, other) => other.length - one.length);
  return {
    hide(text) {
      const plain = ordered.reduce((rest, value) => rest.replaceAll(value, HIDDEN), text);
      return printable(redactText(plain, 'redact').replace(/\s+/g, ' ').trim(), TEXT_LENGTH);
    },
  };
}

/** The URL without what is secret in it. */
export function showUrl(url: URL): string {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  return redactTarget(bare.href, 'redact');
}

function credentials({ username, password }: URL): string[] {
  return [username, password, Buffer.from(`${decode(username)}:${decode(password)}`).toString('base64')];
}

/** `Bearer x`, `a=x; b=y`: the whole and its parts. */
function headerSecrets(value: string): string[] {
  return [value, ...value.split(/[\s;,]+/).flatMap((part) => [part, part.slice(part.indexOf('=') + 1)])];
}

/** As typed, decoded, and encoded: a server may repeat any of them. */
function spellings(value: string): string[] {
  return [value, decode(value), encodeURIComponent(value), new URLSearchParams([['', value]]).toString().slice(1)];
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
