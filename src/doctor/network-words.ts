/** What faults below HTTP mean, and what to do about them. Pure. */

/** A sentence without its full stop, and the next step. */
export type Words = readonly [text: string, advice: string];

interface Fault extends Error {
  readonly code?: string | undefined;
  /** Of each address, where the name has several. */
  readonly errors?: readonly { readonly code?: string; readonly address?: string }[];
}

interface Place {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

const CONNECT: Readonly<Record<string, (place: string) => Words>> = {
  ECONNREFUSED: (place) => [
    `nothing listens on ${place}`,
    'Start the server there, or check the port. In Docker: is the port published?',
  ],
  ETIMEDOUT: (place) => [
    `${place} does not answer`,
    'A firewall drops the packets, or the machine is down. Check the address and the open ports.',
  ],
  ECONNRESET: (place) => [
    `${place} hung up while the connection was made`,
    'Something in between (a firewall, a load balancer without a server behind it) refuses it. See its log.',
  ],
  EHOSTUNREACH: (place) => [`there is no route to ${place}`, 'Check the address, the network and the VPN.'],
  ENETUNREACH: (place) => [
    `there is no route to ${place}`,
    'Check the network of this machine; an IPv6 address needs a network that has IPv6.',
  ],
};

/** What each address of a name does, after its own name. */
const EACH: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses',
  ETIMEDOUT: 'does not answer',
  ECONNRESET: 'hangs up',
  EHOSTUNREACH: 'cannot be reached from here',
  ENETUNREACH: 'cannot be reached from here',
};

/** A connection that did not come about. */
export function connectFault(error: Fault, { host, port }: Place): Words {
  const place = placeOf({ host, port });
  const { code = '', errors = [] } = error;
  const [text, advice] = CONNECT[code]?.(place) ?? [
    `no connection to ${place} (${code || 'no reason given'})`,
    'Check address and port.',
  ];
  if (errors.length === 0) return [text, advice];
  const each = errors.map(({ address = 'another', code = '' }) => `${address} ${EACH[code] ?? code}`);
  return [`${text}: ${each.join(', ')}`, advice];
}

/** A TCP connection on which the TLS handshake went no further. */
export function stalledTls(error: Fault, place: Place): Words {
  if (error.code !== 'ETIMEDOUT') {
    return [
      `${placeOf(place)} hung up in the TLS handshake`,
      'The server has no certificate for this name, or the port speaks no TLS. See the log of the server that ends TLS.',
    ];
  }
  return [
    `${placeOf(place)} accepts the connection and then says nothing`,
    'The port speaks no TLS (then use ws://), or what ends TLS there hangs.',
  ];
}

function placeOf({ host, port }: Place): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Did the fault come after TCP was there? */
export function isTlsFault(error: Fault): boolean {
  return /^(?:ERR_SSL|ERR_TLS|EPROTO)/.test(error.code ?? '');
}

export function tlsFault(error: Fault): Words {
  const code = error.code ?? '';
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code)) {
    return ['the port speaks no TLS', 'Use ws:// for it, or the port of the TLS listener (usually 443).'];
  }
  if (code.includes('NO_APPLICATION_PROTOCOL')) {
    return ['the server does not take HTTP/1.1', 'Switch HTTP/1.1 on in its ALPN: WebSockets need it.'];
  }
  if (code.includes('UNRECOGNIZED_NAME') || code.includes('HANDSHAKE_FAILURE')) {
    return ['the server has no certificate for this name', 'Add the name to the server that ends TLS.'];
  }
  return [`the TLS handshake failed (${code})`, 'See the log of the server that ends TLS.'];
}
