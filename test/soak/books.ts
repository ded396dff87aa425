/** The books of a soak: every connection against its closing line, both ends against each other, the sums at the end. */
import type { Exposition } from '../support/exposition.ts';
import { Watch } from '../support/watch.ts';
import type { Fate, SoakClient } from './client.ts';
import type { Endpoint } from './endpoint.ts';
import type { SoakFront } from './fronts.ts';
import type { LogLine } from './proxy.ts';
import { numberIn } from './upstream.ts';

/** A time in which connections of a front, or all, may be lost. */
export interface Disturbance {
  readonly front: SoakFront['name'] | 'all';
  readonly from: number;
  until: number;
}

/** Causes that fit how a connection was meant to end, each with who is to blame for it. */
const FITTING: Readonly<Record<Fate, readonly string[]>> = {
  orderly: ['close_frame client', 'close_frame upstream', 'reserved_code upstream'],
  killed: ['abrupt_end client', 'front_reload front', 'front_idle_cut front'],
  'ended by the upstream': ['abrupt_end upstream'],
  dead: ['pong_timeout client'],
};
/** Those of a connection whose front or upstream was restarted under it. */
const DISTURBED = Object.values(FITTING).flat();
/** Handshakes that came while the upstream was down. */
const FAILURES = ['upstream_unreachable', 'upstream_invalid', 'client_gone'];
const MAX_FAULTS = 20;

interface Sums {
  opened: number;
  closed: number;
  failed: number;
  bytesUp: number;
  bytesDown: number;
  framesUp: number;
  framesDown: number;
  pings: number;
  pongs: number;
}

/** What went in and came out of connections that were closed in order, as counted outside. */
export interface Balance {
  connections: number;
  bytesIn: number;
  bytesOut: number;
  /** Bytes of Pings that came out, and of Pongs that went in and came out nowhere. */
  pings: number;
  pongs: number;
}

export class Books {
  readonly logged: Sums = {
    opened: 0,
    closed: 0,
    failed: 0,
    bytesUp: 0,
    bytesDown: 0,
    framesUp: 0,
    framesDown: 0,
    pings: 0,
    pongs: 0,
  };
  readonly balance: Balance = { connections: 0, bytesIn: 0, bytesOut: 0, pings: 0, pongs: 0 };
  readonly causes = new Map<string, number>();
  readonly disturbances: Disturbance[] = [];
  reloads = 0;
  readonly #faults: string[] = [];
  /** Closing lines of clients that are not settled. */
  readonly #closings = new Map<number, LogLine>();
  readonly #openings = new Set<number>();
  readonly #watch = new Watch();

  get faults(): readonly string[] {
    return this.#faults;
  }

