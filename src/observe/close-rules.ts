/** How WebSockets end: the verdict's rules for every cause. A cause without rules does not compile. */
import type { CloseCause, CloseReport } from '../core/report.ts';
import { closeCodeMeaning, isLegacyPath, likelyOwner, seconds } from './verdict-words.ts';
import type { VerdictRule } from './verdict-words.ts';

type CloseRule = VerdictRule<CloseReport>;

const isClient = (facts: CloseReport): boolean => facts.side === 'client';
const halfOf = (facts: CloseReport): string => seconds(Math.max(1_000, Math.floor(facts.idleMs / 2_000) * 1_000));

export const CLOSE_RULES: Readonly<Record<CloseCause, readonly CloseRule[]>> = {
  close_frame: [
    {
      id: 'webrtc-never-came-up',
      symptom: 'Neko says "disconnected" about 15 seconds after the login; no picture',
      when: (f) =>
        isClient(f) && isEmptyCode(f) && isLegacyPath(f.path) && f.durationMs > 13_000 && f.durationMs < 18_000,
      sentence: (f) =>
        `The browser closed without a code ${seconds(f.durationMs)} after it connected, as Neko's page does when WebRTC never came up`,
      remedy: () => 'check the UDP ports and NAT1TO1 of Neko, not the WebSocket',
      example: { code: null, durationMs: 15_000, path: '/ws' },
    },
    {
      id: 'left-normally',
      symptom: 'Somebody closed the tab or left the page',
      when: (f) => isClient(f) && (isEmptyCode(f) || f.code === 1000 || f.code === 1001),
      sentence: () => 'The browser left normally',
      example: { code: 1001, durationMs: 90_000 },
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
      when: (f) => !isClient(f) && (isEmptyCode(f) || f.code === 1000),
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
      id: 'neko-dropped-session',
      symptom: 'One user is thrown out of the room, or all of them while Neko restarts',
      when: (f) => !isClient(f),
      sentence: (f) =>
        `The upstream dropped the session with the reserved close code ${f.code} on the wire, as Neko does for users who were kicked or replaced by another login, and when it restarts`,
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
  abrupt_end: [
    {
      id: 'upstream-login-refused',
      symptom: 'The login fails at once although the page loads',
      when: (f) => !isClient(f) && !f.reset && f.durationMs < 2_000,
      sentence: (f) =>
        `The upstream ended the connection ${seconds(f.durationMs)} after it began, without a Close frame, as Neko does after a wrong password`,
      remedy: () => "check the password, then the upstream's log",
      example: { side: 'upstream', durationMs: 100 },
    },
    {
      id: 'upstream-gone',
      symptom: 'Everybody is disconnected at once',
      when: (f) => !isClient(f),
      sentence: (f) =>
        `The upstream ${f.reset ? 'reset' : 'ended'} the connection without a Close frame, most likely because it stopped, crashed or was restarted`,
      remedy: () => "look into the upstream's log and its restarts",
      example: { side: 'upstream', durationMs: 90_000 },
    },
    {
      id: 'client-reset',
      symptom: 'A user drops out when a network or a laptop goes away',
      when: (f) => f.reset,
      sentence: () =>
        'The connection to the client was reset: the browser crashed, the network changed, or somebody on the way had forgotten the connection',
      example: { reset: true },
    },
    {
      id: 'client-end-at-known-limit',
      symptom: 'A silent user drops out after a round number of seconds',
      when: (f) => likelyOwner(f.idleMs) !== null,
      sentence: (f) =>
        `The client side ended without a Close frame after ${seconds(f.idleMs)} of silence, which is the default idle limit of ${likelyOwner(f.idleMs)}`,
      remedy: (f) => `if it repeats, set keepalive.ping_interval to ${halfOf(f)} or less`,
      example: { idleMs: 60_050 },
    },
    {
      id: 'client-end-while-silent',
      symptom: 'A silent user drops out',
      when: (f) => f.idleMs >= 1_000,
      sentence: (f) =>
        `The client side ended without a Close frame after ${seconds(f.idleMs)} of silence: the browser crashed or was killed, or the proxy in front cut an idle connection`,
      remedy: () => 'if others end after the same silence, it is the proxy in front, and the log will say so',
      example: { idleMs: 42_000 },
    },
    {
      id: 'client-end',
      symptom: 'A user drops out in the middle of traffic',
      sentence: () =>
        'The client side ended without a Close frame in the middle of traffic: the browser crashed or was killed, or the proxy in front ended the connection',
      example: { idleMs: 300 },
    },
  ],
  front_idle_cut: [
    {
      id: 'front-idle-cut',
      symptom: 'Silent users are cut after the same time again and again',
      sentence: (f) => {
        const owner = likelyOwner(f.idleMs);
        return `The proxy in front cut the connection after ${seconds(f.idleMs)} of silence${owner === null ? '' : `, the default idle limit of ${owner}`}`;
      },
      remedy: (f) =>
        `set keepalive.ping_interval to ${halfOf(f)} or less, or raise the limit there (nginx: proxy_read_timeout)`,
      example: { idleMs: 60_050 },
    },
  ],
  front_reload: [
    {
      id: 'front-reload',
      symptom: 'Many users drop out in the same second and come back',
      sentence: () =>
        'Many connections ended within a second: the proxy in front was reloaded or restarted, or its network failed',
      remedy: () => 'for nginx, a longer worker_shutdown_timeout lets connections outlive a reload',
    },
  ],
  pong_timeout: [
    {
      id: 'client-gone',
      symptom: 'A user vanished (closed lid, lost network) and is removed from the room a little later',
      when: isClient,
      sentence: () => 'The browser or its tab is gone: it answered no Ping in time, and nothing else came either',
      example: {},
    },
    {
      id: 'upstream-hung',
      symptom: 'The page shows a picture but chat and control do nothing; then everybody is disconnected',
      sentence: () => 'The upstream hung: it kept the connection but answered no Ping in time',
      remedy: () => 'restart the upstream if it does not recover, and look into its log',
      example: { side: 'upstream' },
    },
  ],
  stall: [
    {
      id: 'client-stalled',
      symptom: 'A user on a bad network drops out while much is sent',
      when: isClient,
      sentence: () =>
        'The client took no data for the whole of timeouts.stall: its network is gone, or the browser is suspended',
    },
    {
      id: 'upstream-stalled',
      symptom: 'Uploads or input stop, then everybody is disconnected',
      sentence: () => 'The upstream hung: it took no data for the whole of timeouts.stall',
      remedy: () => 'restart the upstream if it does not recover, and look into its log',
      example: { side: 'upstream' },
    },
  ],
  close_timeout: [
    {
      id: 'close-unanswered',
      symptom: 'Nothing; the connection was closing anyway',
      sentence: (f) => `The ${f.side} did not answer a Close frame in time and was let go`,
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
  drain: [
    {
      id: 'drain',
      symptom: 'Everybody is disconnected while this proxy is stopped or updated',
      sentence: () => 'This proxy was stopped and closed its connections with 1012 (service restart)',
      example: { code: 1012 },
    },
  ],
  internal_error: [
    {
      id: 'internal-error',
      symptom: 'A single connection ends with 1011 and this log has an error line',
      sentence: () => 'A defect in this proxy ended the connection',
      remedy: () => 'report it with the error line that precedes this one',
      example: { code: 1011 },
    },
  ],
};

function isEmptyCode(facts: CloseReport): boolean {
  return facts.code === null || facts.code === 1005;
}
