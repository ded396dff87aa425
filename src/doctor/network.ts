/** Below HTTP: does the name have an address, does somebody answer there, and can the certificate be trusted? */
import { lookup } from 'node:dns/promises';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { connect } from '../runtime/connect.ts';
import { judgeCertificate } from './certificate.ts';
import { bad, type Finding, ok } from './findings.ts';
import { connectFault, isTlsFault, stalledTls, tlsFault } from './network-words.ts';

const CONNECT_TIMEOUT_MS = 10_000;

export interface Endpoint {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
}

type Fault = NodeJS.ErrnoException;

export function endpointOf(url: URL): Endpoint {
  const isSecure = url.protocol === 'wss:';
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isSecure ? 443 : 80) : Number(url.port),
    isSecure,
  };
}

export async function checkName({ host }: Endpoint): Promise<Finding> {
  if (isIP(host) !== 0)
    return ok('name', `${host} is an address, so there is no name to resolve`, { addresses: [host] });
  try {
    const addresses = (await lookup(host, { all: true })).map(({ address }) => address);
    return ok('name', `${host} is ${addresses.join(', ')}`, { addresses });
  } catch (error) {
    const { code = '' } = error as Fault;
    const [text, advice] =
      code === 'EAI_AGAIN'
        ? ['the name server does not answer', 'Check the network of this machine, then try again.']
        : [`${host} has no address`, 'Check the spelling, and the DNS record (A or AAAA) of this name.'];
    return bad('name', text, advice, { code });
  }
}

/** TCP alone, for `ws:`. */
export async function checkTcp(endpoint: Endpoint, signal: AbortSignal): Promise<Finding> {
  const started = performance.now();
  const reached = await reach(endpoint, signal);
  if ('error' in reached) return cannotConnect(reached.error, endpoint);
  const { socket } = reached;
  const connectMs = Math.round(performance.now() - started);
  const address = socket.remoteAddress ?? '';
  socket.destroy();
  const where = isIP(endpoint.host) === 0 ? ` to ${address}` : '';
  return ok('tcp', `connected${where} in ${connectMs} ms; not encrypted`, { connectMs, address });
}

/** TCP and TLS, for `wss:`. @param insecure a certificate that cannot be trusted is only a warning */
export async function checkTls(endpoint: Endpoint, insecure: boolean, signal: AbortSignal): Promise<Finding> {
  // It is judged below, so that it can be said what is wrong with it.
  const reached = await reach(endpoint, signal, { rejectUnauthorized: false });
  if ('error' in reached) return explainTls(reached, endpoint, signal);
  const socket = reached.socket as TLSSocket;
  // The certificate is gone with its socket.
  const finding = judgeCertificate(socket, endpoint.host, insecure);
  socket.destroy();
  return finding;
}

function cannotConnect(error: Fault, endpoint: Endpoint): Finding {
  return bad('tcp', ...connectFault(error, endpoint), { code: error.code ?? '' });
}

async function explainTls({ error, isConnected }: Missed, endpoint: Endpoint, signal: AbortSignal): Promise<Finding> {
  const code = error.code ?? '';
  if (!isConnected) return cannotConnect(error, endpoint);
  if (!isTlsFault(error)) return bad('tls', ...stalledTls(error, endpoint), { code });
  if (code.includes('NO_APPLICATION_PROTOCOL') && (await speaksHttp2(endpoint, signal))) return http2Only();
  return bad('tls', ...tlsFault(error), { code });
}

function http2Only(): Finding {
  const advice =
    'Browsers open WebSockets with HTTP/1.1: switch it on beside HTTP/2 (ALPN http/1.1) in the server that ends TLS.';
  return bad('tls', 'the server speaks HTTP/2 only', advice, { alpn: 'h2' });
}

async function speaksHttp2(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  const reached = await reach(endpoint, signal, { rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  if ('error' in reached) return false;
  const { alpnProtocol } = reached.socket as TLSSocket;
  reached.socket.destroy();
  return alpnProtocol === 'h2';
}

interface Missed {
  readonly error: Fault;
  /** TCP was there, and TLS failed. */
  readonly isConnected: boolean;
}

type Reached = { readonly socket: Socket } | Missed;

/** Never rejects. When the signal ends it, the error is an AbortError. */
function reach(endpoint: Endpoint, signal: AbortSignal, tls: ConnectionOptions = {}): Promise<Reached> {
  return new Promise((resolve) => {
    let isConnected = false;
    const settle = (reached: Reached): void => {
      signal.removeEventListener('abort', onAbort);
      resolve(reached);
    };
    const onAbort = (): void => {
      cancel();
      settle({ error: signal.reason as Fault, isConnected });
    };
    const cancel = connectTo(endpoint, {
      timeoutMs: CONNECT_TIMEOUT_MS,
      tls,
      onTcp: () => (isConnected = true),
      onConnect: (socket) => settle({ socket: socket.on('error', () => {}) }),
      onError: (error) => settle({ error, isConnected }),
    });
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

export interface ConnectToOptions {
  readonly timeoutMs: number;
  readonly tls: ConnectionOptions;
  /** TCP is there, and TLS begins. */
  readonly onTcp?: () => void;
  readonly onConnect: (socket: Socket) => void;
  readonly onError: (error: Fault) => void;
}

/** To the address that answers first, with TLS where the endpoint has it. @returns what gives it up */
export function connectTo({ host, port, isSecure }: Endpoint, options: ConnectToOptions): () => void {
  const { tls, onTcp = () => {}, ...rest } = options;
  const settings: ConnectionOptions = {
    host,
    // RFC 6066 3: an address is no server name.
    servername: isIP(host) === 0 ? host : '',
    // As browsers do for WebSockets: with anything else on offer a server may choose HTTP/2.
    ALPNProtocols: ['http/1.1'],
    ...tls,
  };
  const secure = (socket: Socket): TLSSocket => {
    onTcp();
    return connectTls({ ...settings, socket });
  };
  return connect({ kind: 'tcp', host, port }, { ...rest, ...(isSecure ? { secure } : {}) });
}
