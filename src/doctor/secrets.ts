/**
 * Keeps out of the output what the URL and the headers carry. Servers repeat it in redirects and error pages, so text from the
 * wire is searched for the values themselves, on top of what `redact` finds by the shape.
 */
import { findDisguised, type Span } from '../http/disguises.ts';
import { printable, redactTarget, redactText } from '../http/redact.ts';

const HIDDEN = '[redacted]';
/** Shorter values are no secret worth the damage to the text, and hiding every `e` would tell more than it hides. */
const SHORTEST = 3;
const TEXT_LENGTH = 200;
/** These say where a request comes from and what it takes, and are no secrets. */
const PUBLIC_HEADERS = /^(?:origin|host|user-agent|accept(?:-.*)?|cache-control|pragma)$/i;

export interface Secrets {
  /** Text from the wire or from an error, fit for one line. */
  readonly hide: (text: string) => string;
}

/** @param headers that are sent along, credentials among them */
export function createSecrets(url: URL, headers: Readonly<Record<string, string>>): Secrets {
  const raw = url.search.split(/[?&;]/).map((pair) => pair.slice(pair.indexOf('=') + 1));
  const secretHeaders = Object.entries(headers).filter(([name]) => !PUBLIC_HEADERS.test(name));
  const given = [
    ...raw,
    ...url.searchParams.values(),
    ...credentials(url),
    ...secretHeaders.flatMap(([, value]) => headerSecrets(value)),
  ];
  const values = [...new Set(given.flatMap((value) => [value, decode(value)]))].filter(
    ({ length }) => length >= SHORTEST,
  );
  return {
    hide(text) {
      const plain = cover(text, findDisguised(text, values));
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

/** @param spans may overlap */
function cover(text: string, spans: readonly Span[]): string {
  let shown = '';
  let at = 0;
  for (const [start, end] of spans.toSorted(([one], [other]) => one - other)) {
    if (start >= at) shown += text.slice(at, start) + HIDDEN;
    at = Math.max(at, end);
  }
  return shown + text.slice(at);
}

function credentials({ username, password }: URL): string[] {
  return [username, password, Buffer.from(`${decode(username)}:${decode(password)}`).toString('base64')];
}

/** `Bearer x`, `a=x; b=y`: the whole and its parts. */
function headerSecrets(value: string): string[] {
  return [value, ...value.split(/[\s;,]+/).flatMap((part) => [part, part.slice(part.indexOf('=') + 1)])];
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
