/** Where nobody cuts anything, no end is ever put down to the front: random mixtures of ends, in small rooms and in a crowd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { CloseReport } from '../../src/core/events.ts';
import type { OpenConnection } from '../../src/observe/close-groups.ts';
import { createMetrics } from '../../src/observe/metrics/metrics.ts';
import { createObserver } from '../../src/observe/observer.ts';
import { randomFrom } from '../support/ends.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { createSinkLogger } from '../support/log-sink.ts';
import { closeReport, connectionInfo } from '../support/reports.ts';

const INTERVAL = 10_000;

interface Member extends OpenConnection {
  readonly client: string;
  /** When a byte last passed. */
  activeAt: number;
}

/** A room whose members talk now and then, are sent Pings, and leave in every way that is not the front's. */
class Room {
  readonly clock = new FakeClock();
  readonly initiators = new Map<string, number>();
  readonly #members: Member[] = [];
  readonly #random: () => number;
  readonly #frontIsKnown: boolean;
  readonly #observer;

  constructor(seed: number, size: number, frontIsKnown: boolean) {
    this.#random = randomFrom(seed);
    this.#frontIsKnown = frontIsKnown;
    this.clock.time = 10_000_000;
    const ping = { interval: INTERVAL, timeout: 30_000, mode: 'idle' } as const;
    const keepalive = { client: ping, upstream: ping, adaptive: true, frontIdleTimeout: 60_000 };
    this.#observer = createObserver({
      log: createSinkLogger().log,
      metrics: createMetrics({ version: '1', commit: 'c' }),
      timing: this.clock,
      keepaliveOf: () => keepalive,
      openConnections: () => this.#members,
      onClosed: ({ initiator }) => this.initiators.set(initiator, (this.initiators.get(initiator) ?? 0) + 1),
    });
    for (let index = 0; index < size; index += 1) this.#join(this.clock.now() - this.#random() * 3_600_000);
  }

  /** So many ms in which members leave at this rate, each replaced by a new one. */
  live(ms: number, endsPerSecond: number): void {
    const until = this.clock.now() + ms;
    for (;;) {
      const wait = (-Math.log(1 - this.#random()) / endsPerSecond) * 1_000;
      if (this.clock.now() + wait > until) break;
      this.clock.advance(wait);
      this.#leave();
    }
    this.clock.advance(5_000);
  }

  #join(openedAt: number): void {
    const client = `10.${Math.floor(this.#random() * 250)}.0.1`;
    const member: Member = {
      info: connectionInfo({ client, frontIsKnown: this.#frontIsKnown }),
      client,
      openedAt,
      isClosing: false,
      // Jitter sends Pings a little early; most members say nothing in between.
      activeAt: this.clock.now() - this.#random() * INTERVAL * 0.95,
      wireIdleFor: (now) => (now - member.activeAt) % (INTERVAL * 0.95),
    };
    this.#members.push(member);
  }

  #leave(): void {
    // The first member is the operator, who stays.
    const [member] = this.#members.splice(1 + Math.floor(this.#random() * (this.#members.length - 1)), 1);
    if (member === undefined) return;
    const now = this.clock.now();
    const wireIdleMs = member.wireIdleFor(now);
    const end = {
      client: member.client,
      frontIsKnown: this.#frontIsKnown,
      endedAt: now,
      wireIdleMs,
      idleMs: wireIdleMs,
    };
    this.#observer.closed(closeReport({ ...end, durationMs: now - member.openedAt, ...this.#way() }));
    this.#join(now);
  }

  #way(): Partial<CloseReport> {
    const way = this.#random();
    if (way < 0.6) return { cause: 'abrupt_end' };
    if (way < 0.8) return { cause: 'abrupt_end', reset: true, pingUnanswered: way < 0.7 };
    if (way < 0.9) return { code: 1001 };
    return { cause: 'abrupt_end', side: 'upstream' };
  }
}

test('nine thousand connections, of which one to two end abruptly each second', () => {
  for (const [seed, rate] of [
    [1, 1],
    [2, 2],
    [3, 4],
  ] as const) {
    const room = new Room(seed, 9_000, true);
    room.live(180_000, rate);
    assert.equal(room.initiators.get('front'), undefined, `seed ${seed}`);
    assert.ok((room.initiators.get('client') ?? 0) > 60);
  }
});

test('small rooms, quiet and lively, behind a known front or none', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 4, max: 60 }), fc.boolean(), (seed, size, frontIsKnown) => {
      const room = new Room(seed, size, frontIsKnown);
      room.live(600_000, 0.1);
      return room.initiators.get('front') === undefined;
    }),
    { numRuns: 60 },
  );
});
