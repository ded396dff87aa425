/**
 * A mistake that somebody could make, in a function or method that is found by its name: the whole of its body, or one place in it.
 * Whether each can still be made is checked before anything is simulated.
 */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  /** `#name` for a private method. */
  readonly method: string;
  /** What stands in the method once, and is replaced; absent: the whole body is. */
  readonly find?: RegExp;
  readonly replace: string;
  /** A seed of the simulation that finds it early, tried before the others. */
  readonly seed?: number;
}

const KEEPALIVE = 'core/keepalive.ts';
const PATIENCE = 'core/patience.ts';
const DIRECTION = 'core/direction.ts';
const TUNNEL = 'core/tunnel.ts';
const CLOSING = 'core/closing.ts';
const SIDE = 'core/side.ts';
const TAGS = 'core/ping-tags.ts';
const SCANNER = 'core/frame-scanner.ts';
const SCHEDULER = 'tunnel/scheduler.ts';
const CONNECTION = 'tunnel/connection.ts';
const TUNNEL_SOCKET = 'tunnel/tunnel-socket.ts';

/** Each of them has to be found by the simulation. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'a frame is injected inside another one',
    file: SCANNER,
    method: 'isAt',
    find: /this\.remaining === 0/,
    replace: 'true',
  },
  {
    name: 'bytes of a frame that is not whole are no sign of life',
    file: TUNNEL,
    method: 'receive',
    find: /from\.keepalive\.heard\(now\);([^]*?to\.out\);)/,
    replace:
      '$1 if (to.outgoing.scanner.remaining === 0 && to.outgoing.scanner.heldLength === 0) from.keepalive.heard(now);',
  },
  {
    name: 'any Pong of eight bytes is swallowed',
    file: TAGS,
    method: 'take',
    find: /return null;/,
    replace: 'return this.#outstanding[0] ?? null;',
  },
  {
    name: 'an answer does not forget the older Pings',
    file: TAGS,
    method: 'take',
    find: /slice\(index \+ 1\)/,
    replace: 'toSpliced(index, 1)',
  },
  {
    name: 'Pongs of the proxy are passed on',
    file: DIRECTION,
    method: '#takeOwnPong',
    find: /answered === null/,
    replace: 'answered === null || answered.sentAt > 0',
  },
  {
    name: 'answers with the wrong masking are passed on',
    file: SCANNER,
    method: '#isCandidate',
    find: /\(second & LENGTH_BITS\)/,
    replace: '(second ^ (this.#masked ? MASK_BIT : 0))',
  },
  {
    name: 'nobody gets a fresh window after a late tick',
    seed: 6,
    file: SCHEDULER,
    method: '#onTimer',
    find: /this\.#heap\.forEach\([^;]*;/,
    replace: '',
  },
  {
    name: 'the dead are judged in the timer phase',
    file: SCHEDULER,
    method: '#onTimer',
    find: /this\.#clock\.afterPoll\(this\.#onPolled\)/,
    replace: 'this.#onPolled()',
  },
  {
    name: 'Pings go on behind a Close',
    seed: 4,
    file: TUNNEL,
    method: '#sendDue',
    find: /this\.facts === null/,
    replace: "side.state === 'open'",
  },
  { name: 'frames towards the upstream are not masked', file: SIDE, method: '#maskKey', replace: 'return null;' },
  {
    name: 'the mask key is always the same',
    file: SIDE,
    method: '#maskKey',
    find: /this\.#random\(\)/,
    replace: '0x01020304',
  },
  {
    name: 'held bytes are lost at the end',
    file: DIRECTION,
    method: 'end',
    find: /this\.#passRange\([^]*?\);/,
    replace: 'void out;',
  },
  { name: 'slow readers get no allowance', seed: 5, file: KEEPALIVE, method: '#drainTime', replace: 'return 0;' },
  {
    name: 'a Pong that nobody asked for answers a Ping of the proxy',
    seed: 4,
    file: KEEPALIVE,
    method: '#noteRelayedAnswer',
    replace: 'this.#bytesAnswered = this.#bytesSent; void now;',
  },
  { name: 'a stall is not noticed', file: KEEPALIVE, method: 'stallDue', replace: 'return NEVER;' },
  {
    name: 'progress does not end a stall',
    seed: 3,
    file: KEEPALIVE,
    method: 'progressed',
    replace: 'void [flushed, now];',
  },
  {
    name: 'the Pong clock goes on while reading is paused',
    seed: 2,
    file: KEEPALIVE,
    method: 'paused',
    find: /this\.#reading = false;/,
    replace: '',
  },
  {
    name: 'a side that never answered a Ping is judged by its silence',
    file: KEEPALIVE,
    method: '#timeout',
    find: /this\.answersPings \?/,
    replace: 'timeout !== 0 ?',
  },
  {
    name: 'the late get no more time than others',
    file: KEEPALIVE,
    method: '#timeout',
    find: /Math\.max\(timeout, this\.#patience\?\.ms \?\? 0\)/,
    replace: 'timeout',
  },
  {
    name: 'the late get no more than what their answers took',
    file: PATIENCE,
    method: 'note',
    find: /LATE_FACTOR \* slowest/,
    replace: 'slowest * 0.9',
  },
  {
    name: 'one late answer is remembered for ever',
    seed: 2,
    file: PATIENCE,
    method: 'note',
    find: /\.slice\(-LAST_ANSWERS\)/,
    replace: '',
  },
  {
    name: 'the first Ping waits for a quiet time',
    file: KEEPALIVE,
    method: 'pingDue',
    find: / && this\.pings > 0/,
    replace: '',
  },
  {
    name: 'a Ping goes out while four are unanswered and bytes come',
    file: SIDE,
    method: 'pingDue',
    find: /this\.#tags\.isFull\s*\?[^]*?: due/,
    replace: 'due',
  },
  {
    name: 'nothing goes to a client in the place of a Ping',
    seed: 2,
    file: SIDE,
    method: 'pongDue',
    replace: 'return NEVER;',
  },
  {
    name: 'a Pong that nobody asked for goes to an upstream too',
    file: SIDE,
    method: 'pongDue',
    find: /this\.name === 'upstream' \|\| /,
    replace: '',
  },
  {
    name: 'a Pong that nobody asked for goes to a client that waits for one',
    seed: 2,
    file: SIDE,
    method: 'pong',
    find: /mayBeMistaken \|\| /,
    replace: '',
  },
  {
    name: 'a Ping does not wait for the end of a message',
    file: SIDE,
    method: 'ping',
    find: /Boundary\.message/,
    replace: 'Boundary.frame',
  },
  {
    name: 'a Ping waits for the end of a message for ever',
    file: SIDE,
    method: 'patienceDue',
    replace: 'return NEVER;',
  },
  {
    name: 'a Close 1001 is sent upstream for a client that vanished',
    file: CLOSING,
    method: 'died',
    find: /this\.#finishUnlessClosing\([^]*?\);/,
    replace:
      "if (side === this.client) this.upstream.sendClose(1001, 'client is gone', Boundary.frame, now); else this.client.finish();",
  },
  {
    name: 'the client is told in a Close that the upstream is dead',
    file: CLOSING,
    method: 'died',
    find: /side\.reset\(\);/,
    replace:
      "side.reset(); if (side === this.upstream && this.client.state === 'open' && this.client.outgoing.canInject) this.client.sendClose(1011, 'upstream', Boundary.frame, now);",
  },
  {
    name: 'the client is told in a Close that the upstream has ended',
    file: CLOSING,
    method: '#afterUpstreamEnd',
    find: /this\.#finishUnlessClosing\(client\);/,
    replace:
      "if (client.state === 'open' && client.outgoing.canInject && !client.ended) client.sendClose(1011, 'upstream', Boundary.frame, now); else this.#finishUnlessClosing(client);",
  },
  {
    name: 'the client is not told which limit it has passed',
    seed: 4,
    file: CLOSING,
    method: 'passedLimit',
    find: /client\.state === 'open' && /,
    replace: "client.state === 'gone' && ",
  },
  {
    name: 'a stop sends a Close that nobody has asked for',
    file: CLOSING,
    method: 'drained',
    find: /this\.#stopAtBoundaries\(now\)/,
    replace: 'for (const side of [this.client, this.upstream]) side.sendClose(1012, reason, Boundary.message, now)',
  },
  {
    name: 'the upstream is kept when the client is gone',
    file: CLOSING,
    method: '#afterClientEnd',
    find: /if \(this\.#secondClose === null\)[^;]*;/,
    replace: '',
  },
  {
    name: 'a Ping is injected while a relayed one is unanswered',
    file: KEEPALIVE,
    method: 'pingDue',
    find: /Math\.max\(due, this\.#relayedPing \+ interval\)/,
    replace: 'due',
  },
  {
    name: 'Pings come when both directions are quiet alone',
    seed: 5,
    file: KEEPALIVE,
    method: 'pingDue',
    find: /Math\.min\(this\.#heard, this\.#sent\)/,
    replace: 'Math.max(this.#heard, this.#sent)',
  },
  {
    name: 'Pings come late',
    file: KEEPALIVE,
    method: 'pingDue',
    find: /1 - this\.#jitter/,
    replace: '1.5 + this.#jitter',
  },
  {
    name: 'nobody is ever declared dead',
    file: TUNNEL,
    method: '#judgeSide',
    find: /this\.closing\.died\(side, 'pong_timeout', now\)/,
    replace: 'side.keepalive.heard(now)',
  },
  {
    name: 'headers are not held back',
    file: SCANNER,
    method: 'scan',
    find: /(this\.#hold\(chunk, next\);\s*return) next/,
    replace: '$1 chunk.length',
  },
  {
    name: 'reading is never paused',
    file: CONNECTION,
    method: '#afterBacklog',
    find: /from\.pause\([^]*?\)\);/,
    replace: 'void from;',
  },
  {
    name: 'reading is not resumed',
    file: CONNECTION,
    method: 'onDrain',
    find: /this\.#other\(tunnelSocket\)\.resume[^]*?;/,
    replace: '',
  },
  {
    name: 'a chunk that waits is not kept',
    seed: 6,
    file: CONNECTION,
    method: '#noteQueue',
    find: /if \(tunnelSocket\.holdsChunk\)[^;]*;/,
    replace: '',
  },
  {
    name: 'a read into a buffer of its own overtakes what was put off',
    file: 'tunnel/socket-reader.ts',
    method: '#passOwn',
    find: /this\.#batch\.flush\(\)/,
    replace: 'this.#own !== own',
  },
  {
    name: 'a write overtakes what was put off',
    seed: 3,
    file: TUNNEL_SOCKET,
    method: 'write',
    find: /this\.writeDeferred\(\);/,
    replace: '',
  },
  {
    name: 'what waits is thrown away at the end',
    file: TUNNEL_SOCKET,
    method: 'applyAction',
    find: /socket\.end\(\)/,
    replace: 'socket.destroy()',
  },
  {
    name: 'sockets are not kept alive by the kernel',
    file: TUNNEL_SOCKET,
    method: 'constructor',
    find: /socket\.setKeepAlive\(true\);/,
    replace: '',
  },
  {
    name: 'a peer that does not end is waited for for ever',
    file: SIDE,
    method: 'finished',
    find: /else this\.#enter\('finished', now\);/,
    replace: '',
  },
  {
    name: 'a connection that is over stays in the registry',
    file: CONNECTION,
    method: '#end',
    find: /this\.#deps\.openConnections\.remove\(this\);/,
    replace: '',
  },
];

/** The source with the mistake in it. @throws when it cannot be made any more */
export function mutated(source: string, { name, file, method, find, replace }: Mutation): string {
  const escaped = method.replace('#', '\\#').replaceAll('$', '\\$');
  // Members stand two spaces deep, functions at the left edge, and both end with a bracket at the same depth.
  const header = new RegExp(
    `^( *)(?:readonly |get |export function |function )?${escaped}(?:\\(| = \\()[^]*?\\{\\n`,
    'gm',
  );
  const headers = [...source.matchAll(header)];
  const [found] = headers;
  if (found === undefined || headers.length > 1)
    throw new Error(`${file} has ${headers.length} of ${method}, not one: adapt "${name}"`);
  const start = found.index + found[0].length;
  const end = source.indexOf(`\n${found[1]}}`, start);
  const body = source.slice(start, end);
  const places = find === undefined ? 1 : [...body.matchAll(new RegExp(find, 'g'))].length;
  if (places !== 1) throw new Error(`${method} of ${file} has ${places} places of "${name}", not one: adapt it`);
  return source.slice(0, start) + (find === undefined ? replace : body.replace(find, replace)) + source.slice(end);
}
