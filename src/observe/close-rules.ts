/** How WebSockets end: the verdict's rules for every cause. A cause without rules does not compile. */
import type { CloseCause } from '../core/events.ts';
import { ABRUPT_RULES, FRONT_IDLE_RULES, FRONT_LIFETIME_RULES, FRONT_RELOAD_RULES } from './abrupt-rules.ts';
import {
  closeCodeMeaning,
  isLegacyPath,
  type JudgedEnd,
  neverAnswered,
  seconds,
  type VerdictRule,
} from './verdict-words.ts';

type CloseRule = VerdictRule<JudgedEnd>;

const isClient = (facts: JudgedEnd): boolean => facts.side === 'client';
/** The page counts its 15 s from `new WebSocket`, up to some two seconds before the connection is open here. */
const WEBRTC_FROM_MS = 12_500;
const WEBRTC_UNTIL_MS = 15_500;

export const CLOSE_RULES: Readonly<Record<CloseCause, readonly CloseRule[]>> = {
  close_frame: [
    {
      id: 'webrtc-never-came-up',
      symptom: 'Neko says "disconnected" about 15 seconds after the login; no picture',
      when: (f) =>
        isClient(f) &&
        f.code === null &&
        isLegacyPath(f.path) &&
        f.durationMs > WEBRTC_FROM_MS &&
        f.durationMs < WEBRTC_UNTIL_MS,
      sentence: (f) =>
        `The page closed without a code ${seconds(f.durationMs)} after it connected, as Neko's does when WebRTC did not come up within 15 s, or when the user logs out`,
      remedy: () => 'if there was no picture, check the UDP ports and NAT1TO1 of Neko, not the WebSocket',
      example: { code: null, durationMs: 14_300, path: '/ws' },
    },
    {
      id: 'left-together',
      symptom: 'Several users drop out in the same second with code 1001',
      when: (f) => isClient(f) && f.code === 1001 && f.together > 1,
      sentence: (f) =>
        `${f.together} pages said within a second that they go away (close code 1001): they were left, closed or reloaded together, or their browser crashed or was killed, or the proxy in front, if there is one, was reloaded or stopped (Caddy says 1001 then)`,
      example: { code: 1001, together: 3 },
    },
    {
      id: 'left-or-crashed',
      symptom: 'Somebody closed the tab, left or reloaded the page, or the tab crashed',
      when: (f) => isClient(f) && f.code === 1001,
      sentence: () =>
        'The page went away (close code 1001): it was left, closed or reloaded, or its tab crashed or was killed, or the proxy in front, if there is one, was reloaded or stopped (Caddy says 1001 then)',
      example: { code: 1001, durationMs: 90_000 },
    },
    {
      id: 'left-normally',
      symptom: 'Somebody logged out, or the page closed its connection',
      when: (f) => isClient(f) && (f.code === null || f.code === 1000),
      sentence: () => 'The client closed the connection itself, in the ordinary way',
      example: { code: 1000, durationMs: 90_000 },
    },
    {
      id: 'upstream-restarting',
      symptom: 'Everybody is disconnected and can come back a moment later',
      when: (f) => !isClient(f) && [1001, 1012, 1013].includes(Number(f.code)),
      sentence: (f) =>
        `The upstream said that it ${f.code === 1013 ? 'is overloaded' : 'stops or restarts'} (close code ${f.code})`,
      remedy: () => "look into the upstream's log for the reason",
      example: { side: 'upstream', code: 1012 },
    },
    {
      id: 'upstream-ended-session',
      symptom: 'One user is disconnected, the others stay',
      when: (f) => !isClient(f) && (f.code === null || f.code === 1000),
      sentence: () => 'The upstream ended the session in the ordinary way',
      example: { side: 'upstream', code: 1000 },
    },
    {
      id: 'protocol-error',
      symptom: 'A connection ends in the middle of traffic with a code from 1002 to 1010',
      when: (f) => closeCodeMeaning(f.code) !== null,
      sentence: (f) => `The ${f.side} ended the connection with close code ${f.code}: ${closeCodeMeaning(f.code)}`,
      remedy: (f) =>
        `look into the ${f.side}'s log; what it complains about was sent by the other side and passed on unchanged`,
      example: { side: 'upstream', code: 1002 },
    },
    {
      id: 'endpoint-failed',
      symptom: 'A connection ends in the middle of traffic with code 1011',
      when: (f) => f.code === 1011,
      sentence: (f) => `The ${f.side} ended the connection because of an error of its own (close code 1011)`,
      remedy: (f) => `look into the ${f.side}'s log`,
      example: { side: 'upstream', code: 1011 },
    },
    {
      id: 'application-close',
      symptom: 'A connection ends with another code, such as 4001',
      sentence: (f) => `The ${f.side}'s application closed with code ${f.code}`,
      example: { code: 4001 },
    },
  ],
  reserved_code: [
    {
      id: 'neko-dropped-one',
      symptom: 'One user is thrown out of the room, the others stay',
      when: (f) => !isClient(f) && f.someLeft,
      sentence: (f) =>
        `The upstream dropped ${f.together > 1 ? `${f.together} sessions` : 'this session'} with the reserved close code ${f.code} on the wire while others stay, as Neko does for users who were kicked`,
      remedy: () => 'look into the log of Neko around this time',
      example: { side: 'upstream', code: 1006, someLeft: true },
    },
    {
      id: 'neko-stopped',
      symptom: 'All users are thrown out of the room at once',
      when: (f) => !isClient(f) && f.together > 1,
      sentence: (f) =>
        `The upstream dropped all its ${f.together} sessions within a second with the reserved close code ${f.code} on the wire, as Neko does when it is stopped or restarted`,
      remedy: () => 'look into the log of Neko around this time',
      example: { side: 'upstream', code: 1006, together: 3 },
    },
    {
      id: 'neko-dropped-only-one',
      symptom: 'The only user is thrown out of the room',
      when: (f) => !isClient(f),
      sentence: (f) =>
        `The upstream dropped the only session that it had with the reserved close code ${f.code} on the wire, as Neko does for users who were kicked, and when it is stopped or restarted`,
      remedy: () => 'look into the log of Neko around this time',
      example: { side: 'upstream', code: 1006 },
    },
    {
      id: 'reserved-code-from-client',
      symptom: 'A client that is not a browser disconnects',
      sentence: (f) =>
        `The client sent the reserved close code ${f.code}, which RFC 6455 section 7.4.1 forbids and no browser does`,
      example: { code: 1006 },
    },
  ],
  abrupt_end: ABRUPT_RULES,
  front_idle_cut: FRONT_IDLE_RULES,
  front_lifetime_cut: FRONT_LIFETIME_RULES,
  front_reload: FRONT_RELOAD_RULES,
  pong_timeout: [
    {
      id: 'client-mute',
      symptom: 'A client that is not a browser is ended while it is quiet',
      when: (f) => isClient(f) && neverAnswered(f, 'client'),
      sentence: () =>
        'The client never answered a Ping on this connection, and nothing else came: it is gone, or it is one of those that cannot answer',
      remedy: () => 'if it still ran, set keepalive.pong_timeout to off for its route',
      example: { answersPingsClient: false },
    },
    {
      id: 'client-gone',
      symptom: 'A user vanished (closed lid, lost network) and is removed from the room a little later',
      when: isClient,
      sentence: () =>
        'The browser or its network is gone: it had answered Pings, but not the last ones in time, and nothing else came either',
      remedy: () => 'if it only answers late, raise keepalive.pong_timeout, or set it to off',
      example: {},
    },
    {
      id: 'upstream-mute',
      symptom: 'Quiet connections end, although the upstream runs',
      when: (f) => neverAnswered(f, 'upstream'),
      sentence: () =>
        'The upstream never answered a Ping on this connection, and nothing else came: it hung, or it is one of those that cannot answer',
      remedy: () => 'if it still ran, set keepalive.upstream_pong_timeout to off',
      example: { side: 'upstream', answersPingsUpstream: false },
    },
    {
      id: 'upstream-hung',
      symptom: 'The page shows a picture but chat and control do nothing; then everybody is disconnected',
      sentence: () =>
        'The upstream hung, or the network to it is gone: it kept the connection, had answered Pings, but not the last ones in time',
      remedy: () =>
        'restart the upstream if it does not recover; if it only answers late, raise keepalive.upstream_pong_timeout, or set it to off',
      example: { side: 'upstream' },
    },
  ],
  stall: [
    {
      id: 'client-stalled',
      symptom: 'A user on a bad network drops out while much is sent',
      when: isClient,
      sentence: (f) =>
        `The client took no data for the whole of timeouts.stall${neverAnswered(f, 'client') ? ' and never answered a Ping on this connection' : ''}: its network is gone, or the browser is suspended`,
      example: {},
    },
    {
      id: 'upstream-stalled',
      symptom: 'Uploads or input stop, then everybody is disconnected',
      sentence: (f) =>
        `The upstream hung: it took no data for the whole of timeouts.stall${neverAnswered(f, 'upstream') ? ' and never answered a Ping on this connection' : ''}`,
      remedy: () => 'restart the upstream if it does not recover, and look into its log',
      example: { side: 'upstream' },
    },
  ],
  close_timeout: [
    {
      id: 'close-unanswered',
      symptom: 'Nothing; the connection was closing anyway',
      sentence: (f) =>
        `The ${f.side} did not answer a Close frame in time and was let go${neverAnswered(f, f.side) ? ', nor had it ever answered a Ping on this connection' : ''}`,
    },
  ],
  frame_limit: [
    {
      id: 'frame-too-big',
      symptom: 'A connection ends when something large is sent',
      sentence: (f) => `The ${f.side} sent a frame larger than limits.frame allows`,
      remedy: () => 'raise limits.frame if such frames are wanted',
      example: { code: 1009 },
    },
  ],
  rate_limit: [
    {
      id: 'control-frame-flood',
      symptom: 'A client that is not a browser is thrown out',
      sentence: (f) => `The ${f.side} sent more control frames than limits.control_frames_per_second allows`,
      remedy: () => 'raise the limit only if the application really sends that many Pings',
      example: { code: 1008 },
    },
  ],
  bad_length: [
    {
      id: 'bad-length',
      symptom: 'A client that is not a browser is thrown out',
      sentence: (f) =>
        `The ${f.side} broke the protocol: a frame length with its top bit set (RFC 6455 section 5.2), after which nothing can be read`,
      example: { code: 1002 },
    },
  ],
  max_age: [
    {
      id: 'max-age',
      symptom: 'Connections end after about the same time, and clients come back',
      sentence: (f) => `This proxy ended the connection because it had become old enough: ${seconds(f.durationMs)}`,
      remedy: () => 'nothing is wrong; limits.age says how old a connection may become',
      example: { durationMs: 86_400_000 },
    },
  ],
  drain: [
    {
      id: 'drain',
      symptom: 'Everybody is disconnected while this proxy is stopped or updated',
      sentence: (f) =>
        `This proxy was stopped and ended its connections${f.code === null ? '' : ` with close code ${f.code}`}`,
      example: {},
    },
  ],
  internal_error: [
    {
      id: 'internal-error',
      symptom: 'A single connection ends and this log has an error line',
      sentence: () => 'A defect in this proxy ended the connection',
      remedy: () => 'report it with the error line that precedes this one',
      example: {},
    },
  ],
};
