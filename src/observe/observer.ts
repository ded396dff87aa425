/** Makes log lines and metrics of what happens on the connections. */
import { AdaptiveInterval } from '../core/adaptive.ts';
import type { Lesson } from '../core/adaptive.ts';
import { printable, redactText } from '../core/redact.ts';
import type { CloseReport, ConnectionInfo, Log, Observer, TrafficObserver, UpgradeFailure } from '../core/report.ts';
import { ClosingDesk } from './closing-desk.ts';
import type { Company, Timing } from './closing-desk.ts';
import type { Metrics } from './metrics.ts';
import { verdictOf, verdictOfFailure } from './verdict.ts';
import type { Judgement } from './verdict.ts';

/** Longest text from outside in a field, in characters. A close reason has at most 123 bytes. */
const TEXT_LENGTH = 300;

export interface ObserverOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly timing: Timing;
  /** What is learned about idle limits. The verdicts need it even where no interval follows it. */
  readonly adaptive?: AdaptiveInterval;
  /** Whether a route follows what is learned (`keepalive.adaptive`). Default: all do. */
  readonly isAdaptive?: (route: string) => boolean;
  /** A connection was closed and judged: for the status page. */
  readonly onClosed?: (report: CloseReport & Judgement) => void;
  /** A shorter interval was learned: open connections should get it. */
  readonly onLearned?: (lesson: Lesson) => void;
}

export interface FlushableObserver extends Observer, TrafficObserver {
  /** Writes the closing lines that still wait for company. To be called before the log ends. */
  flush(): void;
}

export function createObserver(options: ObserverOptions): FlushableObserver {
  const { log, metrics, timing, adaptive = new AdaptiveInterval(), isAdaptive, onClosed, onLearned } = options;
  const desk = new ClosingDesk(timing, conclude);

  function opened(info: ConnectionInfo): void {
    metrics.opened();
    log.info(identityOf(info), 'websocket opened');
  }

  function closed(report: CloseReport): void {
    metrics.ended(report);
    adaptive.observeEnd(report, timing.now());
    desk.take(report);
  }

  /** Everything that is to be known about this end is known. */
  function conclude(report: CloseReport, company: Company, now: number): void {
    // An end that waited is a second old now, and so is the evidence that it is: a limit it proves is its verdict.
    for (const lesson of adaptive.settle(now)) tell(lesson);
    const { route, front, idleMs } = report;
    const cutAfterMs = adaptive.cutAfter(route, front, now);
    const agreeing = adaptive.agreeing(route, front, idleMs);
    const judgement = verdictOf(report, { ...company, cutAfterMs, agreeing });
    metrics.closed(route, judgement.initiator, judgement.cause);
    log.info(closingLine({ ...report, ...judgement }), 'websocket closed');
    onClosed?.({ ...report, ...judgement });
  }

  function tell(lesson: Lesson): void {
    if (isAdaptive?.(lesson.route) === false) return;
    log.warn(lessonLine(lesson), 'shorter ping interval learned');
    onLearned?.(lesson);
  }

  return {
    opened,
    closed,
    upgradeFailed(failure) {
      metrics.upgradeFailed(failure.route, failure.reason);
      log.warn(failureLine(failure), 'upgrade failed');
    },
    httpRequest: (route, status) => metrics.httpRequest(route, status),
    ponged(info, side, rttMs, quietMs) {
      metrics.rtt(side, rttMs / 1_000);
      // The silence before an answered Ping was no reason to cut.
      if (side !== 'client') return;
      adaptive.observeSurvivedGap({ route: info.route, front: info.front, gapMs: quietMs }, timing.now());
    },
    bridged: (info) => metrics.bridged(info.route),
    flush: () => desk.flush(),
  };
}

function identityOf(info: ConnectionInfo): object {
  return { id: info.id, route: info.route, client: info.client, path: info.path };
}

function closingLine(report: CloseReport & Judgement): object {
  return {
    ...identityOf(report),
    duration_ms: Math.round(report.durationMs),
    bytes_up: report.bytesUp,
    bytes_down: report.bytesDown,
    frames_up: report.framesUp,
    frames_down: report.framesDown,
    pings: report.pingsClient,
    pongs: report.pongsClient,
    rtt_ms: report.rttMs === null ? null : Number(report.rttMs.toFixed(1)),
    idle_ms: Math.round(report.idleMs),
    initiator: report.initiator,
    cause: report.cause,
    code: report.code,
    reason: shown(report.reason),
    verdict: report.verdict,
  };
}

function failureLine(failure: UpgradeFailure): object {
  const { reason, route, client, path, status } = failure;
  return { reason, route, client, path, status, detail: shown(failure.detail), verdict: verdictOfFailure(failure) };
}

function lessonLine(lesson: Lesson): object {
  const { route, front, cutAfterMs, intervalMs, agesMs } = lesson;
  return {
    route,
    front,
    cut_after_ms: Math.round(cutAfterMs),
    interval_ms: Math.round(intervalMs),
    idle_ages_ms: agesMs.map(Math.round),
    reasoning: `${agesMs.length} connections ended without a Close frame after the same silence and none outlived it: something in front cuts idle connections, so Pings come after half of that time, or at the configured interval where that is shorter`,
  };
}

/** Text from outside: one line, bounded, without query values. */
function shown(text: string): string {
  return printable(redactText(text, 'redact'), TEXT_LENGTH);
}
