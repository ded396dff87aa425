/** Ends without a Close frame: the verdict's rules. Most causes look alike here, so most sentences name several. */
import { frontOf, isNekoPath, type JudgedEnd, likelyOwner, seconds, type VerdictRule } from './verdict-words.ts';

type EndRule = VerdictRule<JudgedEnd>;

const isClient = (facts: JudgedEnd): boolean => facts.side === 'client';
/** Half of the silence after which it was cut, in a unit that the configuration takes. */
const halfOf = (facts: JudgedEnd): string => seconds(Math.max(1_000, Math.floor(facts.wireIdleMs / 2_000) * 1_000));
const ended = (facts: JudgedEnd): string => (facts.reset ? 'was reset' : 'ended without a Close frame');
/** It may be an idle cut. A reset that a Ping may have provoked is none. */
const wasSilent = (facts: JudgedEnd): boolean => facts.wireIdleMs >= 1_000 && !(facts.reset && facts.pingUnanswered);
const ownerOf = (facts: JudgedEnd, before: string): string => {
  const owner = likelyOwner(facts.wireIdleMs);
  return owner === null ? '' : `${before} the default idle limit of ${owner}`;
};

/** Ends that came together after the same silence may be idle cuts, whatever else they may be. */
const orIdleCut = (facts: JudgedEnd): string =>
  facts.sameSilence ? `, or ${frontOf(facts)} cut them after ${seconds(facts.wireIdleMs)} of silence` : '';

const UPSTREAM_RULES: readonly EndRule[] = [
  {
    id: 'upstream-login-refused-or-gone',
    symptom: 'Logins fail at once, and nobody else is in the room',
    when: (f) => !isClient(f) && !f.reset && f.durationMs < 2_000 && f.together > 1 && !f.someLeft,
    sentence: (f) =>
      `The upstream ended all its ${f.together} connections within a second, this one ${seconds(f.durationMs)} after it began: it refused the logins (wrong password, room locked, or still logged in elsewhere), or it stopped, crashed or was restarted`,
    remedy: () => "look into the upstream's log",
    example: { side: 'upstream', durationMs: 80, together: 2 },
  },
  {
    id: 'upstream-login-refused',
    symptom: 'The login fails at once although the page loads',
    when: (f) => !isClient(f) && !f.reset && f.durationMs < 2_000,
    sentence: (f) =>
      `The upstream ended the connection ${seconds(f.durationMs)} after it began, without a Close frame, ${
        isNekoPath(f.path)
          ? 'as Neko does when it refuses a login: wrong password, room locked, or still logged in elsewhere'
          : 'as servers do that refuse a login'
      }${f.someLeft ? '' : ', or because it stopped'}`,
    remedy: () => "check the password, then the upstream's log",
    example: { side: 'upstream', durationMs: 80, someLeft: true },
  },
  {
    id: 'upstream-ended-one',
    symptom: 'One user is disconnected, the others stay',
    when: (f) => !isClient(f) && f.someLeft,
    sentence: (f) =>
      `The upstream ${f.reset ? 'reset' : 'ended'} ${f.together > 1 ? `${f.together} connections` : 'this connection'} without a Close frame while others stay${
        isNekoPath(f.path)
          ? ', as Neko does for users who were kicked, logged out or replaced by a second login'
          : ': the session was ended there, or what served it failed'
      }`,
    remedy: () => "look into the upstream's log around this time",
    example: { side: 'upstream', someLeft: true },
  },
  {
    id: 'upstream-gone',
    symptom: 'Everybody is disconnected at once',
    when: (f) => !isClient(f) && f.together > 1,
    sentence: (f) =>
      `The upstream ${f.reset ? 'reset' : 'ended'} all its ${f.together} connections within a second, without a Close frame: it stopped, crashed or was restarted, or the network to it failed`,
    remedy: () => "look into the upstream's log and its restarts",
    example: { side: 'upstream', together: 3 },
  },
  {
    id: 'upstream-ended-only-one',
    symptom: 'The only user is disconnected',
    when: (f) => !isClient(f),
    sentence: (f) =>
      `The upstream ${f.reset ? 'reset' : 'ended'} the only connection that it had, without a Close frame: the session was ended there${
        isNekoPath(f.path) ? ' (kick, logout, second login)' : ''
      }, or the upstream stopped, crashed or was restarted`,
    remedy: () => "look into the upstream's log and its restarts",
    example: { side: 'upstream' },
  },
];

