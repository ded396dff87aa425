import type { CloseCause, CloseReport, Side } from '../../src/core/events.ts';
import type { Session, SimEnd } from './session.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** Close codes that the proxy may send to a client for what that did. */
const LIMIT_CODES: Partial<Record<CloseCause, number>> = { frame_limit: 1009, rate_limit: 1008, bad_length: 1002 };

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
  const { facts, habits } = end.peer;
  const { answersClose, uploadEvery } = habits;
  switch (cause) {
    case 'close_frame':
    case 'reserved_code':
      return facts.sentClose;
    case 'abrupt_end':
      return facts.sentEnd || facts.sentReset || end.cutAt <= endedAt || end.link.refuses || end.link.gaveUp;
    case 'pong_timeout':
      return end.ledger.answersPings && ((facts.isDead && endedAt >= facts.faultAt) || session.isUncertain(end));
    case 'stall':
      return facts.isDead && endedAt >= end.socket.progressAt + session.world.settings.stall - 2;
    case 'close_timeout':
      // Behind an upload the answer takes its time.
      return facts.isDead || !answersClose || uploadEvery < NEVER || end.checker.closed;
    case 'frame_limit':
    case 'bad_length':
      return facts.passedLimit;
    case 'rate_limit':
      // Who answers a flood of Pings may pass the limit as well.
      return session.ends.some(({ peer }) => peer.facts.passedLimit);
    case 'drain':
      return session.world.isDraining;
    case 'max_age':
      return false;
    // The first three are found out later, from many reports.
    case 'front_idle_cut':
    case 'front_lifetime_cut':
    case 'front_reload':
    case 'internal_error':
      return false;
  }
}

/** A client is told in a Close of what it did itself, and both are when the proxy stops with a code. Of all else TCP tells alone. */
function checkOwnCloses(session: Session, report: CloseReport): string[] {
  const { client, upstream, world } = session;
  const complaints: string[] = [];
  const [toClient, toUpstream] = [client.checker.injectedClose, upstream.checker.injectedClose];
  const drainCode = report.cause === 'drain' ? world.settings.drainCode : null;
  // Who has sent its Close may still pass a limit, and that is told as well.
  const codes = client.peer.facts.passedLimit || isEchoOfFlood(session) ? Object.values(LIMIT_CODES) : [];
  if (toClient !== null && toClient !== drainCode && !codes.includes(toClient))
    complaints.push(`Close ${toClient} to the client: ${report.cause}`);
  // 1000 and 1001 would say that the client has left.
  if (toUpstream !== null && toUpstream !== drainCode)
    complaints.push(`Close ${toUpstream} to the upstream: ${report.cause}`);
  if (owesClose(session, report)) complaints.push(`the client was not told: ${report.cause}`);
  return complaints;
}

/** Who answers a flood of Pings may pass the limit as well. */
function isEchoOfFlood({ upstream }: Session): boolean {
  return upstream.peer.facts.passedLimit;
}

/** A client that passed a limit is told so, where there is place for a Close. */
function owesClose({ client }: Session, { cause, side }: CloseReport): boolean {
  const isOwnFault = side === 'client' && LIMIT_CODES[cause] !== undefined;
  const { facts } = client.peer;
  const isThere = client.cutAt === NEVER && !facts.sentClose && !facts.sentEnd && !facts.isDead;
  return isOwnFault && isThere && client.checker.atBoundary && !client.checker.closed;
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
  if (session.ends.some(({ peer }) => peer.facts.passedLimit)) return complaints;
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
