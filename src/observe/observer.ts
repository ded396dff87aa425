/** Makes log lines and metrics of what happens on the connections. */
import { AdaptiveInterval, type Lesson } from '../core/adaptive.ts';
import { printable, redactText } from '../http/redact.ts';
import type {
  CloseReport,
  ConnectionInfo,
  Log,
  Observer,
  RequestIdentity,
  TrafficObserver,
  UpgradeFailure,
} from '../core/events.ts';
import type { KeepaliveSettings } from '../core/settings.ts';
import { type CloseGroup, CloseGroups, type GroupKind, type OpenConnection, type Timing } from './close-groups.ts';
import { FrontJudge } from './front-judge.ts';
import type { Metrics } from './metrics/metrics.ts';
import { type Judgement, type Recall, verdictOf, verdictOfFailure } from './verdict.ts';
import { seconds } from './verdict-words.ts';

/** Longest text from outside in a field, in characters. A close reason has at most 123 bytes. */
const TEXT_LENGTH = 300;
/** An end this soon after the proxy had stood still may have come of that, in ms. */
const AFTER_STANDSTILL_MS = 1_000;

export interface ObserverOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly timing: Timing;
  /** What is learned about idle limits. The verdicts need it even where no interval follows it. */
  readonly adaptive?: AdaptiveInterval;
  /** The keepalive settings of a route; `undefined` for one that is no more. Default: Pings are off everywhere. */
  readonly keepaliveOf?: (route: string) => KeepaliveSettings | undefined;
  /** What is open. A connection that has outlived a silence or an age disproves that the front cuts there. */
  readonly openConnections?: () => Iterable<OpenConnection>;
  /** A connection was closed and judged: for the status page. */
  readonly onClosed?: (report: CloseReport & Judgement) => void;
  /** A shorter interval was learned: open connections should get it. */
  readonly onLearned?: (lesson: Lesson) => void;
}

export interface FlushableObserver extends Observer, TrafficObserver {
  /** Writes the closing lines that still wait for ends to be judged with. To be called before the log ends. */
  flush(): void;
}

export function createObserver(options: ObserverOptions): FlushableObserver {
  const { log, metrics, timing } = options;
  const judge = new CloseJudge(options);
  return {
    opened(info) {
      metrics.opened(info.route);
      log.info(identityOf(info), 'websocket opened');
    },
    closed(report) {
      metrics.ended(report);
      judge.take(report);
    },
    upgradeFailed(failure) {
      metrics.upgradeFailed(failure.route, failure.reason);
      log.warn(failureLine(failure), 'upgrade failed');
    },
    oddHandshake(route, detail) {
      metrics.oddHandshake(route);
      log.warn({ route, detail }, 'odd handshake of an upstream, passed on: the client judges it');
    },
    httpRequest: (route, status, refusal) => metrics.httpRequest(route, status, refusal),
    ponged: (_info, side, rttMs) => metrics.rtt(side, rttMs / 1_000),
    outlived: ({ route, front }, gapMs) => judge.outlived({ route, front, gapMs }, timing.now()),
    bridged(info) {
      // Only a front cuts: where none is known, nothing was prevented.
      if (info.frontIsKnown) metrics.bridged(info.route);
    },
    stoodStill(ms) {
      log.warn(
        { length_ms: Math.round(ms) },
        'stood still: the program was suspended, or its event loop blocked; ends at that time may have come of it',
      );
      judge.stoodStill(ms);
    },
    flush: () => judge.flush(),
  };
}

