/**
 * Reduces a request target to the form that goes to the upstream, byte for byte: nothing is decoded, resolved or joined.
 *
 * @returns the path and query, `*` for OPTIONS, or null for a target that no origin server can be asked for.
 */
export function originForm(target: string, method: string): string | null {
  if (/[^\x21-\x7e\x80-\xff]/.test(target)) return null;
  if (target.startsWith('/')) return target;
  if (target === '*') return method === 'OPTIONS' ? target : null;
  // RFC 9112 3.2.2: a server must accept the absolute form. The host in it never decides where a request goes.
  const authority = /^(?:https?|wss?):\/\/[^/?#]+/i.exec(target);
  if (authority === null) return null;
  const rest = target.slice(authority[0].length);
  // RFC 9112 3.2.4: OPTIONS without path or query asks about the server itself.
  if (rest === '' && method === 'OPTIONS') return '*';
  return rest.startsWith('/') ? rest : `/${rest}`;
}
