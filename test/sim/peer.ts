import { ByteQueue } from './byte-queue.ts';
import { closePayload, controlFrame, header, noise } from './frames.ts';
import type { Habits } from './habits.ts';
import type { FarEnd, Link } from './link.ts';
import type { Loop } from './loop.ts';
import type { Random } from './random.ts';
import { codeOf, Walker } from './walker.ts';

const NEVER = Number.POSITIVE_INFINITY;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
/** A slow reader reads this often, in ms. */
const READ_TICK = 250;
/** A burst waits while this much of it is unread. */
const BURST_BACKLOG = 256 * 1024;
/** An upload goes on this often, in ms, by so many bytes. */
const UPLOAD_TICK = 500;
const UPLOAD_STEP = 50;
/** Least time between two naps, in ms. */
const NAP_APART = 60_000;
const CODES = [1000, 1001, 1006, 3000, 4999, null];

/** What was done to a peer, and by it. */
export interface PeerFacts {
  /** When it did what ends a connection for the first time, in ms; `Infinity`: not yet. */
  faultAt: number;
  /** It neither answers nor ends; `deaf` ones still send. */
  isDead: boolean;
  sentClose: boolean;
  sentEnd: boolean;
  sentReset: boolean;
  passedLimit: boolean;
  gotClose: boolean;
  gotEnd: boolean;
  gotReset: boolean;
  /** Some of its answers come late. */
  readonly isLate: boolean;
  /** The most Pongs that have ever waited behind an upload. */
  queuedPongs: number;
}

/** A browser, or a server: speaks, listens, answers, and ends as its habits say. */
export class Peer implements FarEnd {
  readonly habits: Habits;
  readonly facts: PeerFacts;

  readonly #isClient: boolean;
  readonly #loop: Loop;
  readonly #random: Random;
  readonly #link: Link;
  readonly #walker = new Walker();
  readonly #inbox = new ByteQueue();
  #endPending = false;
  #napUntil = Number.NEGATIVE_INFINITY;
  #isReading = false;
  /** Does not read any more, or does not send. */
  #isDeaf = false;
  #isMute = false;
  #newestPing: Uint8Array | null = null;
  #isAnswering = false;
  #answers = 0;
  /** Pongs that wait for the end of an upload; null: there is none. */
  #behindUpload: Uint8Array[] | null = null;
  #queuedPongs = 0;
  /** Fragments of a message are still to come. */
  #isInMessage = false;

  constructor(isClient: boolean, habits: Habits, loop: Loop, random: Random, link: Link) {
    this.#isClient = isClient;
    this.habits = habits;
    this.facts = {
      faultAt: NEVER,
      isDead: false,
      sentClose: false,
      sentEnd: false,
      sentReset: false,
      passedLimit: false,
      gotClose: false,
      gotEnd: false,
      gotReset: false,
      isLate: habits.lateAnswers > 0,
      queuedPongs: 0,
    };
    this.#loop = loop;
    this.#random = random;
    this.#link = link;
  }

  start(): void {
    const { messageEvery, burstEvery, uploadEvery, upload, pingEvery, pongEvery, napEvery, ending, endsAt } =
      this.habits;
    this.#repeat(messageEvery, () => this.#speak());
    this.#repeat(burstEvery, () => this.#burst(this.habits.burst));
    this.#repeat(uploadEvery, () => this.#upload(upload));
    this.#repeat(pingEvery, () => this.#control(PING, this.#random.pick([0, 8, 125])));
    this.#repeat(pongEvery, () => this.#control(PONG, this.#random.pick([0, 8, 8, 125])));
    this.#repeat(napEvery, () => this.#nap());
    if (ending !== 'none') this.#loop.plan(endsAt, () => this.#afterUpload(() => this.#end()));
  }

  arrive(bytes: Uint8Array): void {
    this.#inbox.add(bytes);
    this.#consume();
  }

  arriveEnd(): void {
    this.#endPending = true;
    this.#consume();
  }

  arriveReset(): void {
    this.facts.gotReset = true;
    this.#isMute = true;
    this.#isDeaf = true;
    this.#link.refuses = true;
  }

