/** Plain HTTP of a soak: clients, the server behind, and the book of both: each request has one line and one end. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import type { Cleanup } from '../support/cleanup.ts';
import type { Exposition } from '../support/exposition.ts';
import { connectRaw, type RawHttpPeer } from '../support/raw-http.ts';
import { Scope } from '../support/scope.ts';
import { Watch } from '../support/watch.ts';
import type { SoakFront } from './fronts.ts';
import type { LogLine } from './proxy.ts';
import { numberIn, type Restartable, startRestartable } from './upstream.ts';

/** How long the server takes for an answer that nobody waits for, in ms. */
const LATE_MS = 1_500;
/** An idle connection is closed after this time, in ms; Node tells the proxy, which lets go of it a second before. */
const IDLE_MS = 2_000;
const MAX_BODY = 300_000;
export const NO_ANSWER = 'no answer from the upstream';
/** Longer than the proxy takes to find out that a client is gone. */
const PATIENCE = 30_000;

/** What the server does with a request. */
type Deed = 'answer' | 'late' | 'torn' | 'none';

export interface PlainServer extends Restartable {
  /** How often each request got here, by number. */
  readonly seen: Map<number, number>;
}

/** Answers with the hash of what it got and a filling of the length asked for. */
export async function startPlainServer(cleanup: Cleanup): Promise<PlainServer> {
  const seen = new Map<number, number>();
  const http = createServer({ keepAliveTimeout: IDLE_MS }, (req, res) => {
    const number = numberIn(req.url ?? '');
    seen.set(number, (seen.get(number) ?? 0) + 1);
    void serve(req, res).catch(() => res.destroy());
  });
  return { seen, ...(await startRestartable(cleanup, (socket) => http.emit('connection', socket))) };
}

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const [, , , deed, size] = String(req.url).split('/');
  const hash = createHash('sha1');
  for await (const chunk of req) hash.update(chunk as Buffer);
  const body = bodyOf(hash.digest('hex'), Number(size));
  if (deed === 'late') await setTimeout(LATE_MS);
  if (deed === 'none') req.socket.resetAndDestroy();
  if (res.destroyed) return;
  res.writeHead(200, { 'Content-Length': body.length });
  if (deed !== 'torn') res.end(body);
  else res.write(body.slice(0, body.length / 2), () => req.socket.resetAndDestroy());
}

function bodyOf(sha1: string, size: number): string {
  return sha1 + '.'.repeat(size);
}

/** How a request ends when nothing is restarted under it: statuses that its line may have; null: no line is fine, too. */
const STATUSES: Readonly<Record<PlainKind['fate'], readonly (number | null)[]>> = {
  answered: [200],
  left: [200, 499, null],
  torn: [200],
  refused: [502],
};
const DISTURBED = [200, 499, 502, 504, null];

interface PlainKind {
  readonly name: string;
  readonly fate: 'answered' | 'left' | 'torn' | 'refused';
  readonly deed: Deed;
  /** Whether it has a body, and how its length is told. */
  readonly body?: 'length' | 'chunked';
  /** Requests on one connection, each sent before the one before is answered. */
  readonly ahead?: number;
  readonly slow?: boolean;
}

const KINDS: readonly PlainKind[] = [
  { name: 'asks', fate: 'answered', deed: 'answer' },
  { name: 'asks ahead', fate: 'answered', deed: 'answer', ahead: 4 },
  { name: 'reads slowly', fate: 'answered', deed: 'answer', slow: true },
  { name: 'uploads', fate: 'answered', deed: 'answer', body: 'length' },
  { name: 'uploads in chunks', fate: 'answered', deed: 'answer', body: 'chunked' },
  { name: 'leaves in its upload', fate: 'left', deed: 'answer', body: 'length' },
  { name: 'leaves unanswered', fate: 'left', deed: 'late' },
  { name: 'gets half an answer', fate: 'torn', deed: 'torn' },
  { name: 'gets no answer', fate: 'refused', deed: 'none', body: 'length' },
];

interface PlainRequest {
  readonly number: number;
  readonly kind: PlainKind;
  readonly front: SoakFront['name'];
  readonly openedAt: number;
  endedAt: number;
  /** Exactly what had to come back has. */
  isRight: boolean;
}

export class PlainBook {
  /** Lines of requests that are over. */
  lines = 0;
  answered = 0;
  readonly #pending: PlainRequest[] = [];
  readonly #statuses = new Map<number, number[]>();
  readonly #watch = new Watch();
  #numbers = 0;
  #noAnswer = 0;
  #refused = 0;

  /** @returns whether the line is about plain HTTP */
  note(line: LogLine): boolean {
    if (line['msg'] === NO_ANSWER) this.noteNoAnswer(1 + Number(line['left_out'] ?? 0));
    else if (line['msg'] !== 'request') return false;
    else {
      const number = numberIn(String(line['path']));
      const status = Number(line['status']);
      this.lines += 1;
      if (status === 502 || status === 504) this.#refused += 1;
      this.#statuses.set(number, [...(this.#statuses.get(number) ?? []), status]);
    }
    this.#watch.changed();
    return true;
  }

  noteNoAnswer(count: number): void {
    this.#noAnswer += count;
    this.#watch.changed();
  }

