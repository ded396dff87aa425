/** Invariant 7, and that nobody who is dead stays: the policy against peers that read slowly, answer sparsely, or stop. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AskedPing, Keepalive } from '../../src/core/keepalive.ts';
import { PING_MODES, type PingMode } from '../../src/core/settings.ts';
import { askedPing } from '../support/core-harness.ts';

const KIB = 1024;
/** What kernels and fronts hold for a slow reader, in bytes. */
const BUFFERS = 16 * KIB * KIB;
/** 64 KiB/s, in bytes per ms. */
const LEAST_RATE = (64 * KIB) / 1000;
const STEP = 250;

interface Habits {
  readonly mode: PingMode;
  readonly interval: number;
  readonly timeout: number;
  readonly jitter: number;
  /** How many times faster than 64 KiB/s the peer reads. */
  readonly haste: number;
  /** How long its answers take on the way, in steps. */
  readonly latency: number;
  /** Of several Pings read at once it answers only the newest (RFC 6455 5.5.3). */
  readonly isSparse: boolean;
  /** Bytes per ms that are sent to it while there is room. */
  readonly pressure: number;
  /** An application pings it this often, in ms; 0: never. */
  readonly relayedEvery: number;
  /** It sends something of its own this often, in ms; 0: never. */
  readonly talksEvery: number;
}

const anyHabits: fc.Arbitrary<Habits> = fc.record({
  mode: fc.constantFrom(...PING_MODES),
  interval: fc.integer({ min: 500, max: 30_000 }),
  timeout: fc.integer({ min: 3000, max: 40_000 }),
  jitter: fc.constantFrom(0, 0.05, 0.1),
  haste: fc.constantFrom(1, 1.1, 2, 50),
  latency: fc.nat(4),
  isSparse: fc.boolean(),
  pressure: fc.constantFrom(0, 1, 60, 100, 700, 5000),
  relayedEvery: fc.oneof(fc.constant(0), fc.integer({ min: 500, max: 30_000 })),
  talksEvery: fc.oneof(fc.constant(0), fc.integer({ min: 500, max: 60_000 })),
});

interface Sent {
  bytes: number;
  readonly ping: 'ours' | 'relayed' | null;
  readonly asked: AskedPing;
  readonly at: number;
}

/** One side of a connection, and everything on its way to it. */
class SlowPeer {
  readonly keepalive: Keepalive;
  readonly #habits: Habits;
  #now = 0;
  #unread: Sent[] = [];
  #backlog = 0;
  #answers: { readonly due: number; readonly pings: Sent[] }[] = [];
  #relayedPings = 0;
  #relayedPongs = 0;
  #ownPongs = 0;

  constructor(habits: Habits) {
    this.#habits = habits;
    this.keepalive = new Keepalive(habits, Number.POSITIVE_INFINITY, habits.jitter, 0);
    this.keepalive.answersPings = true;
  }

  get backlog(): number {
    return this.#backlog;
  }

  /** @returns when it was taken for dead */
  live(until: number, isAlive: boolean): number | null {
    while (this.#now < until) {
      this.#now += STEP;
      if (isAlive) this.#beAlive();
      this.#beSentTo(isAlive);
      if (this.keepalive.judgementDue() <= this.#now) return this.#now;
    }
    return null;
  }

  #beAlive(): void {
    const { latency, isSparse, talksEvery } = this.#habits;
    const pings = this.#read();
    this.#answers.push({ due: this.#now + latency * STEP, pings: isSparse ? pings.slice(-1) : pings });
    for (; (this.#answers[0]?.due ?? this.#now + 1) <= this.#now; this.#answers.shift()) {
      for (const ping of this.#answers[0]?.pings ?? []) this.#answer(ping);
    }
    if (this.#isTime(talksEvery)) this.keepalive.heard(this.#now);
  }

  /** @returns the Pings among what was read */
  #read(): Sent[] {
    const pings: Sent[] = [];
    let budget = STEP * LEAST_RATE * this.#habits.haste;
    for (let next = this.#unread[0]; next !== undefined && budget > 0; next = this.#unread[0]) {
      const step = Math.min(budget, next.bytes);
      next.bytes -= step;
      budget -= step;
      this.#backlog -= step;
      if (next.bytes > 0) break;
      this.#unread.shift();
      if (next.ping !== null) pings.push(next);
    }
    return pings;
  }

  #answer({ ping, asked, at }: Sent): void {
    this.keepalive.heard(this.#now);
    if (ping === 'ours') this.keepalive.answered(asked, at, ++this.#ownPongs, this.#now);
    else this.keepalive.relayedPong(++this.#relayedPongs, null, this.#now);
  }

  #beSentTo(isAlive: boolean): void {
    const { pressure, relayedEvery, jitter } = this.#habits;
    if (isAlive) {
      const data = Math.min(pressure * STEP, BUFFERS - this.#backlog - 100);
      if (data > 0) this.#send(data, null);
      if (this.#isTime(relayedEvery)) {
        this.keepalive.relayedPing(++this.#relayedPings, this.#now);
        this.#send(2, 'relayed');
        this.keepalive.flushedPing(this.#now);
      }
    }
    if (this.keepalive.pingDue() > this.#now) return;
    this.keepalive.pinged(jitter, this.#now);
    this.#send(10, 'ours');
    this.keepalive.flushedPing(this.#now);
  }

  #send(bytes: number, ping: Sent['ping']): void {
    const asked = askedPing(this.keepalive.position);
    this.#unread.push({ bytes, ping, asked, at: this.#now });
    if (ping === 'ours') this.keepalive.sentPing(asked, this.#now);
    this.keepalive.sent(bytes, this.#now);
    this.#backlog += bytes;
  }

  #isTime(every: number): boolean {
    return every > 0 && this.#now % every < STEP;
  }
}

test('a peer that reads at least 64 KiB/s and answers is never taken for dead', () => {
  fc.assert(
    fc.property(anyHabits, (habits) => {
      const peer = new SlowPeer(habits);
      assert.equal(peer.live(1_500_000, true), null);
    }),
    { numRuns: 150 },
  );
});

test('the slowest of them has megabytes before it for minutes, so that this means something', () => {
  const slow = { jitter: 0, haste: 1, latency: 0, isSparse: false, pressure: 5000, relayedEvery: 0, talksEvery: 0 };
  const peer = new SlowPeer({ mode: 'idle', interval: 10_000, timeout: 30_000, ...slow });
  assert.equal(peer.live(600_000, true), null);
  assert.ok(peer.backlog > BUFFERS - 1_000_000);
});

test('a peer that stops is taken for dead after interval and timeout, and what 64 KiB/s take for the buffers', () => {
  fc.assert(
    fc.property(anyHabits, fc.integer({ min: STEP, max: 100_000 }), (habits, stop) => {
      const peer = new SlowPeer(habits);
      assert.equal(peer.live(stop, true), null);
      const dead = peer.live(stop + 1_000_000, false);
      // A relayed Ping just before may put ours off by an interval.
      const unread = habits.pressure === 0 && habits.relayedEvery === 0 ? 1000 : BUFFERS / LEAST_RATE;
      const latest = stop + 2 * habits.interval + habits.timeout + unread + 2 * STEP;
      assert.ok(dead !== null && dead <= latest, `dead at ${dead}, not by ${latest}`);
      assert.ok(dead >= stop - habits.latency * STEP + habits.timeout - habits.interval - 60_000);
    }),
    { numRuns: 150 },
  );
});