const CLIENT_RULES: readonly EndRule[] = [
  {
    id: 'one-client-ends-together',
    symptom: 'All tabs of one user drop out in the same second',
    when: (f) => f.together > 1 && !f.severalClients,
    sentence: (f) =>
      f.frontIsKnown
        ? `${f.together} connections of one client ${f.reset ? 'were reset' : 'ended without a Close frame'} within a second: its browser crashed or was killed, or its network is gone${f.someLeft ? '' : ', or the proxy in front was reloaded or restarted while nobody else was connected'}${orIdleCut(f)}`
        : `${f.together} connections from one address ${f.reset ? 'were reset' : 'ended without a Close frame'} within a second: a browser with several tabs crashed, was killed or lost its network, or, if that address is a proxy in front, it was reloaded or cut them`,
    example: { together: 3, someLeft: true },
  },
  {
    id: 'clients-end-together',
    symptom: 'Some users drop out in the same second, others stay',
    when: (f) => f.together > 2,
    sentence: (f) =>
      `${f.together} connections ended within a second without a Close frame while older ones stay: the clients' browsers or networks went, or one worker of ${frontOf(f)} ended${orIdleCut(f)}`,
    example: { together: 4, severalClients: true, someLeft: true },
  },
  {
    id: 'client-end-like-others',
    symptom: 'Silent users drop out after the same time again and again, and no proxy in front is known',
    when: (f) => f.likeOthers,
    sentence: (f) =>
      `The client side ${ended(f)} after ${seconds(f.wireIdleMs)} of silence${ownerOf(f, ',')}, like others before it, and none outlived it: a proxy in front, if there is one, cuts connections then, or the client crashed, was killed or gave up`,
    remedy: (f) => `if there is a proxy in front, set keepalive.ping_interval to ${halfOf(f)} or less`,
    example: { wireIdleMs: 60_050, frontIsKnown: false, likeOthers: true },
  },
  {
    id: 'client-end-at-known-limit',
    symptom: 'A silent user drops out after a round number of seconds',
    when: (f) => wasSilent(f) && likelyOwner(f.wireIdleMs) !== null,
    sentence: (f) =>
      `The client side ${ended(f)} after ${seconds(f.wireIdleMs)} of silence,${ownerOf(f, '')}: ${frontOf(f)} ended it (that limit, a reload), or the browser crashed, was killed or lost its network`,
    remedy: (f) => `if it repeats, set keepalive.ping_interval to ${halfOf(f)} or less`,
    example: { wireIdleMs: 60_050 },
  },
  {
    id: 'client-end-while-silent',
    symptom: 'A silent user drops out',
    when: wasSilent,
    sentence: (f) =>
      `The client side ${ended(f)} after ${seconds(f.wireIdleMs)} of silence: the browser crashed, was killed or lost its network, or ${frontOf(f)} ended it (an idle limit, a reload)`,
    remedy: () => 'if others end after the same silence, it is the proxy in front, and the log will say so',
    example: { wireIdleMs: 42_000 },
  },
  {
    id: 'client-reset-behind-ping',
    symptom: 'A user drops out when a network or a laptop goes away',
    when: (f) => f.reset && f.pingUnanswered,
    sentence: () =>
      'The connection to the client was reset while a Ping was unanswered: the browser or its network is gone, or somebody on the way had forgotten the connection',
    example: { reset: true, pingUnanswered: true },
  },
  {
    id: 'client-end-after-message',
    symptom: 'A user drops out',
    when: (f) => f.framesUp + f.framesDown === 0 || f.idleMs >= 1_000,
    sentence: (f) =>
      `The client side ${ended(f)} ${f.framesUp + f.framesDown === 0 ? `${seconds(f.durationMs)} after it connected, before any message` : `${seconds(f.idleMs)} after the last message`}: the browser crashed, was killed or lost its network, or ${frontOf(f)} ended it`,
    example: { idleMs: 7_000, wireIdleMs: 40 },
  },
  {
    id: 'client-end',
    symptom: 'A user drops out in the middle of traffic',
    sentence: (f) =>
      `The client side ${ended(f)} in the middle of traffic: the browser crashed, was killed or lost its network, or ${frontOf(f)} ended it`,
    example: { wireIdleMs: 300 },
  },
];

