/** Whether browsers will trust a certificate, and until when. Everything that is wrong with it is told at once. */
import { checkServerIdentity, type DetailedPeerCertificate, rootCertificates, type TLSSocket } from 'node:tls';
import { bad, count, type Facts, type Finding, ok, warn } from './findings.ts';
import type { Words } from './network-words.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Certificates of three months are renewed a month before their end: with less left than this the renewal has failed. */
const EXPIRY_WARNING_MS = 14 * DAY_MS;
/** Those with a shorter life are renewed later: with less of it left than this the renewal has failed. */
const EXPIRY_WARNING_PART = 1 / 6;

/** What is known of a certificate. Times are in ms since 1970. */
export interface CertificateFacts {
  /** Of `tlsSocket.authorizationError`, or null. */
  readonly code: string | null;
  readonly host: string;
  /** That the certificate is for, at most three. */
  readonly names: readonly string[];
  readonly isForHost: boolean;
  readonly validFrom: number;
  readonly validTo: number;
  /** Who vouches for it, when that is an authority which browsers do not know by themselves. */
  readonly privateAuthority: string | null;
  /** Such as `TLSv1.3`. */
  readonly version: string;
}

/** @param insecure a certificate that cannot be trusted is only a warning */
export function judgeCertificate(socket: TLSSocket, host: string, insecure: boolean): Finding {
  const certificate = socket.getPeerCertificate(true);
  const facts: CertificateFacts = {
    code: socket.authorized ? null : String(socket.authorizationError),
    host,
    names: namesOf(certificate),
    isForHost: checkServerIdentity(host, certificate) === undefined,
    validFrom: Date.parse(certificate.valid_from),
    validTo: Date.parse(certificate.valid_to),
    privateAuthority: privateAuthority(certificate),
    version: socket.getProtocol() ?? '',
  };
  return explainCertificate(facts, insecure, Date.now());
}

export function explainCertificate(certificate: CertificateFacts, insecure: boolean, now: number): Finding {
  const { code, version, validTo, privateAuthority } = certificate;
  const left = validTo - now;
  const facts: Facts = {
    version,
    validTo: new Date(validTo).toISOString(),
    daysLeft: Math.floor(left / DAY_MS),
    privateAuthority,
  };
  const faults = faultsOf(certificate, now);
  if (faults.length > 0) {
    const text = faults.map(([what]) => what).join('; ');
    const advice = faults.map(([, what]) => what).join('\n');
    if (insecure) return warn('tls', `${text} (continued because of --insecure)`, advice, { ...facts, code });
    return bad('tls', text, `${advice}\nNothing secret was sent. To continue all the same: --insecure`, {
      ...facts,
      code,
    });
  }
  if (left < Math.min(EXPIRY_WARNING_MS, (validTo - certificate.validFrom) * EXPIRY_WARNING_PART)) {
    const advice = 'Renew it; if that should happen automatically, find out why it did not.';
    return warn(
      'tls',
      `${version}, but the certificate expires in ${remaining(left)}, on ${day(validTo)}`,
      advice,
      facts,
    );
  }
  const text = `${version}, certificate valid for another ${remaining(left)}, until ${day(validTo)}`;
  if (privateAuthority === null) return ok('tls', text, facts);
  return ok(
    'tls',
    `${text}; signed by ${privateAuthority}, an authority that browsers trust only if they were told to, as this machine was`,
    facts,
  );
}

/** The chain's fault first, then those of the certificate itself: Node names only one of them. */
function faultsOf({ code, host, names, isForHost, validFrom, validTo }: CertificateFacts, now: number): Words[] {
  const faults: Words[] = [];
  const isExpired = now > validTo;
  if (code !== null && !isOwnFault(code)) faults.push(chainFault(code));
  if (isExpired) {
    faults.push([
      `the certificate expired on ${day(validTo)}, ${remaining(now - validTo)} ago`,
      'Renew it, and reload the server that ends TLS.',
    ]);
  }
  if (now < validFrom) {
    faults.push([
      `the certificate is not valid before ${day(validFrom)}`,
      'Check the clock of this machine and of the one that made it.',
    ]);
  }
  if (!isForHost) {
    const others = names.length > 0 ? ` but for ${names.join(', ')}` : '';
    faults.push([
      `the certificate is not for ${host}${others}`,
      'Use a name that is in it, or get a certificate for this name.',
    ]);
  }
  // Another certificate of the chain has expired, or the like.
  if (code !== null && faults.length === 0) faults.push(chainFault(code));
  return faults;
}

/** Is it told from the certificate's own dates and names? */
function isOwnFault(code: string): boolean {
  return /^(?:CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|ERR_TLS_CERT_ALTNAME_INVALID)$/.test(code);
}

function chainFault(code: string): Words {
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return [
        'the certificate is self-signed, so browsers refuse it',
        "Get one from a public authority (Let's Encrypt).",
      ];
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return [
        'the certificate comes from an authority that this machine does not know',
        'If it is your own authority, set NODE_EXTRA_CA_CERTS to the file with its certificate. Browsers need that certificate, too.',
      ];
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_GET_ISSUER_CERT':
      return [
        'the chain of the certificate is incomplete, or ends at an authority that this machine does not know',
        'Serve the whole chain: with certbot that is fullchain.pem, not cert.pem. If it is your own authority, set NODE_EXTRA_CA_CERTS to the file with its certificate.',
      ];
    case 'CERT_HAS_EXPIRED':
      return ['a certificate of the chain has expired', 'Renew the chain, and reload the server that ends TLS.'];
    case 'CERT_NOT_YET_VALID':
      return ['a certificate of the chain is not valid yet', 'Check the clock of this machine.'];
    default:
      return [`the certificate cannot be trusted (${code})`, 'See the server that ends TLS.'];
  }
}

function namesOf({ subjectaltname, subject }: DetailedPeerCertificate): string[] {
  const names = (subjectaltname ?? '').split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, ''));
  return [...names, ...[subject?.CN ?? []].flat()].filter((name) => name !== '').slice(0, 3);
}

/** Node completes the chain with the authority's certificate, which is its own issuer. */
function privateAuthority(certificate: DetailedPeerCertificate): string | null {
  let last = certificate;
  while (last.issuerCertificate !== undefined && last.issuerCertificate !== last) last = last.issuerCertificate;
  if (last.raw === undefined) return null;
  const known = last.raw.toString('base64');
  if (rootCertificates.some((pem) => pem.replace(/-----[^-]+-----|\s/g, '') === known)) return null;
  return [last.subject?.CN ?? last.subject?.O ?? 'an authority without a name'].flat().join(', ');
}

/** `12 days`, `5 hours`. */
function remaining(ms: number): string {
  if (ms >= 2 * DAY_MS) return count(Math.floor(ms / DAY_MS), 'day');
  return ms < HOUR_MS ? 'less than an hour' : count(Math.floor(ms / HOUR_MS), 'hour');
}

/** As in the logs: UTC. */
function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
