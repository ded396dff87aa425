/** Why a handshake got no proper answer at all. Pure. */
import { bad, type Finding } from './findings.ts';
import type { Words } from './network-words.ts';

const FAULTS: readonly (readonly [pattern: RegExp, words: Words])[] = [
  [
    /^ETIMEDOUT$|handshake has timed out/,
    [
      'no answer to the handshake within 20 s',
      'Something on the way accepts the connection and then says nothing: see whether the server behind it hangs.',
    ],
  ],
  [
    /^HPE_/,
    [
      'what answers there is not HTTP/1.1',
      'Check the port. A server that speaks HTTP/2 only cannot do it either: browsers open WebSockets with HTTP/1.1.',
    ],
  ],
  [
    /Invalid Sec-WebSocket-Accept/,
    [
      'the 101 does not fit the request (Sec-WebSocket-Accept)',
      'Something on the way answers from a cache, or changes Sec-WebSocket-Key. Switch caching off for this path.',
    ],
  ],
  [
    /Invalid Upgrade header/,
    [
      'the 101 has no Upgrade: websocket',
      'Something on the way strips the header from the answer; see its configuration.',
    ],
  ],
  [
    /subprotocol/i,
    [
      'server and client do not agree on a subprotocol',
      'Check the header Sec-WebSocket-Protocol that was given; Neko needs none.',
    ],
  ],
  [
    /Sec-WebSocket-Extensions/,
    ['the server chose an extension that was not offered', 'A fault of the server: see its documentation.'],
  ],
  [
    /^ECONNRESET$|socket hang up/,
    [
      'the server hung up instead of answering',
      'See the error log of the first proxy on the way; a crashed or restarting server does this, too.',
    ],
  ],
];

export function explainFault(error: NodeJS.ErrnoException, hide: (text: string) => string): Finding {
  const code = error.code ?? '';
  const known = FAULTS.find(([pattern]) => pattern.test(code) || pattern.test(error.message));
  const [text, advice] = known?.[1] ?? [`the handshake failed: ${hide(error.message)}`, 'See the log of the server.'];
  return bad('handshake', text, advice, { code });
}