export const ABRUPT_RULES: readonly EndRule[] = [...UPSTREAM_RULES, ...CLIENT_RULES];

export const FRONT_IDLE_RULES: readonly EndRule[] = [
  {
    id: 'front-idle-cut-or-reload',
    symptom: 'All users drop out in the same second after the same silence',
    when: (f) => f.fits.has('reload'),
    sentence: (f) =>
      `All ${f.together} connections through the proxy in front ended within a second, after ${seconds(f.wireIdleMs)} of silence each, as others did before: it cuts connections after that silence, or it was reloaded or restarted again as long after the last message`,
    remedy: (f) =>
      `if it was not reloaded, set keepalive.ping_interval to ${halfOf(f)} or less, or raise the limit there (nginx: proxy_read_timeout)`,
    example: { wireIdleMs: 60_050, together: 3, severalClients: true, fits: new Set(['idle', 'reload']) },
  },
  {
    id: 'front-idle-or-lifetime-cut',
    symptom: 'Users who never say anything are cut after the same time again and again',
    when: (f) => f.fits.has('lifetime'),
    sentence: (f) =>
      `${capital(frontOf(f))} cut the connection after ${seconds(f.wireIdleMs)}, like others before it${ownerOf(f, ':')}, and nothing had passed on them since they were opened, so it limits their silence or their lifetime`,
    remedy: (f) =>
      `set keepalive.ping_interval to ${halfOf(f)} or less; if they end at that age all the same, raise the limit on lifetimes in front`,
    example: { wireIdleMs: 60_050, durationMs: 60_050, fits: new Set(['idle', 'lifetime']) },
  },
  {
    id: 'front-idle-cut',
    symptom: 'Silent users are cut after the same time again and again',
    sentence: (f) =>
      `${capital(frontOf(f))} cut the connection after ${seconds(f.wireIdleMs)} of silence${ownerOf(f, ',')}: others ended after the same silence, and none outlived it`,
    remedy: (f) =>
      `set keepalive.ping_interval to ${halfOf(f)} or less, or raise the limit there (nginx: proxy_read_timeout)`,
    example: { wireIdleMs: 60_050, fits: new Set(['idle']) },
  },
];

export const FRONT_LIFETIME_RULES: readonly EndRule[] = [
  {
    id: 'front-lifetime-cut-or-reload',
    symptom: 'All users drop out in the same second, and all had been connected for the same time',
    when: (f) => f.fits.has('reload'),
    sentence: (f) =>
      `All ${f.together} connections through the proxy in front ended within a second, ${seconds(f.durationMs)} old like others before them: it limits the lifetime of connections, or it was reloaded or restarted`,
    example: { together: 3, severalClients: true, fits: new Set(['lifetime', 'reload']) },
  },
  {
    id: 'front-lifetime-cut',
    symptom: 'Users are cut when they have been connected for the same time, again and again, whatever passes',
    sentence: (f) =>
      `${capital(frontOf(f))} cut the connection when it was ${seconds(f.durationMs)} old, like others before it, whatever had passed, and none grew older`,
    remedy: () => 'raise the limit on the lifetime of connections there (Caddy: stream_timeout)',
    example: { fits: new Set(['lifetime']) },
  },
];

export const FRONT_RELOAD_RULES: readonly EndRule[] = [
  {
    id: 'front-reload-or-idle-cut',
    symptom: 'All users drop out in the same second after the same silence, for the first time',
    when: (f) => f.sameSilence,
    sentence: (f) =>
      `All ${f.together} connections through the proxy in front ended within a second, after ${seconds(f.wireIdleMs)} of silence${ownerOf(f, ',')}: it was reloaded or restarted, its network failed, or it cut them`,
    remedy: (f) => `if it repeats after the same silence, set keepalive.ping_interval to ${halfOf(f)} or less`,
    example: { wireIdleMs: 60_050, together: 3, severalClients: true, sameSilence: true, fits: new Set(['reload']) },
  },
  {
    id: 'front-reload',
    symptom: 'All users drop out in the same second and come back',
    sentence: (f) =>
      `All ${f.together} connections through the proxy in front ended within a second: it was reloaded or restarted, or its network failed`,
    remedy: () => 'for nginx, a longer worker_shutdown_timeout lets connections outlive a reload',
    example: { together: 3, severalClients: true, fits: new Set(['reload']) },
  },
];

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