  get #canSend(): boolean {
    return !this.#isMute && !this.facts.sentClose && !this.facts.sentEnd;
  }

  #repeat(mean: number, act: () => void): void {
    if (mean === NEVER) return;
    const { facts } = this;
    this.#loop.plan(this.#random.waiting(mean), () => {
      if (!this.#canSend || facts.gotClose) return;
      // What is under way is finished before anything else is said.
      if (this.#behindUpload === null && !this.#isInMessage) act();
      this.#repeat(mean, act);
    });
  }

  #key(): Uint8Array | null {
    return this.#isClient ? noise(4, this.#random) : null;
  }

  #speak(): void {
    const { longest, fragments, odd } = this.habits;
    const length = Math.floor(this.#random.fraction() ** 3 * longest);
    const isOdd = this.#random.chance(odd);
    this.#fragment(1, this.#random.chance(fragments) ? this.#random.whole(2, 4) : 1, length, isOdd);
  }

  /** One fragment of so many, and after a pause the next. */
  #fragment(part: number, parts: number, length: number, isOdd: boolean): void {
    if (!this.#canSend) return;
    this.#isInMessage = part < parts;
    const fin = part === parts ? 0x80 : 0;
    const first = fin | (isOdd ? this.#random.pick([0x43, 0x01, 0x0b, 0x00]) : part === 1 ? 0x01 : 0x00);
    this.#frame(first, (first & 0x08) === 0 ? length : length % 126, isOdd);
    if (part === parts) return;
    // An application's Ping may stand between fragments.
    if (this.#random.chance(0.2)) this.#control(PING, 3);
    const { fragmentPause } = this.habits;
    const next = (): void => this.#fragment(part + 1, parts, length, isOdd);
    if (fragmentPause === 0) next();
    else this.#loop.plan(this.#random.between(0, fragmentPause), next);
  }

  /** One message in steps so small that it takes so many ms. Whatever else it says has to wait for its end. */
  #upload(ms: number): void {
    this.#behindUpload = [];
    this.#queuedPongs = 0;
    const steps = Math.ceil(ms / UPLOAD_TICK);
    this.#link.send(header(0x82, steps * UPLOAD_STEP, this.#key()), 0);
    const step = (left: number): void => {
      if (left === 0 || this.#isMute) this.#endUpload();
      else {
        this.#link.send(noise(UPLOAD_STEP, this.#random), 0);
        this.#loop.plan(UPLOAD_TICK, () => step(left - 1));
      }
    };
    step(steps);
  }

  #endUpload(): void {
    const waiting = this.#behindUpload ?? [];
    this.#behindUpload = null;
    if (!this.#isMute) for (const bytes of waiting) this.#link.send(bytes, 0);
  }

  #frame(first: number, length: number, isOdd: boolean): void {
    const key = isOdd && this.#random.chance(0.5) ? null : this.#key();
    this.#transmit([header(first, length, key), noise(length, this.#random)]);
  }

  #control(opcode: number, length: number): void {
    this.#transmit([controlFrame(opcode, noise(length, this.#random), this.#key())]);
  }

  /** Sends as fast as the other side reads. */
  #burst(left: number): void {
    if (!this.#canSend || left <= 0) return;
    const isFull = this.#link.backlog > BURST_BACKLOG;
    const length = Math.min(left, this.#random.whole(1, 200_000));
    if (!isFull) this.#frame(0x82, length, false);
    const wait = isFull ? 200 : 2 * this.habits.delay + 5;
    this.#loop.plan(wait, () => this.#burst(isFull ? left : left - length));
  }

  #transmit(pieces: readonly Uint8Array[]): void {
    if (this.#behindUpload !== null) {
      this.#behindUpload.push(Buffer.concat(pieces));
      return;
    }
    const { cut, crumble, pause, longestPause } = this.habits;
    const random = this.#random;
    if (pause > 0 && random.chance(pause)) this.#sendInParts(pieces, 2, random.between(0, longestPause));
    else if (cut === 0 || !random.chance(cut)) this.#sendInParts(pieces, 1, 0);
    else if (random.chance(crumble)) this.#sendInParts(pieces, 16, random.between(0, 4));
    else this.#sendInParts(pieces, random.whole(2, 4), random.between(0, 20));
  }

  #sendInParts(pieces: readonly Uint8Array[], parts: number, wait: number): void {
    const bytes = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
    let at = 0;
    for (let part = parts; part > 0 && at < bytes.length; part--) {
      // Small cuts first: that is where headers are.
      const next = part === 1 ? bytes.length : at + Math.min(this.#random.whole(1, 4), bytes.length - at);
      this.#link.send(bytes.subarray(at, next), at === 0 ? 0 : wait);
      at = next;
    }
  }

  #nap(): void {
    // Naps that follow each other closely would make one that is too long.
    if (this.#loop.time < this.#napUntil + NAP_APART) return;
    this.#napUntil = this.#loop.time + this.habits.nap;
    this.#loop.plan(this.habits.nap, () => this.#consume());
  }

  #consume(): void {
    if (this.#isDeaf || this.#isReading || this.#loop.time < this.#napUntil) return;
    if (this.#inbox.length > 0) this.#readSome();
    if (this.#inbox.length === 0 && this.#endPending && !this.facts.gotEnd) this.#afterEnd();
  }

  #readSome(): void {
    const { readRate } = this.habits;
    const bytes = this.#inbox.take(readRate === NEVER ? this.#inbox.length : Math.ceil(readRate * READ_TICK));
    this.#link.consumed(bytes.length);
    for (let at = 0; at < bytes.length; ) {
      at = this.#walker.advance(bytes, at);
      if (this.#walker.atBoundary && this.#walker.isControl) this.#hear();
    }
    if (readRate === NEVER) return;
    this.#isReading = true;
    this.#loop.plan(READ_TICK, () => {
      this.#isReading = false;
      this.#consume();
    });
  }

  #hear(): void {
    const { opcode, payload } = this.#walker;
    if (opcode === PING) this.#answerPing(payload);
    else if (opcode === CLOSE) this.#afterClose(payload);
  }

  /** RFC 6455 section 5.5.3 lets a peer answer only the newest of several. */
  #answerPing(payload: Uint8Array): void {
    const { answerDelay, answersNewest, isMute, lateAnswers, lateBy } = this.habits;
    if (isMute) return;
    this.#answers++;
    const delay = this.#answers <= lateAnswers ? lateBy : answerDelay;
    if (answersNewest) this.#newestPing = payload;
    if (answersNewest && this.#isAnswering) return;
    this.#isAnswering = answersNewest;
    this.#loop.plan(delay, () => {
      this.#isAnswering = false;
      this.#pong(answersNewest ? (this.#newestPing as Uint8Array) : payload);
    });
  }

  #pong(payload: Uint8Array): void {
    if (!this.#canSend) return;
    const times = this.#random.chance(this.habits.replay) ? 2 : 1;
    if (this.#behindUpload !== null) {
      this.#queuedPongs++;
      this.facts.queuedPongs = Math.max(this.facts.queuedPongs, this.#queuedPongs);
    }
    const key = this.#isClient === this.habits.masksWrongly ? null : noise(4, this.#random);
    for (let i = 0; i < times; i++) this.#transmit([controlFrame(PONG, payload, key)]);
  }

  #afterClose(payload: Uint8Array): void {
    const { facts, habits } = this;
    facts.gotClose = true;
    if (!habits.answersClose) return;
    const answer = (): void => {
      if (!facts.sentClose) this.#sendClose(codeOf(payload));
      // A server ends first; some do not.
      if (!this.#isClient && this.#random.chance(0.7)) this.#sendEnd();
    };
    this.#loop.plan(this.#random.between(0, 100), () => this.#afterUpload(answer));
  }

  #afterEnd(): void {
    this.facts.gotEnd = true;
    if (!this.habits.answersEnd) return;
    this.#loop.plan(this.#random.between(0, 50), () => this.#afterUpload(() => this.#sendEnd()));
  }

  #sendClose(code: number | null): void {
    if (!this.#canSend) return;
    const payload = closePayload(code, code === null ? '' : this.#random.pick(['', 'bye', 'unexpected EOF']));
    this.#transmit([controlFrame(CLOSE, payload, this.#key())]);
    this.facts.sentClose = true;
  }

  #sendEnd(): void {
    if (this.#isMute || this.facts.sentEnd) return;
    this.facts.sentEnd = true;
    this.#link.sendEnd();
  }

  /** What its fate has for it. */
  /** Does it once no upload is under way. */
  #afterUpload(act: () => void): void {
    if (this.#behindUpload === null) act();
    else this.#loop.plan(UPLOAD_TICK, () => this.#afterUpload(act));
  }

  #end(): void {
    const { facts, habits } = this;
    if (!this.#canSend || facts.gotClose || facts.gotEnd) return;
    facts.faultAt = this.#loop.time;
    const { ending } = habits;
    if (ending === 'close') this.#sendClose(this.#random.pick(CODES));
    else if (ending === 'reset') this.#reset();
    else if (ending === 'vanish' || ending === 'freeze' || ending === 'deaf') this.#die(ending);
    else if (ending === 'long_frame' || ending === 'bad_length' || ending === 'ping_flood') this.#breakLimit(ending);
    else this.#endTcp(ending);
  }

  #reset(): void {
    this.facts.sentReset = true;
    this.#isMute = true;
    this.#isDeaf = true;
    this.#link.sendReset();
  }

  #endTcp(ending: Habits['ending']): void {
    // Inside a header, or inside a payload.
    if (ending === 'torn') this.#transmit([header(0x82, 5000, this.#key()).subarray(0, this.#random.whole(1, 3))]);
    else if (this.#random.chance(0.2)) this.#burst(this.habits.burst);
    this.#sendEnd();
    if (ending !== 'half_close') {
      this.#isDeaf = true;
      this.#link.refuses = true;
    }
  }

  #die(how: 'vanish' | 'freeze' | 'deaf'): void {
    // Some leave a frame behind that is not whole.
    if (how !== 'deaf' && this.#random.chance(0.2)) this.#transmit([header(0x82, 5000, this.#key())]);
    this.facts.isDead = true;
    this.#isDeaf = true;
    if (how === 'vanish') this.#link.vanished = true;
    if (how !== 'deaf') this.#isMute = true;
  }

  #breakLimit(how: 'long_frame' | 'bad_length' | 'ping_flood'): void {
    this.facts.passedLimit = true;
    const length = how === 'bad_length' ? 2 ** 63 : 5 * 1024 * 1024;
    if (how === 'ping_flood') for (let i = 0; i < 300; i++) this.#control(PING, 2);
    else this.#transmit([header(0x82, length, this.#key()), noise(100, this.#random)]);
  }
}