  fault(text: string): void {
    if (this.#faults.length < MAX_FAULTS) this.#faults.push(text);
  }

  readonly onLine = (line: LogLine): void => {
    const number = numberIn(String(line['path']));
    if (line['msg'] === 'websocket opened') {
      this.logged.opened += 1;
      this.#openings.add(number);
    } else if (line['msg'] === 'websocket closed') {
      this.#closings.set(number, line);
      this.#addClosing(line);
    } else if (line['msg'] === 'upgrade failed') {
      this.logged.failed += 1;
      this.#count(`upgrade failed: ${String(line['reason'])}`);
      if (!FAILURES.includes(String(line['reason'])) || this.disturbances.length === 0)
        this.fault(`unexpected ${JSON.stringify(line)}`);
    } else if (line['msg'] === 'configuration reloaded') {
      this.reloads += 1;
    } else if (line['level'] !== 'info') {
      this.fault(`unexpected ${JSON.stringify(line)}`);
    }
    this.#watch.changed();
  };

  /** Every one of these has its closing line, if the proxy ever opened it. */
  async untilClosed(clients: readonly SoakClient[], patience: number): Promise<void> {
    const missing = (): SoakClient[] =>
      clients.filter(({ number, isOpen }) => (isOpen || this.#openings.has(number)) && !this.#closings.has(number));
    await this.#watch
      .until(() => missing().length === 0, '', patience)
      .catch(() => {
        const some = missing().map(({ number, fate, front }) => `${number} (${fate}, ${front})`);
        this.fault(`${some.length} connections have no closing line: ${some.slice(0, 5).join(', ')}`);
      });
  }

  async untilReloaded(count: number): Promise<void> {
    await this.#watch.until(() => this.reloads >= count, `${count} reloads`);
  }

  /** Holds a connection that is over against its line, and forgets it. */
  settle(client: SoakClient, upstream: Endpoint | undefined): void {
    const line = this.#closings.get(client.number);
    this.#closings.delete(client.number);
    this.#openings.delete(client.number);
    for (const fault of client.faults) this.fault(fault);
    const isDisturbed = this.#wasDisturbed(client);
    if (!client.isOpen && !isDisturbed) this.fault(`client ${client.number} was not upgraded by ${client.front}`);
    if (line === undefined) return;
    const cause = `${String(line['cause'])} ${String(line['initiator'])}`;
    if (!(isDisturbed ? DISTURBED : FITTING[client.fate]).includes(cause))
      this.fault(`client ${client.number} through ${client.front} (${client.fate}): ${JSON.stringify(line)}`);
    if (client.isOpen && upstream !== undefined) this.#balance(client, upstream, line);
  }

  /** @param open how many the clients hold */
  compare(metrics: Exposition, open: number): void {
    const { opened, closed, failed } = this.logged;
    const value = (name: string): number => metrics.value(`ws_keepalive_${name}`) ?? 0;
    const sum = (name: string, label = '', wanted = ''): number =>
      metrics.samples
        .filter((sample) => sample.name === `ws_keepalive_${name}` && (label === '' || sample.labels[label] === wanted))
        .reduce((so, sample) => so + sample.value, 0);
    this.#expect('connections_open', value('connections_open'), open);
    this.#expect('opened = closed + open', opened, closed + open);
    this.#expect('connections_total', value('connections_total'), opened);
    this.#expect('closes_total', sum('closes_total'), closed);
    this.#expect('upgrade_failures_total', sum('upgrade_failures_total'), failed);
    if (open > 0) return;
    const { logged } = this;
    this.#expect('bytes up', sum('bytes_total', 'direction', 'up'), logged.bytesUp);
    this.#expect('bytes down', sum('bytes_total', 'direction', 'down'), logged.bytesDown);
    this.#expect('frames up', sum('frames_total', 'direction', 'up'), logged.framesUp);
    this.#expect('frames down', sum('frames_total', 'direction', 'down'), logged.framesDown);
    this.#expect('Pings', sum('pings_sent_total', 'side', 'client'), logged.pings);
    this.#expect('Pongs', sum('pongs_received_total', 'side', 'client'), logged.pongs);
  }

  #expect(what: string, is: number, should: number): void {
    if (is !== should) this.fault(`${what}: ${is} instead of ${should}`);
  }

  #addClosing(line: LogLine): void {
    const { logged } = this;
    logged.closed += 1;
    logged.bytesUp += Number(line['bytes_up']);
    logged.bytesDown += Number(line['bytes_down']);
    logged.framesUp += Number(line['frames_up']);
    logged.framesDown += Number(line['frames_down']);
    logged.pings += Number(line['pings']);
    logged.pongs += Number(line['pongs']);
    this.#count(`${String(line['cause'])}, by the ${String(line['initiator'])}`);
  }

  #count(cause: string): void {
    this.causes.set(cause, (this.causes.get(cause) ?? 0) + 1);
  }

  #wasDisturbed({ front, openedAt, endedAt }: SoakClient): boolean {
    return this.disturbances.some(
      (each) => (each.front === 'all' || each.front === front) && openedAt < each.until && endedAt > each.from,
    );
  }

  /** Both ends and the log. What had not arrived when TCP ended is nowhere, so only a closing handshake makes them even. */
  #balance({ number, end }: SoakClient, upstream: Endpoint, line: LogLine): void {
    const sentUp = end.sent - end.pongs.bytes;
    const sentDown = upstream.sent - upstream.pongs.bytes;
    const gotUp = upstream.received - upstream.pings.bytes;
    const gotDown = end.received - end.pings.bytes;
    const isOrderly = [end, upstream].every(({ closeSent, closeReceived }) => closeSent && closeReceived);
    if (!isOrderly) {
      const isSane = gotUp <= Number(line['bytes_up']) && Number(line['bytes_up']) <= end.sent;
      if (!isSane) this.fault(`client ${number}: ${end.sent} sent, ${gotUp} arrived: ${JSON.stringify(line)}`);
      return;
    }
    const figures = { bytes_up: sentUp, bytes_down: sentDown, pings: end.pings.count, pongs: end.pongs.count };
    for (const [key, figure] of Object.entries(figures)) this.#expect(`${key} of ${number}`, Number(line[key]), figure);
    this.#expect(`bytes of ${number} that reached the upstream`, gotUp, sentUp);
    this.#expect(`bytes of ${number} that reached the client`, gotDown, sentDown);
    this.balance.connections += 1;
    this.balance.bytesIn += end.sent + upstream.sent;
    this.balance.bytesOut += end.received + upstream.received;
    this.balance.pings += end.pings.bytes + upstream.pings.bytes;
    this.balance.pongs += end.pongs.bytes + upstream.pongs.bytes;
  }
}
