/** What is remembered for the status page: counts of each route and minute, the last ends, the last Pongs of open connections. */
import type {
  CloseCause,
  CloseReport,
  ConnectionInfo,
  Initiator,
  Observer,
  Side,
  TrafficObserver,
  UpgradeFailure,
  UpgradeFailureReason,
} from '../../core/events.ts';
import { printable, redactText } from '../../http/redact.ts';
import { type Judgement, verdictOfFailure } from '../../observe/verdict.ts';
import { EndGroups } from './end-groups.ts';
import { type Hop, Minutes } from './minutes.ts';

/** Pongs remembered of each connection. */
const MAX_PONGS = 24;
/** Longest text from outside in a field, in characters. */
const TEXT_LENGTH = 300;

interface EndRecord {
  /** ms since 1970. */
  readonly at: number;
  readonly route: string;
  readonly client: string;
  readonly path: string;
  readonly hop: Hop;
  /** Whether somebody should look at it. */
  readonly trouble: boolean;
  readonly verdict: string;
}

export interface ClosedRecord extends EndRecord {
  readonly kind: 'closed';
  readonly id: string;
  readonly initiator: Initiator;
  readonly cause: CloseCause;
  readonly code: number | null;
  readonly reason: string;
  readonly durationMs: number;
  readonly idleMs: number;
}

/** An upgrade that became no WebSocket. */
export interface FailedRecord extends EndRecord {
  readonly kind: 'failed';
  readonly cause: UpgradeFailureReason;
  readonly status: number;
  readonly detail: string;
}

export type End = ClosedRecord | FailedRecord;

/** What happened on a route since the start. */
export interface RouteCounts {
  opened: number;
  open: number;
  cutsPrevented: number;
  readonly closes: Partial<Record<CloseCause, number>>;
  readonly failures: Partial<Record<UpgradeFailureReason, number>>;
}

/** Answered Pings, oldest first: when each was sent (ms, monotonic) and its round trip (ms). */
export type PongHistory = readonly (readonly [sentAt: number, rttMs: number])[];

interface Pongs {
  /** How many there were, forgotten ones included. */
  count: number;
  readonly last: (readonly [number, number])[];
}

export interface HistoryOptions {
  /** ms, monotonic. */
  readonly now: () => number;
  /** ms since 1970. */
  readonly wallClock: () => number;
}

export class History {
  readonly routes = new Map<string, RouteCounts>();
  readonly minutes: Minutes;
  /** Ends and refusals, the alike ones together. */
  readonly ends = new EndGroups<End>(likeness);

