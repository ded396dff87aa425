import type { PingSettings } from '../../src/core/settings.ts';
import type { Random } from './random.ts';
import type { WorldSettings } from './settings.ts';

const NEVER = Number.POSITIVE_INFINITY;
const SECOND = 1000;
const MINUTE = 60_000;
const KIB = 1024;
/** Mean time between the messages of those who are never quiet, in ms. */
export const CHATTY = 2000;

/** How a peer ends its part, unless something else ends it before. */
export type CloseState =
  /** Stays until the proxy stops. */
  | 'none'
  | 'close'
  /** TCP ends without a Close: the process is gone, or it listens on, or it breaks off inside a frame. */
  | 'exit'
  | 'half_close'
  | 'torn'
  | 'reset'
  /** Nothing passes any more, and nobody is told. */
  | 'vanish'
  /** The process stands still, its kernel does not. */
  | 'freeze'
  /** It sends, but does not read. */
  | 'deaf'
  | 'long_frame'
  | 'bad_length'
  | 'ping_flood';

/** A peer's character and fate. Times in ms, sizes in bytes. */
export interface Habits {
  readonly delay: number;
  readonly capacity: number;
  readonly idleLimit: number;
  /** Mean time between messages, the longest of them, and the chance that one is cut into fragments. */
  readonly messageEvery: number;
  readonly longest: number;
  readonly fragments: number;
  /** Mean time between bursts, and how long one is. */
  readonly burstEvery: number;
  readonly burst: number;
  /** Mean time between Pings of the application, and between Pongs that nobody asked for. */
  readonly pingEvery: number;
  readonly pongEvery: number;
  /** Chance that a Pong is sent twice, and that a frame breaks a rule. */
  readonly replay: number;
  readonly odd: number;
  /** How frames are cut: chance that one is cut, and that it is cut into single bytes. */
  readonly cut: number;
  readonly crumble: number;
  /** Chance of a pause inside a frame, and the longest. */
  readonly pause: number;
  readonly longestPause: number;
  readonly answerDelay: number;
  readonly answersNewest: boolean;
  /** It never answers a Ping. */
  readonly isMute: boolean;
  /** So many of its answers come later than they should, and by how much, in ms. */
  readonly lateAnswers: number;
  readonly lateBy: number;
  /** Its Pongs have the masking of the other side. */
  readonly masksWrongly: boolean;
  /** Mean time between uploads of one message in small steps, behind which its Pongs wait, and how long one takes. */
  readonly uploadEvery: number;
  readonly upload: number;
  /** Longest pause between two fragments. */
  readonly fragmentPause: number;
  /** Bytes read per ms. */
  readonly readRate: number;
  /** Mean time between naps, in which nothing is read. */
  readonly napEvery: number;
  readonly nap: number;
  readonly ending: CloseState;
  /** When the ending comes. */
  readonly endsAt: number;
  /** A Close is answered with a Close; a TCP end with one. */
  readonly answersClose: boolean;
  readonly answersEnd: boolean;
}

const ENDINGS: readonly CloseState[] = [
  ...(['none', 'none', 'close', 'close', 'close', 'exit', 'half_close', 'torn', 'reset'] as const),
  ...(['vanish', 'vanish', 'freeze', 'deaf', 'long_frame', 'bad_length', 'ping_flood'] as const),
];

export function drawHabits(random: Random, world: WorldSettings, pings: PingSettings, longestInterval: number): Habits {
  const base = drawSpeech(random, pings);
  const isLate = random.chance(0.15) && pings.timeout !== NEVER;
  const hearing = drawHearing(random, pings, world.stall);
  // A Pong that nobody asked for is taken for the answer to an application’s Ping, and that the slow and the mute owe.
  const odd = drawOddities(random, pings);
  const pongEvery = hearing.readRate === NEVER && !odd.isMute ? base.pongEvery : NEVER;
  const habits = { ...base, pongEvery, ...hearing, ...odd, ...drawFate(random, world) };
  const punctual = isLate ? { ...habits, ...late(random, pings) } : habits;
  return { ...punctual, idleLimit: drawIdleLimit(random, longestInterval, punctual) };
}