/** Judges each end, those that are judged together with others after a second, and reports it. */
class CloseJudge {
  readonly #options: ObserverOptions;
  readonly #adaptive: AdaptiveInterval;
  readonly #front: FrontJudge;
  readonly #groups: CloseGroups;
  /** When the proxy last stood still, on the monotonic clock. */
  #still = { from: Infinity, until: -Infinity, ms: 0 };

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#adaptive = options.adaptive ?? new AdaptiveInterval();
    const intervalOf = (route: string): number => options.keepaliveOf?.(route)?.client.interval ?? Infinity;
    this.#front = new FrontJudge({ adaptive: this.#adaptive, intervalOf });
    this.#groups = new CloseGroups(options.timing, (groups, now) => this.#judgeGroups(groups, now));
  }

  take(report: CloseReport): void {
    const kind = groupOf(report);
    if (kind === null) this.#tell(report, {});
    else this.#groups.take(kind, report);
  }

  outlived(gap: { readonly route: string; readonly front: string; readonly gapMs: number }, now: number): void {
    // While the program did not run, bytes may have passed unseen: that was no silence.
    if (now - gap.gapMs >= this.#still.until) this.#adaptive.observeSurvivedGap(gap, now);
  }

  stoodStill(ms: number): void {
    const now = this.#options.timing.now();
    this.#still = { from: now - ms, until: now + AFTER_STANDSTILL_MS, ms };
  }

  flush(): void {
    this.#groups.flush();
  }

  #judgeGroups(groups: readonly CloseGroup[], now: number): void {
    const open = this.#openFor(groups);
    for (const group of groups) {
      const isFront = group.kind === 'front' && !group.reports.some((report) => this.#stillFor(report) > 0);
      const recallOf = isFront ? this.#judgeFront(group, open.get(group) ?? [], now) : () => ({});
      const { together, severalClients, someLeft } = group;
      for (const report of group.reports)
        this.#tell(report, { together, severalClients, someLeft, ...recallOf(report) });
    }
  }

  #judgeFront(group: CloseGroup, open: readonly OpenConnection[], now: number): (report: CloseReport) => Recall {
    this.#front.noteSilences(group, open, now);
    for (const lesson of this.#front.learn(group, now)) this.#teach(lesson);
    return this.#front.judge(group, open, now);
  }

  /** One look at the open connections for all groups that want one: who is left, and for fronts what they have. */
  #openFor(groups: readonly CloseGroup[]): Map<CloseGroup, OpenConnection[]> {
    const found = new Map<CloseGroup, OpenConnection[]>();
    const wanted = new Map<string, CloseGroup>();
    for (const group of groups) {
      if (group.kind === 'leaving' || (group.kind === 'front' && !this.#front.wantsToLook(group))) continue;
      wanted.set(`${group.kind} ${group.of}`, group);
      found.set(group, []);
    }
    if (wanted.size === 0) return found;
    for (const connection of this.#options.openConnections?.() ?? []) {
      if (connection.isClosing) continue;
      const { front, route } = connection.info;
      const ofFront = wanted.get(`front ${front}`);
      const ofRoute = wanted.get(`upstream ${route}`);
      if (ofFront !== undefined) found.get(ofFront)?.push(connection);
      for (const group of [ofFront, ofRoute]) if (group?.isWitness(connection) === true) group.someLeft = true;
    }
    return found;
  }

  /** How long the proxy had stood still when this end came, in ms; 0: it had not. */
  #stillFor({ endedAt, cause }: CloseReport): number {
    const { from, until, ms } = this.#still;
    const isAffected =
      cause === 'abrupt_end' || cause === 'pong_timeout' || cause === 'stall' || cause === 'close_timeout';
    return isAffected && endedAt >= from && endedAt <= until ? ms : 0;
  }

  /** Writes the closing line, now that nothing more can be learned about this end. */
  #tell(report: CloseReport, recall: Recall): void {
    const { log, metrics, onClosed } = this.#options;
    const stoodStillMs = this.#stillFor(report);
    const judged = verdictOf(report, stoodStillMs === 0 ? recall : { ...recall, stoodStillMs });
    metrics.closed(report.route, judged.initiator, judged.cause);
    log.info(closingLine(judged), 'websocket closed');
    onClosed?.(judged);
  }

  #teach(lesson: Lesson): void {
    const { log, keepaliveOf, onLearned } = this.#options;
    const keepalive = keepaliveOf?.(lesson.route);
    const isFollowed = keepalive?.adaptive === true && lesson.intervalMs < keepalive.client.interval;
    if (isFollowed && keepalive.client.interval < Infinity) {
      log.warn(lessonLine(lesson, 'so Pings come after half of that time'), 'shorter ping interval learned');
      onLearned?.(lesson);
      return;
    }
    const why = keepalive?.client.interval === Infinity ? 'ping_interval is off' : 'adaptive is off or changes nothing';
    const advice = `nothing was changed, since keepalive.${why}: set keepalive.ping_interval to ${seconds(lesson.cutAfterMs / 2)} or less`;
    log.warn(lessonLine(lesson, advice), 'idle limit found');
  }
}

/** The group an end is judged with; null: it is judged alone. */
function groupOf({ cause, side, code }: CloseReport): GroupKind | null {
  if (side === 'upstream') return cause === 'abrupt_end' || cause === 'reserved_code' ? 'upstream' : null;
  if (cause === 'abrupt_end') return 'front';
  return cause === 'close_frame' && code === 1001 ? 'leaving' : null;
}

function identityOf(info: ConnectionInfo): object {
  const { id, route, client, path, upstream, request } = info;
  return { id, route, client, path, upstream, ...requestLine(request) };
}

function requestLine(request: RequestIdentity | undefined): object | undefined {
  return request && { host: request.host, user_agent: request.userAgent, request_id: request.requestId };
}

/** Field by field: on Node 20 an object to which fields are added after a spread takes 20 µs. */
function closingLine(report: CloseReport & Judgement): object {
  return {
    id: report.id,
    route: report.route,
    client: report.client,
    path: report.path,
    upstream: report.upstream,
    host: report.request.host,
    user_agent: report.request.userAgent,
    request_id: report.request.requestId,
    duration_ms: Math.round(report.durationMs),
    bytes_up: report.bytesUp,
    bytes_down: report.bytesDown,
    frames_up: report.framesUp,
    frames_down: report.framesDown,
    pings: report.pingsClient,
    pongs: report.pongsClient,
    rtt_ms: report.rttMs === null ? null : Number(report.rttMs.toFixed(1)),
    idle_ms: Math.round(report.idleMs),
    wire_idle_ms: Math.round(report.wireIdleMs),
    answers_pings: report.answersPingsClient,
    initiator: report.initiator,
    cause: report.cause,
    code: report.code,
    reason: shown(report.reason),
    verdict: report.verdict,
  };
}

function failureLine(failure: UpgradeFailure): object {
  const { reason, route, client, path, request, status } = failure;
  return {
    reason,
    route,
    client,
    path,
    ...requestLine(request),
    status,
    detail: shown(failure.detail),
    verdict: verdictOfFailure(failure),
  };
}

function lessonLine(lesson: Lesson, consequence: string): object {
  const { route, front, cutAfterMs, intervalMs, agesMs } = lesson;
  return {
    route,
    front,
    cut_after_ms: Math.round(cutAfterMs),
    interval_ms: Math.round(intervalMs),
    idle_ages_ms: agesMs.map(Math.round),
    reasoning: `connections ended without a Close frame after the same silence ${agesMs.length} times, and none outlived it since: something in front cuts idle connections, ${consequence}`,
  };
}

/** Text from outside: one line, bounded, without query values. */
function shown(text: string): string {
  return printable(redactText(text, 'redact'), TEXT_LENGTH);
}