  readonly #options: HistoryOptions;
  readonly #pongs = new Map<string, Pongs>();

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.minutes = new Minutes(options.wallClock);
  }

  /** How many Pings of a connection were answered, and the newest answers. */
  pongsOf(id: string): { readonly count: number; readonly last: PongHistory } {
    return this.#pongs.get(id) ?? { count: 0, last: [] };
  }

  /** An observer that takes notes, and passes on everything. */
  noting<T extends Observer & TrafficObserver>(next: T): T {
    return {
      ...next,
      opened: (info: ConnectionInfo) => {
        this.#opened(info);
        next.opened(info);
      },
      closed: (report: CloseReport) => {
        this.#ended(report);
        next.closed(report);
      },
      upgradeFailed: (failure: UpgradeFailure) => {
        this.#failed(failure);
        next.upgradeFailed(failure);
      },
      ponged: (info: ConnectionInfo, side: Side, rttMs: number) => {
        if (side === 'client') this.#ponged(info, rttMs);
        next.ponged(info, side, rttMs);
      },
      bridged: (info: ConnectionInfo, gapMs: number) => {
        // Who has no front in between has nobody who would have cut.
        if (info.frontIsKnown) this.countsOf(info.route).cutsPrevented += 1;
        next.bridged(info, gapMs);
      },
    };
  }

  /** An end was judged, which may be a second after it came. */
  closed(report: CloseReport & Judgement): void {
    const { route, client, path, id, initiator, cause, code, durationMs, idleMs, verdict } = report;
    const { closes } = this.countsOf(route);
    closes[cause] = (closes[cause] ?? 0) + 1;
    const hop = initiator === 'client' ? 'browser' : initiator;
    const at = this.#options.wallClock() - (this.#options.now() - report.endedAt);
    const trouble = isTrouble(cause, code);
    const reason = shown(report.reason);
    this.minutes.ended(hop, trouble);
    this.ends.add({
      kind: 'closed',
      at: Math.round(at),
      route,
      client,
      path,
      hop,
      trouble,
      verdict,
      id,
      initiator,
      cause,
      code,
      reason,
      durationMs: Math.round(durationMs),
      idleMs: Math.round(idleMs),
    });
  }

  countsOf(route: string): RouteCounts {
    const known = this.routes.get(route);
    if (known !== undefined) return known;
    const counts = { opened: 0, open: 0, cutsPrevented: 0, closes: {}, failures: {} };
    this.routes.set(route, counts);
    return counts;
  }

  #opened({ route }: ConnectionInfo): void {
    const counts = this.countsOf(route);
    counts.opened += 1;
    counts.open += 1;
    this.minutes.opened();
  }

  #ended({ route, id }: ConnectionInfo): void {
    this.countsOf(route).open -= 1;
    this.minutes.closed();
    this.#pongs.delete(id);
  }

  #failed(failure: UpgradeFailure): void {
    const { route, client, path, reason: cause, status } = failure;
    const { failures } = this.countsOf(route);
    failures[cause] = (failures[cause] ?? 0) + 1;
    const trouble = cause !== 'client_gone';
    const verdict = verdictOfFailure(failure);
    if (trouble) this.minutes.failed(hopOfFailure(cause));
    this.ends.add({
      kind: 'failed',
      at: Math.round(this.#options.wallClock()),
      route,
      client,
      path,
      hop: hopOfFailure(cause),
      trouble,
      verdict,
      cause,
      status,
      detail: shown(failure.detail),
    });
  }

  #ponged({ id }: ConnectionInfo, rttMs: number): void {
    const pongs = this.#pongs.get(id) ?? { count: 0, last: [] };
    this.#pongs.set(id, pongs);
    pongs.count += 1;
    this.minutes.ponged(rttMs);
    keep(pongs.last, MAX_PONGS, [Math.round(this.#options.now() - rttMs), Number(rttMs.toFixed(1))]);
  }
}

/** Alike is what happened at the same place for the same reason; how long it took is of no account. */
function likeness(end: End): string {
  const what = end.kind === 'closed' ? [end.initiator, end.code] : [end.status];
  return JSON.stringify([end.kind, end.route, end.cause, ...what, end.verdict.replaceAll(/\d+(?:\.\d+)?/g, '#')]);
}

function keep<T>(list: T[], most: number, entry: T): void {
  list.push(entry);
  if (list.length > most) list.shift();
}

/** Text from outside: one line, bounded, without query values. */
function shown(text: string): string {
  return printable(redactText(text, 'redact'), TEXT_LENGTH);
}

function isTrouble(cause: CloseCause, code: number | null): boolean {
  if (cause === 'drain' || cause === 'max_age') return false;
  // Applications' own codes, from 3000 on, are their business (RFC 6455 section 7.4.2).
  const isOrdinary = code === null || code === 1000 || code === 1001 || code === 1005 || code >= 3000;
  return cause !== 'close_frame' || !isOrdinary;
}

function hopOfFailure(reason: UpgradeFailureReason): Hop {
  switch (reason) {
    case 'bad_request':
    case 'origin':
    case 'client_gone':
      return 'browser';
    case 'no_route':
    case 'limit':
      return 'proxy';
    case 'upstream_unreachable':
    case 'upstream_timeout':
    case 'upstream_refused':
    case 'upstream_invalid':
      return 'upstream';
  }
}