  /** One client of one kind, on a connection of its own. */
  async act({ name, port }: SoakFront, random: () => number): Promise<void> {
    const kind = KINDS[Math.floor(random() * KINDS.length)];
    if (kind === undefined) throw new Error('there are no kinds');
    const requests = Array.from({ length: kind.ahead ?? 1 }, () => this.#begin(kind, name));
    const scope = new Scope();
    try {
      const peer = await connectRaw(scope, port);
      const wanted = requests.map((request, index) => {
        const body = kind.body === undefined ? '' : 'b'.repeat(Math.floor(random() * MAX_BODY));
        const size = Math.floor(random() * MAX_BODY);
        peer.send(textOf(request, { body, size, isLast: index === requests.length - 1 }));
        return bodyOf(createHash('sha1').update(body).digest('hex'), size);
      });
      await follow(peer, kind, random);
      const bodies = bodiesIn(peer.text);
      for (const [index, request] of requests.entries()) request.isRight = bodies[index] === wanted[index];
    } finally {
      // HAProxy goes on asking for a client that has left.
      const endedAt = performance.now() + (kind.fate === 'left' ? LATE_MS : 0);
      for (const request of requests) request.endedAt = endedAt;
      await scope.undo();
    }
  }

  #begin(kind: PlainKind, front: SoakFront['name']): PlainRequest {
    this.#numbers += 1;
    const request: PlainRequest = {
      number: this.#numbers,
      kind,
      front,
      openedAt: performance.now(),
      endedAt: Infinity,
      isRight: false,
    };
    this.#pending.push(request);
    return request;
  }

  /** Holds every request that is over against its line and the server's account, and forgets it. */
  async settle(
    seen: Map<number, number>,
    wasDisturbed: (request: PlainRequest) => boolean,
    fault: (text: string) => void,
  ): Promise<void> {
    const requests = this.#pending.splice(0);
    const untold = (): PlainRequest[] =>
      requests.filter(({ number }) => seen.has(number) && !this.#statuses.has(number));
    // Each of them is a fault below.
    await this.#watch.until(() => untold().length === 0, '', PATIENCE).catch(() => undefined);
    for (const request of requests) {
      const { number, kind, front, isRight } = request;
      const lines = this.#statuses.get(number) ?? [];
      const arrivals = seen.get(number) ?? 0;
      this.#statuses.delete(number);
      seen.delete(number);
      const isDisturbed = wasDisturbed(request);
      const who = `request ${number} through ${front} (${kind.name}): ${lines.join()}, ${arrivals} upstream`;
      if (lines.length > 1 || (arrivals > 0 && lines.length === 0)) fault(`${who}: not one line`);
      if (!(isDisturbed ? DISTURBED : STATUSES[kind.fate]).includes(lines[0] ?? null)) fault(who);
      if (kind.fate === 'answered' && !isRight && !isDisturbed) fault(`${who}: not what had to come back`);
      // What has a body is never sent twice (RFC 9110 section 9.2.2); anything else once more, on a connection that had been waiting.
      if (arrivals > (kind.body === undefined ? 2 : 1)) fault(`${who}: sent again`);
      if (isRight) this.answered += 1;
    }
  }

  async compare(metrics: Exposition, fault: (text: string) => void): Promise<void> {
    const counted = metrics.samples
      .filter(({ name, labels }) => name === 'ws_keepalive_http_requests_total' && labels['route'] === 'plain')
      .reduce((sum, { value }) => sum + value, 0);
    // Of warnings that were left out the log tells some seconds later.
    const areTold = (): boolean => this.lines >= counted && this.#noAnswer >= this.#refused;
    await this.#watch.until(areTold, 'a line for each request', PATIENCE).catch(() => undefined);
    if (this.lines !== counted) fault(`http_requests_total: ${counted}, and ${this.lines} lines`);
    if (this.#noAnswer !== this.#refused) fault(`${this.#refused} answers 502 or 504, ${this.#noAnswer} told why`);
  }
}

function textOf(
  { number, kind }: PlainRequest,
  { body, size, isLast }: { body: string; size: number; isLast: boolean },
): string {
  const head = [
    `${kind.body === undefined ? 'GET' : 'POST'} /plain/${number}/${kind.deed}/${size} HTTP/1.1`,
    'Host: 127.0.0.1',
    ...(isLast ? ['Connection: close'] : []),
  ];
  if (kind.body === undefined) return `${head.join('\r\n')}\r\n\r\n`;
  const half = body.length >> 1;
  if (kind.body === 'chunked') {
    const chunk = (part: string): string => `${part.length.toString(16)}\r\n${part}\r\n`;
    const parts = [body.slice(0, half), body.slice(half)].filter((part) => part !== '').map(chunk);
    return `${head.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n${parts.join('')}0\r\n\r\n`;
  }
  const sent = kind.fate === 'left' ? body.slice(0, half) : body;
  return `${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${sent}`;
}

/** Waits for the end, or makes one. */
async function follow(peer: RawHttpPeer, { fate, slow }: PlainKind, random: () => number): Promise<void> {
  if (fate === 'left') {
    await setTimeout(random() * LATE_MS);
    return;
  }
  if (slow === true) {
    peer.socket.pause();
    await setTimeout(random() * LATE_MS);
    peer.socket.resume();
  }
  await peer.end();
}

/** Of answers that tell their length, those that are whole. */
function bodiesIn(text: string): string[] {
  const bodies: string[] = [];
  for (let rest = text; ; ) {
    const head = /^HTTP\/1\.1 200 [^]*?\r\n\r\n/.exec(rest)?.[0];
    const length = Number(/^content-length: (\d+)/im.exec(head ?? '')?.[1]);
    if (head === undefined || !(rest.length >= head.length + length)) return bodies;
    bodies.push(rest.slice(head.length, head.length + length));
    rest = rest.slice(head.length + length);
  }
}
