import type { CloseCause, CloseReport, Side } from '../../src/core/report.ts';
import type { Session, SimEnd } from './session.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** Close codes that the proxy may send of its own accord, by cause. */
const OWN_CODES: Partial<Record<CloseCause, readonly number[]>> = {
  abrupt_end: [1011],
  pong_timeout: [1011],
  stall: [1011],
  frame_limit: [1009, 1011],
  rate_limit: [1008, 1011],
  bad_length: [1002, 1011],
  drain: [1012],
};

/** Whether the books of a closed connection balance, and whether its report tells what happened. @returns complaints */
export function checkReport(session: Session, report: CloseReport): string[] {
  return [...checkCause(session, report), ...checkOwnCloses(session, report), ...checkSums(session, report)];
}

/** Nobody is accused of what it did not do. */
function checkCause(session: Session, report: CloseReport): string[] {
  const { cause, initiator, side } = report;
  const end = session[side];
  const isTrue = isJustified(session, end, report);
  return isTrue ? [] : [`${cause} by ${initiator}, but the ${side} did nothing of the kind`];
}

function isJustified(session: Session, end: SimEnd, { cause, endedAt }: CloseReport): boolean {
  const { facts } = end.peer;
  switch (cause) {
    case 'close_frame':
    case 'reserved_code':
      return facts.sentClose;
    case 'abrupt_end':
      return facts.sentEnd || facts.sentReset || end.cutAt <= endedAt || end.link.refuses;
    case 'pong_timeout':
      return facts.isDead && endedAt >= facts.faultAt;
    case 'stall':
      return facts.isDead && endedAt >= end.socket.progressAt + session.world.settings.stall - 2;
    case 'close_timeout':
      return facts.isDead || !end.peer.habits.answersClose || end.checker.closed;
    case 'frame_limit':
    case 'bad_length':
      return facts.brokeLimit;
    case 'rate_limit':
      // Who answers a flood of Pings may pass the limit as well.
      return session.ends.some(({ peer }) => peer.facts.brokeLimit);
    case 'drain':
      return session.world.isDraining;
    // The first two are found out later, from many reports.
    case 'front_idle_cut':
    case 'front_reload':
    case 'internal_error':
      return false;
  }
}

function checkOwnCloses(session: Session, report: CloseReport): string[] {
  const { client, upstream } = session;
  const allowed = OWN_CODES[report.cause] ?? [];
  const complaints: string[] = [];
  const [toClient, toUpstream] = [client.checker.injectedClose, upstream.checker.injectedClose];
  // Who has sent its Close may still pass a limit, and that is told as well.
  const isFlooded = session.ends.some(({ peer }) => peer.facts.brokeLimit);
  if (toClient !== null && !allowed.includes(toClient) && !isFlooded)
    complaints.push(`Close ${toClient} to the client: ${report.cause}`);
  // Only a proxy that stops sends a Close upstream: 1000 and 1001 would say that the client has left.
  if (toUpstream !== null && !(report.cause === 'drain' && toUpstream === 1012))
    complaints.push(`Close ${toUpstream} to the upstream: ${report.cause}`);
  if (owesClose(session, report)) complaints.push(`the client was not told: ${report.cause}`);
  return complaints;
}

/** The client is told in a Close frame what became of the upstream, where there is place for one. */
function owesClose({ client }: Session, { cause, side }: CloseReport): boolean {
  const isUpstreamFault =
    side === 'upstream' && (cause === 'abrupt_end' || cause === 'pong_timeout' || cause === 'stall');
  const { facts } = client.peer;
  const isThere = facts.faultAt === NEVER && client.cutAt === NEVER && !facts.sentClose && !facts.sentEnd;
  return isUpstreamFault && isThere && client.checker.atBoundary && !client.checker.closed;
}

function checkSums(session: Session, report: CloseReport): string[] {
  const complaints: string[] = [];
  const compare = (what: string, told: number, seen: number): void => {
    if (told !== seen) complaints.push(`${what}: ${told} in the report, ${seen} on the wire`);
  };
  const relayed = (side: Side): number => session[side].checker.bytesOut - session[side].checker.injectedBytes;
  compare('bytes up', report.bytesUp, relayed('upstream'));
  compare('bytes down', report.bytesDown, relayed('client'));
  compare('Pings to the client', report.pingsClient, session.client.ledger.injected);
  compare('Pings to the upstream', report.pingsUpstream, session.upstream.ledger.injected);
  // What comes behind a passed limit is not looked at.
  if (session.ends.some(({ peer }) => peer.facts.brokeLimit)) return complaints;
  compare('Pongs of the client', report.pongsClient, session.client.ledger.swallowed);
  compare('Pongs of the upstream', report.pongsUpstream, session.upstream.ledger.swallowed);
  for (const end of session.ends) complaints.push(...checkPings(session, end, report));
  return complaints;
}

/** No more Pings than intervals, a tenth early. */
function checkPings(session: Session, end: SimEnd, report: CloseReport): string[] {
  const most = report.durationMs / (session.interval(end.side, 'min') * 0.899) + 2;
  return end.ledger.injected > most
    ? [`${end.ledger.injected} Pings to the ${end.side} in ${report.durationMs} ms`]
    : [];
}