function drawSpeech(random: Random, pings: PingSettings) {
  const isQuiet = random.chance(0.5);
  const isBusy = random.chance(0.06);
  const isChatty = random.chance(0.02);
  const pauseLimit = Math.min(pings.interval, pings.timeout, MINUTE) * 0.3;
  return {
    messageEvery: isChatty ? CHATTY : isQuiet ? NEVER : random.pick([2, 15, 60]) * MINUTE,
    longest: random.pick([100, 2000, 70 * KIB]),
    fragments: random.pick([0, 0, 0.5]),
    burstEvery: isBusy ? 15 * MINUTE : NEVER,
    burst: random.pick([256 * KIB, 1024 * KIB, 6 * 1024 * KIB]),
    pingEvery: random.chance(0.2) ? random.pick([8 * SECOND, 60 * SECOND]) : NEVER,
    pongEvery: random.chance(0.1) ? 2 * MINUTE : NEVER,
    replay: random.pick([0, 0, 0.05]),
    odd: random.pick([0, 0, 0.1]),
    cut: random.pick([0, 0, 0.3]),
    crumble: random.pick([0, 0.3]),
    pause: random.pick([0, 0, 0.1]),
    longestPause: pauseLimit,
  };
}

function drawHearing(random: Random, pings: PingSettings, stall: number) {
  const isSlow = random.chance(0.06);
  return {
    delay: random.pick([0.2, 5, 40, 150]),
    capacity: random.pick([64, 256, 1024, 4096]) * KIB,
    answerDelay: random.pick([0, 5, Math.min(2 * SECOND, pings.timeout * 0.2)]),
    answersNewest: random.chance(0.5),
    // Invariant 7: 64 KiB/s is the least that counts as draining.
    readRate: isSlow ? random.between(66, 400) : NEVER,
    napEvery: random.chance(0.1) ? 5 * MINUTE : NEVER,
    nap: Math.min(pings.timeout, stall, 30 * SECOND) * 0.3,
  };
}

/** What programs do that are alive, and that a proxy in a hurry would take for dead. */
function drawOddities(random: Random, pings: PingSettings) {
  const isUploading = random.chance(0.08);
  const isLate = random.chance(0.08) && pings.timeout !== NEVER;
  return {
    isMute: random.chance(0.08),
    lateAnswers: isLate ? random.pick([1, NEVER, NEVER]) : 0,
    lateBy: isLate ? pings.timeout * random.between(1.02, 1.8) : 0,
    masksWrongly: random.chance(0.05),
    uploadEvery: isUploading ? 10 * MINUTE : NEVER,
    upload: Math.min(pings.interval, MINUTE) * random.between(8, 15),
    // Short enough for a Ping to find the end of the message, or long enough for it not to.
    fragmentPause: random.pick([0, 0.1, 3]) * Math.min(pings.interval, MINUTE),
  };
}

function drawFate(random: Random, world: WorldSettings) {
  const drawn = random.pick(ENDINGS);
  const isUnlimited =
    (drawn === 'long_frame' && world.limits.maxPayload === NEVER) ||
    (drawn === 'ping_flood' && world.limits.controlRate === NEVER);
  const ending: CloseState = isUnlimited ? 'close' : drawn;
  return {
    ending,
    endsAt: random.waiting(60 * MINUTE),
    answersClose: random.chance(0.9),
    answersEnd: random.chance(0.9),
  };
}

/** Answers just in time, and does nothing that would make it later. */
function late(random: Random, pings: PingSettings): Partial<Habits> {
  const delay = random.between(1, 10);
  const spare = random.between(5, 900);
  const answerDelay = pings.timeout - 2 * delay - spare;
  const punctual = {
    lateAnswers: 0,
    uploadEvery: NEVER,
    fragmentPause: 0,
    cut: 0,
    crumble: 0,
    pause: 0,
    napEvery: NEVER,
    readRate: NEVER,
    burstEvery: NEVER,
  };
  return { ...punctual, delay, answerDelay, messageEvery: NEVER, replay: 0, pingEvery: NEVER };
}

/** Something on the way cuts after this much silence: mostly longer than the interval, and sometimes too short to help. */
function drawIdleLimit(random: Random, interval: number, habits: Pick<Habits, 'nap' | 'napEvery'>): number {
  if (random.chance(0.2) || interval === NEVER) return NEVER;
  if (random.chance(0.03)) return interval * random.between(0.3, 0.8);
  const naps = habits.napEvery === NEVER ? 0 : habits.nap;
  return interval * random.between(1.02, 2.5) + 1500 + naps;
}
