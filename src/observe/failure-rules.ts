/** How WebSockets never begin: the verdict's rules for every reason. A reason without rules does not compile. */
import type { UpgradeFailure, UpgradeFailureReason } from '../core/events.ts';
import type { VerdictRule } from './verdict-words.ts';

type FailureRule = VerdictRule<UpgradeFailure>;

export const FAILURE_RULES: Readonly<Record<UpgradeFailureReason, readonly FailureRule[]>> = {
  bad_request: [
    {
      id: 'upgrade-required',
      symptom: 'The page loads but never connects (status 426)',
      when: (f) => f.status === 426,
      sentence: () => 'The handshake did not arrive as a WebSocket handshake of version 13 over HTTP/1.1',
      remedy: () =>
        'in nginx set proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and proxy_set_header Connection "upgrade"',
      example: { status: 426 },
    },
    {
      id: 'bad-handshake',
      symptom: 'A client that is not a browser cannot connect (status 400)',
      sentence: () => 'The handshake was not valid (RFC 6455 section 4.2.1), which no browser sends',
      remedy: () => 'see detail for what was wrong with it',
      example: { status: 400 },
    },
  ],
  origin: [
    {
      id: 'origin-refused',
      symptom: 'The page loads but never connects (status 403)',
      sentence: () => 'The page that opened the WebSocket comes from an origin that is not allowed',
      remedy: () => 'add its origin to allowed_origins if it is yours',
      example: { status: 403 },
    },
  ],
  no_route: [
    {
      id: 'no-route',
      symptom: 'One room does not connect (status 404)',
      sentence: () => 'No route matches this host and path',
      remedy: () => 'add a route, or a top-level upstream that takes everything else',
      example: { status: 404, route: 'none' },
    },
  ],
  limit: [
    {
      id: 'full',
      symptom: 'New users cannot connect (status 503), the others stay',
      sentence: () => 'A connection limit is reached',
      remedy: () =>
        'see detail for which one; raise limits.connections or limits.connections_per_ip, or the descriptor limit of the process',
      example: { status: 503 },
    },
  ],
  upstream_unreachable: [
    {
      id: 'upstream-unreachable',
      symptom: 'Nobody can connect (status 502)',
      sentence: () => 'The upstream could not be reached',
      remedy: () => 'check that it runs, and its host name and port in upstream; see detail for the error',
      example: { status: 502 },
    },
  ],
  upstream_timeout: [
    {
      id: 'upstream-timeout',
      symptom: 'Nobody can connect, after a wait (status 504)',
      sentence: () => 'The upstream did not answer in time: it hangs, or a firewall swallows the packets',
      remedy: () =>
        'restart the upstream if it hangs; raise timeouts.connect or timeouts.handshake only if it is slow by nature',
      example: { status: 504 },
    },
  ],
  upstream_refused: [
    {
      id: 'upstream-wants-login',
      symptom: 'The login fails (status 401 or 403)',
      when: (f) => f.status === 401 || f.status === 403,
      sentence: (f) => `The upstream refused the login or the origin (status ${f.status})`,
      remedy: () =>
        'check user name, password and token, and whether the proxy in front passes Cookie, Authorization and Origin',
      example: { status: 401 },
    },
    {
      id: 'upstream-knows-no-such-path',
      symptom: 'Nobody can connect (status 404)',
      when: (f) => f.status === 404,
      sentence: () => 'The upstream knows no such path',
      remedy: () => 'check the path prefix: paths are never rewritten, so the upstream has to serve under the same one',
      example: { status: 404 },
    },
    {
      id: 'upstream-failed',
      symptom: 'Nobody can connect (status 5xx)',
      when: (f) => f.status >= 500,
      sentence: (f) => `The upstream answered the handshake with an error of its own (status ${f.status})`,
      remedy: () => "look into the upstream's log",
      example: { status: 500 },
    },
    {
      id: 'upstream-no-websocket',
      symptom: 'The page loads but never connects',
      sentence: (f) => `The upstream answered the handshake with status ${f.status} instead of 101`,
      remedy: () => 'check that the path is that of a WebSocket',
      example: { status: 200 },
    },
  ],
  upstream_invalid: [
    {
      id: 'upstream-invalid',
      symptom: 'Nobody can connect (status 502) although the upstream runs',
      sentence: () => 'The upstream sent an answer that is not a valid WebSocket handshake',
      remedy: () => 'check that the port speaks HTTP (not TLS, or the reverse); see detail for what was wrong',
      example: { status: 502 },
    },
  ],
  client_gone: [
    {
      id: 'client-gone-early',
      symptom: 'Nothing; somebody left while the page was connecting',
      sentence: () => 'The client left before the connection was established',
      example: { status: 0 },
    },
  ],
};
