/** Who is let in: WebSockets in all and for each client, counted from the moment their handshake has begun. */
import { isIPv6, type Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { AdmissionRefusal } from './upgrade.ts';

/** `Infinity`: no limit. */
export interface AdmissionLimits {
  readonly connections: number;
  readonly connectionsPerIp: number;
}

/** How long those who are sent away should wait, in seconds. */
const RETRY_AFTER = 5;
/** How many of the eight parts of an IPv6 address name the network of one subscriber. */
const NETWORK_PARTS = 4;

/** A handshake under way, or the answer to one that failed. */
interface Handshake {
  /** Who is charged for it; null as long as nobody is. */
  key: string | null;
  readonly onClose: () => void;
}

export class Admission {
  readonly #limits: () => AdmissionLimits;
  /** How many places each client has. */
  readonly #taken = new Map<string, number>();
  readonly #handshakes = new Map<Socket, Handshake>();
  #size = 0;
  #isClosed = false;

  /** @param limits asked each time, so that a reload counts at once */
  constructor(limits: () => AdmissionLimits) {
    this.#limits = limits;
  }

  /** Places that are taken. */
  get size(): number {
    return this.#size;
  }

  /** How many clients have places. */
  get clients(): number {
    return this.#taken.size;
  }

  /** A client asks for a WebSocket on this socket. It is looked after until it closes or is handed over. */
  begin(socket: Socket): void {
    const onClose = (): void => this.#socketClosed(socket);
    this.#handshakes.set(socket, { key: null, onClose });
    socket.on('close', onClose);
  }

  /** Takes a place for a socket that has begun, or says why there is none. */
  enter(client: string, socket: Socket): AdmissionRefusal | null {
    const { connections, connectionsPerIp } = this.#limits();
    const key = placeOf(client);
    const taken = this.#taken.get(key) ?? 0;
    if (this.#isClosed) return refuse(503, 'the proxy is stopping');
    if (this.#size >= connections) return refuse(503, `there are ${this.#size} WebSockets; see limits.connections`);
    if (taken >= connectionsPerIp) return refuse(429, `this client has ${taken}; see limits.connections_per_ip`);
    const handshake = this.#handshakes.get(socket);
    if (handshake !== undefined) {
      handshake.key = key;
      this.#taken.set(key, taken + 1);
      this.#size++;
    }
    return null;
  }

  /** The handshake has led to a tunnel; its end is told with `leave`. */
  handOver(socket: Socket): void {
    const handshake = this.#handshakes.get(socket);
    if (handshake !== undefined) socket.off('close', handshake.onClose);
    this.#handshakes.delete(socket);
  }

  /** A tunnel of this client is over. */
  leave(client: string): void {
    this.#giveBack(placeOf(client));
  }

  /** Nobody is let in any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Ends every handshake under way. */
  cut(): void {
    for (const socket of this.#handshakes.keys()) socket.destroy();
  }

  #socketClosed(socket: Socket): void {
    const key = this.#handshakes.get(socket)?.key ?? null;
    this.#handshakes.delete(socket);
    if (key !== null) this.#giveBack(key);
  }

  #giveBack(key: string): void {
    const taken = this.#taken.get(key) ?? 0;
    if (taken > 1) this.#taken.set(key, taken - 1);
    else this.#taken.delete(key);
    this.#size--;
  }
}

function refuse(status: 429 | 503, detail: string): AdmissionRefusal {
  return { status, detail, retryAfter: RETRY_AFTER };
}

/** An address, or the /64 of an IPv6 one: that is what one subscriber has. */
function placeOf(client: string): string {
  if (!isIPv6(client)) return client;
  const [address = ''] = client.split('%');
  return ipaddr.IPv6.parse(address).parts.slice(0, NETWORK_PARTS).join(':');
}
