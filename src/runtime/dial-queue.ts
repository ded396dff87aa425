interface Attempt {
  readonly start: () => void;
  /** False once it was started or has left. */
  isWaiting: boolean;
  previous: Attempt | null;
  next: Attempt | null;
}

/** The handshakes of one client address. */
class ClientQueue {
  active = 0;
  /** Those that wait, in the order in which they came: a list, since a Set looks through all that have left to find the first. */
  #first: Attempt | null = null;
  #last: Attempt | null = null;

  get first(): Attempt | null {
    return this.#first;
  }

  add(start: () => void): Attempt {
    const attempt: Attempt = { start, isWaiting: true, previous: this.#last, next: null };
    if (this.#last === null) this.#first = attempt;
    else this.#last.next = attempt;
    this.#last = attempt;
    return attempt;
  }

  remove(attempt: Attempt): void {
    const { previous, next } = attempt;
    if (previous === null) this.#first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    // What is over must not keep what came after it alive.
    Object.assign(attempt, { isWaiting: false, previous: null, next: null });
  }
}

/**
 * Bounds the handshakes that are under way with one upstream; the rest waits. All at once, each would take as long as all
 * of them, hold its memory for as long, and find the upstream's listen backlog full. Clients take turns, and one address
 * has at most half of the places: an upstream may never answer its requests, and the others still get through.
 */
export class DialQueue {
  readonly #limit: () => number;
  readonly #clients = new Map<string, ClientQueue>();
  #active = 0;
  #isAdvancing = false;

  /** @param limit asked each time, so that a reload counts at once; `Infinity`: no limit */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /**
   * Calls `start` as soon as there is a place, at once if there is one now.
   *
   * @returns gives the place back, or stops waiting for it; may be called again
   */
  enter(client: string, start: () => void): () => void {
    const queue = this.#clients.get(client) ?? new ClientQueue();
    this.#clients.set(client, queue);
    const attempt = queue.add(start);
    this.#advance();
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#leave(attempt, client, queue);
    };
  }

  #leave(attempt: Attempt, client: string, queue: ClientQueue): void {
    if (attempt.isWaiting) queue.remove(attempt);
    else {
      queue.active--;
      this.#active--;
    }
    if (queue.active === 0 && queue.first === null) this.#clients.delete(client);
    this.#advance();
  }

  #advance(): void {
    // Whoever leaves from within its `start` is followed by the loop that called it, not by one inside of that.
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    const limit = this.#limit();
    const share = Math.ceil(limit / 2);
    try {
      for (let next = this.#next(limit, share); next !== null; next = this.#next(limit, share)) next.start();
    } finally {
      this.#isAdvancing = false;
    }
  }

  /** Takes the oldest attempt of the client whose turn it is, if there is a place. */
  #next(limit: number, share: number): Attempt | null {
    if (this.#active >= limit) return null;
    for (const [client, queue] of this.#clients) {
      const { first } = queue;
      if (first === null || queue.active >= share) continue;
      queue.remove(first);
      queue.active++;
      this.#active++;
      this.#clients.delete(client);
      this.#clients.set(client, queue);
      return first;
    }
    return null;
  }
}

/** A queue for each upstream: one that hangs delays nobody who goes to another. */
export class DialQueues {
  readonly #limit: () => number;
  /** By identity: what a route names as its upstream stays the same object until the next reload. */
  readonly #queues = new WeakMap<object, DialQueue>();

  constructor(limit: () => number) {
    this.#limit = limit;
  }

  enter(upstream: object, client: string, start: () => void): () => void {
    const queue = this.#queues.get(upstream) ?? new DialQueue(this.#limit);
    this.#queues.set(upstream, queue);
    return queue.enter(client, start);
  }
}
