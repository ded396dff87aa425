/** Who is let in: WebSockets in all and for each client, counted from the moment their handshake has begun. */
import type { Socket } from 'node:net';
import type { Route } from '../core/settings.ts';
import type { AdmissionLimits } from '../server/descriptors.ts';
import { Slots } from '../runtime/slots.ts';
import { networkOf, Places, RETRY_AFTER } from '../server/places.ts';

/** Why the limits do not let a client in. */
export interface AdmissionRefusal {
  readonly status: number;
  readonly detail: string;
  /** Seconds. */
  readonly retryAfter: number;
}

/** What a place is charged to. */
interface Charge {
  /** See {@link networkOf}. */
  readonly network: string;
  readonly route: string;
}

/** A handshake under way, or the answer to one that failed. */
interface Handshake {
  readonly socket: Socket;
  /** Its place among all of them. */
  slot: number;
  /** Null as long as it has no place. */
  charge: Charge | null;
  readonly onClose: () => void;
}

/** On the socket, which is all that those who ask have. */
const kHandshake = Symbol('handshake');

type AskingSocket = Socket & { [kHandshake]?: Handshake | undefined };

export class Admission {
  readonly #limits: () => AdmissionLimits;
  readonly #all = new Places();
  /** By name. A route has an entry while it has places. */
  readonly #routes = new Map<string, Places>();
  readonly #handshakes = new Slots<Handshake>();
  #isClosed = false;

  /** @param limits asked each time, so that a reload counts at once */
  constructor(limits: () => AdmissionLimits) {
    this.#limits = limits;
  }

  /** Places that are taken. */
  get size(): number {
    return this.#all.size;
  }

  /** How many clients have places. */
  get clients(): number {
    return this.#all.clients;
  }

  /** A client asks for a WebSocket on this socket. It is looked after until it closes or is handed over. */
  begin(socket: Socket): void {
    // A socket that is gone already may have told of its end, and would keep its place for ever.
    if (socket.destroyed) return;
    const handshake: Handshake = { socket, slot: -1, charge: null, onClose: () => this.#socketClosed(handshake) };
    handshake.slot = this.#handshakes.add(handshake);
    (socket as AskingSocket)[kHandshake] = handshake;
    socket.on('close', handshake.onClose);
  }

  /** Takes a place for a socket that has begun, or says why there is none. */
  enter(client: string, socket: Socket, route: Pick<Route, 'name' | 'limits'>): AdmissionRefusal | null {
    const charge = { network: networkOf(client), route: route.name };
    const refusal = this.#refusal(charge, route.limits);
    if (refusal !== null) return refusal;
    const handshake = (socket as AskingSocket)[kHandshake];
    if (handshake !== undefined) {
      handshake.charge = charge;
      this.#take(charge);
    }
    return null;
  }

  #refusal({ network, route }: Charge, own: AdmissionLimits): AdmissionRefusal | null {
    const { connections, connectionsPerIp } = this.#limits();
    const [all, here] = [this.#all, this.#routes.get(route)];
    if (this.#isClosed) return refuse(503, 'the proxy is stopping');
    if (all.size >= connections) return refuse(503, `there are ${all.size} WebSockets; see limits.connections`);
    if (all.of(network) >= connectionsPerIp)
      return refuse(429, `this client has ${all.of(network)}; see limits.connections_per_ip`);
    if (here === undefined) return null;
    if (here.size >= own.connections)
      return refuse(503, `route ${route} has ${here.size} WebSockets; see limits.connections of the route`);
    if (here.of(network) >= own.connectionsPerIp)
      return refuse(429, `this client has ${here.of(network)} on route ${route}; see its limits.connections_per_ip`);
    return null;
  }

  /** The handshake has led to a tunnel; its end is told with `leave`. */
  handOver(socket: Socket): void {
    const handshake = (socket as AskingSocket)[kHandshake];
    if (handshake === undefined) return;
    socket.off('close', handshake.onClose);
    this.#forget(handshake);
  }

  /** A tunnel of this client is over. */
  leave(client: string, route: string): void {
    this.#giveBack({ network: networkOf(client), route });
  }

  /** Nobody is let in any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Ends every handshake under way. */
  cut(): void {
    for (const { socket } of this.#handshakes) socket.destroy();
  }

  #socketClosed(handshake: Handshake): void {
    this.#forget(handshake);
    if (handshake.charge !== null) this.#giveBack(handshake.charge);
  }

  #forget({ socket, slot }: Handshake): void {
    (socket as AskingSocket)[kHandshake] = undefined;
    this.#handshakes.remove(slot);
  }

  #take({ network, route }: Charge): void {
    const here = this.#routes.get(route) ?? new Places();
    this.#routes.set(route, here);
    this.#all.take(network);
    here.take(network);
  }

  #giveBack({ network, route }: Charge): void {
    const here = this.#routes.get(route);
    this.#all.giveBack(network);
    here?.giveBack(network);
    if (here?.size === 0) this.#routes.delete(route);
  }
}

function refuse(status: 429 | 503, detail: string): AdmissionRefusal {
  return { status, detail, retryAfter: RETRY_AFTER };
}
