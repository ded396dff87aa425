/** What faults below HTTP mean, and what to do about them. Pure. */

/** A sentence without its full stop, and the next step. */
export type Words = readonly [text: string, advice: string];

interface Fault extends Error {
  readonly code?: string | undefined;
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
  EHOSTUNREACH: (place) => [`there is no way to ${place}`, 'Check the address, the network and the VPN.'],
  ENETUNREACH: (place) => [
    `there is no way to ${place}`,
    'Check the network of this machine; an IPv6 address needs a network that has IPv6.',
  ],
};

/** A connection that did not come about. */
export function connectFault(error: Fault, { host, port }: Place): Words {
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const known = CONNECT[error.code ?? ''];
  return (
    known?.(place) ?? [`no connection to ${place} (${error.code ?? 'no reason given'})`, 'Check address and port.']
  );
}

/** Did the fault come after TCP was there? */
export function isTlsFault(error: Fault): boolean {
  return /^(?:ERR_SSL|ERR_TLS|EPROTO)/.test(error.code ?? '');
}

export function tlsFault(error: Fault): Words {
  const code = error.code ?? '';
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code)) {
    return ['the port speaks no TLS', 'Use ws:// for it, or the port of the TLS listener (mostly 443).'];
  }
  if (code.includes('NO_APPLICATION_PROTOCOL')) {
    return ['the server does not take HTTP/1.1', 'Switch HTTP/1.1 on in its ALPN: WebSockets need it.'];
  }
  if (code.includes('UNRECOGNIZED_NAME') || code.includes('HANDSHAKE_FAILURE')) {
    return ['the server has no certificate for this name', 'Add the name to the server that ends TLS.'];
  }
  return [`the TLS handshake failed (${code})`, 'See the log of the server that ends TLS.'];
}

/**
 * A certificate that cannot be trusted.
 *
 * @param code of `tlsSocket.authorizationError`
 * @param names that the certificate is for
 */
export function certificateFault(code: string, host: string, names: readonly string[]): Words {
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return [
        'the certificate is self-signed, so browsers refuse it',
        "Get one from a public authority (Let's Encrypt).",
      ];
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return [
        'the certificate comes from an authority that this machine does not know',
        'Where that is meant (a company network), set NODE_EXTRA_CA_CERTS to the file of that authority.',
      ];
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_GET_ISSUER_CERT':
      return [
        'the chain of the certificate is incomplete, or ends at an unknown authority',
        'Serve the whole chain: with certbot that is fullchain.pem, not cert.pem.',
      ];
    case 'CERT_HAS_EXPIRED':
      return ['the certificate has expired', 'Renew it, and reload the server that ends TLS.'];
    case 'CERT_NOT_YET_VALID':
      return ['the certificate is not valid yet', 'Check the clock of this machine and of the one that made it.'];
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return [
        `the certificate is not for ${host}${names.length > 0 ? ` but for ${names.join(', ')}` : ''}`,
        'Use the name that is in it, or get one for this name.',
      ];
    default:
      return [`the certificate cannot be trusted (${code})`, 'See the server that ends TLS.'];
  }
}
