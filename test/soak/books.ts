/** The books of a soak: every connection against its closing line, both ends against each other, the sums at the end. */
import type { Exposition } from '../support/exposition.ts';
import { Watch } from '../support/watch.ts';
import type { Fate, SoakClient } from './client.ts';
import type { Endpoint } from './endpoint.ts';
import type { SoakFront } from './fronts.ts';
import { NO_ANSWER, PlainBook } from './plain.ts';
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

/** How long an end may be on its way through a front, in ms: the upstream's may reach the proxy first. */
const PASSAGE_MS = 100;
/** Longer than the log waits before it tells what it has left out. */
const TOLD_MS = 30_000;

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
  readonly plain = new PlainBook();
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
    if (this.plain.note(line)) return;
    const number = numberIn(String(line['path']));
    if (line['msg'] === 'websocket opened') {
      this.logged.opened += 1;
      this.#openings.add(number);
    } else if (line['msg'] === 'websocket closed') {
      this.#closings.set(number, line);
      this.#addClosing(line);
    } else if (line['msg'] === 'upgrade failed') {
      this.#addFailures(String(line['reason']), 1 + Number(line['left_out'] ?? 0), line);
    } else if (line['msg'] === 'warnings left out') {
      for (const [kind, count] of Object.entries(line['kinds'] as Record<string, number>))
        if (kind.startsWith(NO_ANSWER)) this.plain.noteNoAnswer(count);
        else this.#addFailures(/^upgrade failed (\w+)/.exec(kind)?.[1] ?? kind, count, line);
    } else if (String(line['msg']).startsWith('stood still')) {
      this.#count('stood still');
    } else if (line['msg'] === 'configuration reloaded') {
      this.reloads += 1;
    } else if (line['level'] !== 'info' && !(line['msg'] === 'upstream cannot be reached' && this.#wasRestarted())) {
      this.fault(`unexpected ${JSON.stringify(line)}`);
    }
    this.#watch.changed();
  };

  #addFailures(reason: string, count: number, line: LogLine): void {
    this.logged.failed += count;
    this.#count(`upgrade failed: ${reason}`, count);
    if (!FAILURES.includes(reason) || this.disturbances.length === 0) this.fault(`unexpected ${JSON.stringify(line)}`);
  }

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

  settlePlain(seen: Map<number, number>): Promise<void> {
    return this.plain.settle(
      seen,
      (request) => this.#wasDisturbed(request),
      (text) => this.fault(text),
    );
  }

  /** @param open how many the clients hold */
  async compare(metrics: Exposition, open: number): Promise<void> {
    const sum = (name: string, label = '', wanted = ''): number =>
      metrics.samples
        .filter((sample) => sample.name === `ws_keepalive_${name}` && (label === '' || sample.labels[label] === wanted))
        .reduce((so, sample) => so + sample.value, 0);
    // Of warnings that were left out the log tells some seconds later.
    const areTold = (): boolean => this.logged.failed >= sum('upgrade_failures_total');
    await this.#watch.until(areTold, 'a line for each failure', TOLD_MS).catch(() => undefined);
    const { opened, closed, failed } = this.logged;
    this.#expect('connections_open', sum('connections_open'), open);
    this.#expect('opened = closed + open', opened, closed + open);
    this.#expect('connections_total', sum('connections_total'), opened);
    this.#expect('closes_total', sum('closes_total'), closed);
    this.#expect('upgrade_failures_total', sum('upgrade_failures_total'), failed);
    await this.plain.compare(metrics, (text) => this.fault(text));
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

  #count(cause: string, by = 1): void {
    this.causes.set(cause, (this.causes.get(cause) ?? 0) + by);
  }

  #wasDisturbed({ front, openedAt, endedAt }: Pick<SoakClient, 'front' | 'openedAt' | 'endedAt'>): boolean {
    return this.disturbances.some(
      (each) =>
        (each.front === 'all' || each.front === front) && openedAt < each.until && endedAt + PASSAGE_MS > each.from,
    );
  }

  /** The upstreams were, at some time. */
  #wasRestarted(): boolean {
    return this.disturbances.some(({ front }) => front === 'all');
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
