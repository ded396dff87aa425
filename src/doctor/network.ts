/** Below HTTP: does the name have an address, does somebody answer there, and can the certificate be trusted? */
import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import { bad, count, type Finding, ok, warn } from './findings.ts';
import { certificateFault, connectFault, isTlsFault, tlsFault } from './network-words.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const DAY_MS = 86_400_000;
/** Certificates are renewed a month before their end, as a rule: with less left than this the renewal has failed. */
const EXPIRY_WARNING_DAYS = 14;

export interface Endpoint {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
}

export function endpointOf(url: URL): Endpoint {
  const isSecure = url.protocol === 'wss:';
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    isSecure,
  };
}

export async function checkName({ host }: Endpoint): Promise<Finding> {
  if (isIP(host) !== 0) return ok('name', `${host} is an address, no name to resolve`, { addresses: [host] });
  try {
    const addresses = (await lookup(host, { all: true })).map(({ address }) => address);
    return ok('name', `${host} is ${addresses.join(', ')}`, { addresses });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const [text, advice] =
      code === 'EAI_AGAIN'
        ? ['the name server does not answer', 'Check the network of this machine, then try again.']
        : [`${host} has no address`, 'Check the spelling, and the DNS record (A or AAAA) of this name.'];
    return bad('name', text, advice, { code });
  }
}

/** TCP alone, for `ws:`. */
export async function checkTcp(endpoint: Endpoint): Promise<Finding> {
  const { host, port } = endpoint;
  const started = performance.now();
  const socket = connect({ host, port });
  const error = await settled(socket, 'connect');
  socket.destroy();
  if (error !== null) return bad('tcp', ...connectFault(error, endpoint), { code: error.code ?? '' });
  const connectMs = Math.round(performance.now() - started);
  return ok('tcp', `connected in ${connectMs} ms; not encrypted`, { connectMs });
}

/** TCP and TLS, for `wss:`. @param insecure a certificate that cannot be trusted is a warning alone */
export async function checkTls(endpoint: Endpoint, insecure: boolean): Promise<Finding> {
  const { socket, error } = await handshake(endpoint, 'http/1.1');
  // The certificate is gone with its socket.
  const finding = error === null ? judgeCertificate(socket, endpoint, insecure) : await explainTls(error, endpoint);
  socket.destroy();
  return finding;
}

async function explainTls(error: Fault, endpoint: Endpoint): Promise<Finding> {
  const code = error.code ?? '';
  if (!isTlsFault(error)) return bad('tcp', ...connectFault(error, endpoint), { code });
  if (code.includes('NO_APPLICATION_PROTOCOL') && (await speaksHttp2(endpoint))) return http2Only();
  return bad('tls', ...tlsFault(error), { code });
}

function http2Only(): Finding {
  const advice =
    'Browsers open WebSockets with HTTP/1.1: switch it on beside HTTP/2 (ALPN http/1.1) in the server that ends TLS.';
  return bad('tls', 'the server speaks HTTP/2 only', advice, { alpn: 'h2' });
}

async function speaksHttp2(endpoint: Endpoint): Promise<boolean> {
  const { socket, error } = await handshake(endpoint, 'h2');
  const speaks = error === null && socket.alpnProtocol === 'h2';
  socket.destroy();
  return speaks;
}

async function handshake(endpoint: Endpoint, protocol: string): Promise<{ socket: TLSSocket; error: Fault | null }> {
  const { host, port } = endpoint;
  const socket = connectTls({
    host,
    port,
    servername: isIP(host) === 0 ? host : '',
    // As browsers do for WebSockets.
    ALPNProtocols: [protocol],
    // It is judged below, so that it can be said what is wrong with it.
    rejectUnauthorized: false,
  });
  return { socket, error: await settled(socket, 'secureConnect') };
}

type Fault = NodeJS.ErrnoException;

/** Null once `event` has come. */
function settled(socket: Socket, event: string): Promise<Fault | null> {
  return new Promise((resolve) => {
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      resolve(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
    });
    // An end in the middle of a handshake.
    socket.on('close', () => resolve(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
    socket.on('error', (error: Fault) => resolve(error));
    socket.once(event, () => resolve(null));
  });
}

function judgeCertificate(socket: TLSSocket, { host }: Endpoint, insecure: boolean): Finding {
  const certificate = socket.getPeerCertificate();
  const days = Math.floor((Date.parse(certificate.valid_to) - Date.now()) / DAY_MS);
  const facts = { version: socket.getProtocol() ?? '', validTo: certificate.valid_to ?? '', daysLeft: days };
  if (!socket.authorized) {
    const code = String(socket.authorizationError);
    const [text, advice] = certificateFault(code, host, namesOf(certificate));
    if (insecure) return warn('tls', `${text} (went on: --insecure)`, advice, { ...facts, code });
    return bad('tls', text, `${advice}\nNothing secret was sent. To go on all the same: --insecure`, {
      ...facts,
      code,
    });
  }
  if (days >= EXPIRY_WARNING_DAYS) {
    return ok('tls', `${facts.version}, certificate valid for ${count(days, 'more day')}`, facts);
  }
  const advice = 'Renew it; if that should happen by itself, see why it did not.';
  return warn('tls', `the certificate ends in ${count(days, 'day')}`, advice, facts);
}

/** The names a certificate is for, at most three. */
function namesOf({ subjectaltname, subject }: PeerCertificate): string[] {
  const names = (subjectaltname ?? '').split(', ').map((name) => name.replace(/^(?:DNS|IP Address):/, ''));
  return [...names, ...[subject?.CN ?? []].flat()].filter((name) => name !== '').slice(0, 3);
}
