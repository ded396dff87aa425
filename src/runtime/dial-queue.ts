/** The handshakes of one client address. */
interface ClientQueue {
  active: number;
  /** In the order in which they came. */
  readonly waiting: Set<Attempt>;
}

interface Attempt {
  readonly client: string;
  readonly start: () => void;
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
    const attempt: Attempt = { client, start };
    const queue = this.#clients.get(client) ?? { active: 0, waiting: new Set() };
    this.#clients.set(client, queue);
    queue.waiting.add(attempt);
    this.#advance();
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#leave(attempt, queue);
    };
  }

  #leave(attempt: Attempt, queue: ClientQueue): void {
    if (!queue.waiting.delete(attempt)) {
      queue.active--;
      this.#active--;
    }
    if (queue.active === 0 && queue.waiting.size === 0) this.#clients.delete(attempt.client);
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
      if (queue.active >= share) continue;
      for (const attempt of queue.waiting) {
        queue.waiting.delete(attempt);
        queue.active++;
        this.#active++;
        this.#clients.delete(client);
        this.#clients.set(client, queue);
        return attempt;
      }
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
