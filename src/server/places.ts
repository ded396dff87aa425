/** Counts what is limited: in all, and for each client. */
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** `Retry-After` of a refusal by a limit, in seconds. */
export const RETRY_AFTER = 5;

/** How many of the eight parts of an IPv6 address name the network of one subscriber. */
const NETWORK_PARTS = 4;

export class Places {
  size = 0;
  readonly #byClient = new Map<string, number>();

  /** How many clients have places. */
  get clients(): number {
    return this.#byClient.size;
  }

  /** @param network see {@link networkOf}, here and below */
  of(network: string): number {
    return this.#byClient.get(network) ?? 0;
  }

  take(network: string): void {
    this.#byClient.set(network, this.of(network) + 1);
    this.size++;
  }

  giveBack(network: string): void {
    const taken = this.of(network);
    if (taken > 1) this.#byClient.set(network, taken - 1);
    else this.#byClient.delete(network);
    this.size--;
  }
}

/** An address, or the /64 of an IPv6 one: that is what one subscriber has. */
export function networkOf(client: string): string {
  if (!isIPv6(client)) return client;
  const [address = ''] = client.split('%');
  return ipaddr.IPv6.parse(address).parts.slice(0, NETWORK_PARTS).join(':');
}
