/** A mistake that somebody could make: a piece of text in a file of `src`, and what stands there instead. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const KEEPALIVE = 'core/keepalive.ts';
const RELAY = 'core/relay.ts';
const TUNNEL = 'core/tunnel.ts';
const ENDING = 'core/ending.ts';
const LEG = 'core/leg.ts';
const TAGS = 'core/ping-tags.ts';
const SCANNER = 'core/frame-scanner.ts';
const SCHEDULER = 'io/scheduler.ts';
const CONNECTION = 'io/connection.ts';
const ENDPOINT = 'io/endpoint.ts';

/** Each of them has to be found by the simulation. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a frame is injected inside another one',
    file: RELAY,
    find: 'if (this.scanner.remaining > 0) return false;',
    replace: '',
  },
  {
    name: 'bytes of a frame that is not whole are no sign of life',
    file: TUNNEL,
    find: 'from.keepalive.heard(now);\n    const before = to.relay.bytes;\n    const seen = to.relay.push(chunk, now, to.out);',
    replace:
      'const before = to.relay.bytes;\n    const seen = to.relay.push(chunk, now, to.out);\n    if (to.relay.scanner.remaining === 0 && to.relay.scanner.heldLength === 0) from.keepalive.heard(now);',
  },
  {
    name: 'any Pong of eight bytes is swallowed',
    file: TAGS,
    find: 'if (index === -1) return null;',
    replace: 'if (index === -1) return this.#outstanding[0] ?? null;',
  },
  {
    name: 'an answer does not forget the older Pings',
    file: TAGS,
    find: 'this.#replace(this.#outstanding.slice(isDone ? index + 1 : index));',
    replace: 'if (isDone) this.#replace(this.#outstanding.toSpliced(index, 1));',
  },
  {
    name: 'Pongs of the proxy are passed on',
    file: RELAY,
    find: 'if (answered === null) return false;',
    replace: 'if (answered === null || answered.sentAt > 0) return false;',
  },
  {
    name: 'nobody gets a fresh window after a late tick',
    file: SCHEDULER,
    find: 'if (isLate) this.#heap.forEach((item) => item.refresh(now));',
    replace: 'void isLate;',
  },
  {
    name: 'the dead are judged in the timer phase',
    file: SCHEDULER,
    find: 'if (this.#suspects.length > 0) this.#clock.afterPoll(this.#onPolled);',
    replace: 'if (this.#suspects.length > 0) this.#onPolled();',
  },
  {
    name: 'Pings go on behind a Close',
    file: TUNNEL,
    find: 'return this.facts === null ? leg.keepalive.pingDue() : NEVER;',
    replace: "return leg.state === 'open' ? leg.keepalive.pingDue() : NEVER;",
  },
  {
    name: 'frames towards the upstream are not masked',
    file: LEG,
    find: "return this.side === 'client' ? null : this.#random();",
    replace: 'return null;',
  },
  {
    name: 'the mask key is always the same',
    file: LEG,
    find: "return this.side === 'client' ? null : this.#random();",
    replace: "return this.side === 'client' ? null : 0x01020304;",
  },
  {
    name: 'held bytes are lost at the end',
    file: RELAY,
    find: 'this.#passRange(held, 0, held.length, out);',
    replace: 'void out;',
  },
  {
    name: 'slow readers get no allowance',
    file: KEEPALIVE,
    find: 'const answer = this.#reading ? this.#askedAt + timeout + this.#allowance : NEVER;',
    replace: 'const answer = this.#reading ? this.#askedAt + timeout : NEVER;',
  },
  {
    name: 'a Pong that nobody asked for answers a Ping of the proxy',
    file: KEEPALIVE,
    find: 'if (this.#relayedPongs - this.#unasked >= this.#probe)\n      this.#bytesAnswered = Math.max(this.#bytesAnswered, this.#probePosition);',
    replace: 'this.#bytesAnswered = this.#bytesSent;',
  },
  {
    name: 'a stall is not noticed',
    file: KEEPALIVE,
    find: 'return this.#stalledAt + this.stall;',
    replace: 'return NEVER;',
  },
  {
    name: 'progress does not end a stall',
    file: KEEPALIVE,
    find: 'if (this.#stalledAt === NEVER || flushed <= this.#flushed) return;',
    replace: 'if (flushed >= 0) return;',
  },
  {
    name: 'the Pong clock goes on while reading is paused',
    file: KEEPALIVE,
    find: 'this.#reading = false;',
    replace: '',
  },
  {
    name: 'a Close 1001 is sent upstream for a client that vanished',
    file: ENDING,
    find: 'client.reset();\n      this.#finishUnlessClosing(upstream);',
    replace: "client.reset();\n      upstream.sendClose(1001, 'client is gone');",
  },
  {
    name: 'the client is not told that the upstream is dead',
    file: ENDING,
    find: 'upstream.reset();\n    this.#closeOrFinishClient(1011, reason);',
    replace: 'upstream.reset();\n    client.finish();',
  },
  {
    name: 'the upstream is kept when the client is gone',
    file: ENDING,
    find: 'if (this.#secondClose === null) this.#finishUnlessClosing(upstream);',
    replace: '',
  },
  {
    name: 'a Ping is injected while a relayed one is unanswered',
    file: KEEPALIVE,
    find: 'return Math.max(due, this.#relayedPing + interval);',
    replace: 'return due;',
  },
  {
    name: 'Pings come when both directions are quiet alone',
    file: KEEPALIVE,
    find: 'Math.min(this.#heard, this.#sent)',
    replace: 'Math.max(this.#heard, this.#sent)',
  },
  {
    name: 'Pings come late',
    file: KEEPALIVE,
    find: 'interval * (1 - this.#jitter)',
    replace: 'interval * (1.5 + this.#jitter)',
  },
  {
    name: 'nobody is ever declared dead',
    file: TUNNEL,
    find: "else if (this.facts === null) this.ending.died(leg, 'pong_timeout', now);",
    replace: 'else if (this.facts === null) leg.keepalive.heard(now);',
  },
  {
    name: 'headers are not held back',
    file: SCANNER,
    find: 'this.#hold(chunk, next);\n        return next;',
    replace: 'this.#hold(chunk, next);\n        return chunk.length;',
  },
  {
    name: 'reading is never paused',
    file: CONNECTION,
    find: '      from.pause();\n',
    replace: '      void from;\n',
  },
  {
    name: 'reading is not resumed',
    file: CONNECTION,
    find: 'endpoint.leg.keepalive.drained();\n    this.#other(endpoint).resume(this.#deps.clock.now());',
    replace: 'endpoint.leg.keepalive.drained();',
  },
  {
    name: 'a chunk that waits is not kept',
    file: CONNECTION,
    find: '      if (endpoint.holdsPiece) this.#deps.turn.keep();\n',
    replace: '',
  },
  {
    name: 'a read into a buffer of its own overtakes what was put off',
    file: 'io/socket-reader.ts',
    find: 'if (this.#turn.flush()) this',
    replace: 'if (this.#own !== own) this',
  },
  {
    name: 'a write overtakes what was put off',
    file: ENDPOINT,
    find: '  write(): number {\n    this.writeDeferred();\n',
    replace: '  write(): number {\n',
  },
  {
    name: 'what waits is thrown away at the end',
    file: ENDPOINT,
    find: "if (wish === 'end') socket.end();",
    replace: "if (wish === 'end') socket.destroy();",
  },
  {
    name: 'a peer that does not end is waited for for ever',
    file: TUNNEL,
    find: 'else leg.until = now + LINGER;\n  }\n\n  /** When `handleTimer`',
    replace: '}\n\n  /** When `handleTimer`',
  },
  {
    name: 'a connection that is over stays in the registry',
    file: CONNECTION,
    find: 'this.#forget();\n',
    replace: '\n',
  },
];
