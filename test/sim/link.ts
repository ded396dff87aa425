import type { Loop } from './loop.ts';
import type { Random } from './random.ts';
import type { SimSocket } from './sim-socket.ts';

/** The far end of a link. */
export interface FarEnd {
  /** Bytes have arrived there. They take room until `consumed` is called. */
  arrive(bytes: Uint8Array): void;
  arriveEnd(): void;
  arriveReset(): void;
}

export interface LinkOptions {
  /** One-way delay, in ms. */
  readonly delay: number;
  /** Bytes that the kernels and fronts on the way to the peer hold. */
  readonly capacity: number;
  /** What stands in front of the peer cuts after that much silence, in ms; `Infinity`: never. */
  readonly idleLimit: number;
}

/** How long a kernel sends again what nobody acknowledges, in ms: Linux with `net.ipv4.tcp_retries2` = 15. */
const RETRIES = 924_600;
/** Retransmission after the machine has slept takes up to this long, in ms. */
const RETRANSMISSION = 2500;

/**
 * A TCP connection between a socket of the proxy and a peer: kernels, a network, and something with an idle timeout that stands
 * next to the proxy. Bytes keep their order.
 */
export class Link {
  /** Nothing passes any more and nobody is told: a cable was pulled. */
  vanished = false;
  /** The peer's socket is closed: what is sent there is answered with a reset. */
  refuses = false;
  /** The proxy's kernel has sent again for long enough, and gave the peer up. */
  gaveUp = false;
  socket!: SimSocket;
  peer!: FarEnd;

  readonly #loop: Loop;
  readonly #random: Random;
  readonly #options: LinkOptions;
  readonly #onCut: () => void;
  /** Bytes on the way to the peer, or not yet read by it. */
  #used = 0;
  /** Arrivals keep their order. */
  #downTail = 0;
  #upTail = 0;
  readonly #arrivals: (() => void)[] = [];
  /** Bytes sent by the peer and not yet read by the proxy. */
  backlog = 0;
  #touchedAt: number;
  #isOver = false;

  constructor(loop: Loop, random: Random, options: LinkOptions, onCut: () => void) {
    this.#loop = loop;
    this.#random = random;
    this.#options = options;
    this.#onCut = onCut;
    this.#touchedAt = loop.time;
    if (options.idleLimit !== Number.POSITIVE_INFINITY) loop.plan(options.idleLimit, this.#watchIdle);
  }

  /** How long nothing has passed the front, in ms. */
  get idleFor(): number {
    return this.#loop.time - this.#touchedAt;
  }

  /** Bytes that the kernel takes from the proxy. */
  get room(): number {
    return Math.max(this.#options.capacity - this.#used, 0);
  }

  /** Bytes that the peer has not read. */
  get used(): number {
    return this.#used;
  }

  takeFromProxy(bytes: Uint8Array): void {
    this.#used += bytes.length;
    this.#touch();
    if (this.vanished) this.#loop.plan(RETRIES, this.#giveUp);
    this.#planDown(() => {
      if (this.refuses) this.sendReset();
      else this.peer.arrive(bytes);
    });
  }

  /** The peer has read so much. */
  consumed(count: number): void {
    this.#used -= count;
    this.#touch();
    this.socket.wakeIfWriting();
  }

  endFromProxy(): void {
    this.#planDown(() => {
      if (!this.refuses) this.peer.arriveEnd();
    });
  }

  leftByProxy(how: 'destroy' | 'reset'): void {
    this.#isOver = true;
    const isHarsh = how === 'reset' || this.socket.received.length > 0;
    this.#planDown(() => {
      if (isHarsh) this.peer.arriveReset();
      else if (!this.refuses) this.peer.arriveEnd();
    });
  }

  /** The proxy has read. */
  readByProxy(): void {
    this.backlog = this.socket.received.length;
  }

  /** The peer sends. @param wait ms before it does, behind what it sent before */
  send(bytes: Uint8Array, wait: number): void {
    this.#planUp(wait, () => {
      this.socket.received.add(bytes);
      this.backlog = this.socket.received.length;
    });
  }

  sendEnd(): void {
    this.#planUp(0, () => {
      this.socket.receivedEnd = true;
    });
  }

  /** A reset overtakes nothing that was sent before it. */
  sendReset(): void {
    this.refuses = true;
    this.#planUp(0, () => {
      this.socket.receivedReset = true;
      this.socket.wakeIfWriting();
    });
  }

  /** The peer's end has no process any more; the front tells both sides. */
  cut(): void {
    this.refuses = true;
    this.socket.receivedEnd = true;
    this.socket.wakeIfReadable();
    this.#loop.plan(this.#options.delay, () => this.peer.arriveEnd());
    this.#onCut();
  }

  /** Nobody has acknowledged anything since. */
  readonly #giveUp = (): void => {
    if (this.#isOver || this.gaveUp) return;
    this.gaveUp = true;
    this.socket.receivedReset = true;
    this.socket.wakeIfReadable();
    this.socket.wakeIfWriting();
  };

  #touch(): void {
    this.#touchedAt = this.#loop.time;
  }

  #planDown(arrive: () => void): void {
    this.#downTail = Math.max(this.#downTail, this.#loop.time + this.#jittered());
    this.#loop.plan(this.#downTail - this.#loop.time, () => {
      if (!this.vanished) arrive();
    });
  }

  #planUp(wait: number, arrive: () => void): void {
    this.#upTail = Math.max(this.#upTail, this.#loop.time + this.#jittered()) + wait;
    this.#arrivals.push(arrive);
    this.#loop.plan(this.#upTail - this.#loop.time, this.#arriveUp);
  }

  /** Whatever was sent first arrives first, also when it had to be sent again. */
  readonly #arriveUp = (): void => {
    const { suspendedUntil, time } = this.#loop;
    if (this.vanished) return;
    if (suspendedUntil > time) {
      this.#loop.plan(suspendedUntil - time + this.#random.between(0, RETRANSMISSION), this.#arriveUp);
      return;
    }
    const arrive = this.#arrivals.shift() as () => void;
    if (this.socket.destroyed) {
      this.#loop.plan(this.#options.delay, () => this.peer.arriveReset());
    } else {
      arrive();
      this.#touch();
      this.socket.wakeIfReadable();
    }
  };

  #jittered(): number {
    return this.#options.delay * this.#random.between(0.5, 1);
  }

  readonly #watchIdle = (): void => {
    if (this.#isOver || this.refuses || this.vanished) return;
    const left = this.#options.idleLimit - this.idleFor;
    if (left > 0.001) this.#loop.plan(left, this.#watchIdle);
    else this.cut();
  };
}
